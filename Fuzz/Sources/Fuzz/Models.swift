import CKernels
import Foundation

@testable import Inference

/// A model's files.
enum Models {
    @Sendable static func configuration(_ bytes: [UInt8]) {
        _ = try? Checkpoint.fileNames(index: Data(bytes), path: "index")
        guard let model = try? ModelConfiguration(Data(bytes), path: "config.json") else { return }
        precondition(model.imageTokenCount > 0 && model.text.heads % model.text.kvHeads == 0)
    }

    @Sendable static func safetensors(_ bytes: [UInt8]) {
        guard let file = try? SafeTensorsFile(Data(bytes), URL(filePath: "/model.safetensors")) else { return }
        for entry in file.entries.values {
            file.withBytes(of: entry) { span in
                if entry.shape == [-1] { return }
                precondition(floats(from: span, type: entry.type).count == entry.shape.reduce(1, *))
            }
        }
    }

    /// The first byte even: a zip file of arrays. Odd: one array.
    @Sendable static func npz(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        guard first % 2 == 0 else { return array(rest) }
        guard let archive = try? ZipArchive(Data(rest), path: "decoder.npz") else { return }
        for name in archive.names {
            guard let contents = try? archive.contents(name) else { continue }
            array(contents)
        }
    }

    private static func array(_ bytes: [UInt8]) {
        guard let array = try? NumpyArray(bytes, name: "array") else { return }
        precondition(array.values.count == array.shape.reduce(1, *))
    }

    private static let url = URL(filePath: "/dev/shm/gloss-fuzz-\(getpid())")

    /// The first byte even: the bytes are a packed file. Odd: two bytes state the length of a header, which follows, and what
    /// follows it are the sections; checksums are made to fit.
    @Sendable static func packed(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let file = first % 2 == 0 ? Data(bytes.dropFirst()) : assembled(Data(bytes.dropFirst()))
        guard (try? file.write(to: url)) != nil, var packed = try? PackedFile(url) else { return }
        for section in packed.header.sections {
            _ = packed.contents(section.name)
            guard let matrix = section.matrix else {
                _ = try? packed.vector(section.name, shape: [min(max(section.byteCount / 4, 0), 1 << 20)])
                continue
            }
            let part = (name: section.name, rows: min(max(matrix.outputs, 1), 65536))
            _ = try? packed.matrix([part], inputs: min(max(matrix.inputs, 1), 65536), shape: nil)
        }
        try? packed.finish()
    }

    private static func assembled(_ bytes: Data) -> Data {
        let rest = Data(bytes.dropFirst(2))
        let length = min(bytes.prefix(2).reduce(0) { $0 << 8 | Int($1) }, rest.count)
        let body = Data(rest.dropFirst(length))
        var json = Data(rest.prefix(length))
        if var header = try? JSONDecoder().decode(PackedFile.Header.self, from: json) {
            for (index, section) in header.sections.enumerated() where section.offset >= PackedFile.alignment {
                let start = section.offset - PackedFile.alignment
                guard section.byteCount >= 0, start <= body.count, section.byteCount <= body.count - start else {
                    continue
                }
                header.sections[index].crc32c = crc(Data(body.dropFirst(start).prefix(section.byteCount)))
            }
            if let fitting = try? JSONEncoder().encode(header), fitting.count <= PackedFile.alignment - 24 {
                json = fitting
            }
        }
        var file = Data(PackedFile.magic)
        for value in [PackedFile.version, crc(json), UInt32(json.count), 0] {
            withUnsafeBytes(of: value.littleEndian) { file.append(contentsOf: $0) }
        }
        file.append(json)
        file.append(Data(repeating: 0, count: max(0, PackedFile.alignment - file.count)))
        return file + body
    }

    private static func crc(_ data: Data) -> UInt32 { data.withUnsafeBytes { gloss_crc32c($0.baseAddress, $0.count) } }
}
