import CKernels
import Foundation

/// A packed model in one file: config.json, the tokenizer, what else was read of the folder, and all weights as the kernels read them, to be mapped into
/// memory.
///
/// Layout, little-endian: the magic "glosspak", u32 version, u32 CRC-32C of the header, u64 length of the header; the
/// header, JSON; then the sections, each on a multiple of 4096 bytes, with its CRC-32C in the header.
struct PackedFile {
    static let magic = Array("glosspak".utf8)
    static let version: UInt32 = 2
    static let prefixByteCount = 24
    static let alignment = 4096

    struct Header: Codable {
        /// SHA-256 over the files that it was packed from.
        var fileDigest: String
        var precision: Precision
        var sections: [Section]
    }

    struct Section: Codable {
        var name: String
        /// Of a matrix; nil for vectors (f32) and files.
        var matrix: Matrix?
        var offset: Int
        var byteCount: Int
        var crc32c: UInt32

        struct Matrix: Codable, Equatable {
            var outputs: Int
            var inputs: Int
            var type: String
            var isGated: Bool
        }
    }

    let url: URL
    let header: Header
    private let mapping: Mapping
    private var sections: [String: Section]
    /// Sections that hold numbers which are not finite.
    private var notFinite: Set<String> = []

    /// Maps and checks the file: version, header, each section's checksum, and that its numbers are finite.
    init(_ url: URL) throws(InferenceError) {
        self.url = url
        mapping = try Mapping(url)
        let headerEnd: Int
        (header, headerEnd) = try Self.readHeader(mapping.bytes, url.lastPathComponent)
        sections = [:]
        var end = headerEnd
        for section in header.sections {
            guard section.byteCount >= 0, section.offset % Self.alignment == 0,
                section.byteCount <= mapping.bytes.count, section.offset <= mapping.bytes.count - section.byteCount
            else {
                throw Self.invalid(
                    url.lastPathComponent,
                    "section \(section.name) does not lie within the \(mapping.bytes.count) bytes; is the file"
                        + " truncated?"
                )
            }
            guard section.offset >= end else {
                throw Self.invalid(url.lastPathComponent, "section \(section.name) begins inside of what is before it")
            }
            end = section.offset + section.byteCount
            guard sections.updateValue(section, forKey: section.name) == nil else {
                throw Self.invalid(url.lastPathComponent, "section \(section.name) stands twice")
            }
        }
        try checkSections()
    }

    private static func readHeader(
        _ bytes: UnsafeRawBufferPointer, _ name: String
    ) throws(InferenceError) -> (Header, end: Int) {
        guard bytes.count >= prefixByteCount, Array(bytes.prefix(magic.count)) == magic else {
            let other = ForeignFormat.ofFile(bytes.prefix(64), path: name)
            throw InferenceError(
                .invalidModel, other ?? "\(name): not a packed model (glossctl pack makes one), nor a folder")
        }
        let version = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        guard version == Self.version else {
            throw invalid(
                name,
                "packed in version \(version) of the format, this Gloss reads \(Self.version); pack the model again")
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
        guard length <= UInt64(bytes.count - prefixByteCount) else {
            throw invalid(name, "it states a header of \(length) bytes in a file of \(bytes.count); is it truncated?")
        }
        let json = UnsafeRawBufferPointer(rebasing: bytes[prefixByteCount..<prefixByteCount + Int(length)])
        guard crc32c(json) == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self)) else {
            throw invalid(name, "the header's checksum does not match: the file is corrupt; pack the model again")
        }
        do { return (try JSONDecoder().decode(Header.self, from: Data(json)), prefixByteCount + json.count) } catch {
            throw invalid(name, "the header is not valid: \(describe(error))")
        }
    }

    private mutating func checkSections() throws(InferenceError) {
        let (all, bytes) = (header.sections, mapping.bytes)
        var found = [(sum: UInt32, isFinite: Bool)](repeating: (0, true), count: all.count)
        found.withUnsafeMutableBufferPointer { found in
            nonisolated(unsafe) let (found, bytes) = (found, bytes)
            DispatchQueue.concurrentPerform(iterations: all.count) { index in
                let part = bytes[all[index].offset..<all[index].offset + all[index].byteCount]
                found[index] = crc32c(UnsafeRawBufferPointer(rebasing: part), numbers: all[index].numbers)
            }
        }
        if let index = all.indices.first(where: { found[$0].sum != all[$0].crc32c }) {
            throw Self.invalid(
                url.lastPathComponent,
                "the checksum of \(all[index].name) does not match: the file is corrupt; pack the model again")
        }
        notFinite = Set(all.indices.filter { !found[$0].isFinite }.map { all[$0].name })
    }

    /// Refuses weights that no part of the model took: they are of another model than config.json says.
    func finish() throws(InferenceError) {
        let extra = sections.keys.filter { !ModelDescription.allNames.contains($0) }.sorted()
        guard let first = extra.first else { return }
        throw Self.invalid(
            url.lastPathComponent,
            "weights \(first) are not part of the model that config.json describes (\(extra.count) such sections)")
    }

    private static func invalid(_ name: String, _ what: String) -> InferenceError {
        InferenceError(.invalidModel, "\(name): \(what)")
    }

    private mutating func take(
        _ name: String, _ matrix: Section.Matrix?, byteCount: Int
    ) throws(InferenceError) -> UnsafeRawPointer {
        guard let section = sections.removeValue(forKey: name) else {
            throw Self.invalid(url.lastPathComponent, "weights \(name) are missing")
        }
        guard section.matrix == matrix else {
            throw Self.invalid(url.lastPathComponent, "weights \(name) are of another shape than config.json says")
        }
        guard section.byteCount == byteCount else {
            throw Self.invalid(
                url.lastPathComponent,
                "weights \(name): expected \(byteCount) bytes by config.json, found \(section.byteCount)")
        }
        let base = mapping.bytes.baseAddress! + section.offset
        if notFinite.contains(name) {
            let count = section.byteCount / section.numbers.byteCount
            try refuse(countNotFinite(base, section.numbers, count), of: count, name)
        }
        return base
    }

    private func refuse(_ notFiniteCount: Int, of count: Int, _ name: String) throws(InferenceError) {
        guard notFiniteCount > 0 else { return }
        throw Self.invalid(
            url.lastPathComponent, "weights \(name): \(notFiniteCount) of \(count) numbers are not finite")
    }
}

extension PackedFile.Section {
    /// What it holds: bytes of files, and int8's, are always finite.
    fileprivate var numbers: gloss_dtype {
        if let matrix { return gloss_dtype(word: matrix.type) ?? GLOSS_INT8 }
        return ModelDescription.allNames.contains(name) ? GLOSS_INT8 : GLOSS_F32
    }
}

extension PackedFile: ModelFiles {
    var path: String { url.path }

    func contents(_ name: String) -> Data? {
        sections[name].map { Data(mapping.bytes[$0.offset..<$0.offset + $0.byteCount]) }
    }
}

extension PackedFile: WeightSource {
    var precision: Precision { header.precision }

    func contains(_ name: String) -> Bool { sections[name] != nil }

    mutating func vector(_ name: String, shape: [Int]) throws(InferenceError) -> [Float] {
        let count = shape.reduce(1, *)
        let base = try take(name, nil, byteCount: 4 * count)
        return Array(UnsafeBufferPointer(start: base.assumingMemoryBound(to: Float.self), count: count))
    }

    mutating func matrix(
        _ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?
    ) throws(InferenceError) -> PackedWeights {
        try weights(parts, inputs: inputs, isGated: false)
    }

    mutating func gatedPair(
        _ parts: [(name: String, rows: Int)], inputs: Int
    ) throws(InferenceError) -> PackedWeights {
        try weights(parts, inputs: inputs, isGated: true)
    }

    private mutating func weights(
        _ parts: [(name: String, rows: Int)], inputs: Int, isGated: Bool
    ) throws(InferenceError) -> PackedWeights {
        let name = Self.name(parts)
        guard let type = sections[name]?.matrix.flatMap({ gloss_dtype(word: $0.type) }) else {
            throw Self.invalid(url.lastPathComponent, "weights \(name) are missing")
        }
        guard [.f32, .bf16].contains(where: { precision.weightType($0) == type }) else {
            throw Self.invalid(
                url.lastPathComponent,
                "weights \(name) are \(type.word), which the file's \(precision.rawValue) can't be")
        }
        let shape = WeightShape(
            outputs: parts.reduce(0) { $0 + $1.rows }, inputs: inputs, type: type, isGated: isGated)
        let base = try take(name, Section.Matrix(shape), byteCount: shape.byteCount)
        let weights = PackedWeights(shape, at: base, owner: mapping)
        try refuse(weights.notFiniteScaleCount, of: shape.panelCount * Int(GLOSS_PANEL), "\(name)'s scales")
        return weights
    }

    static func name(_ parts: [(name: String, rows: Int)]) -> String { parts.map(\.name).joined(separator: "+") }
}

extension PackedFile.Section.Matrix {
    init(_ shape: WeightShape) {
        self.init(outputs: shape.outputs, inputs: shape.inputs, type: shape.type.word, isGated: shape.isGated)
    }
}

extension gloss_dtype {
    fileprivate var word: String { self == GLOSS_F32 ? "f32" : self == GLOSS_BF16 ? "bf16" : "int8" }

    fileprivate init?(word: String) {
        guard let type = [GLOSS_F32, GLOSS_BF16, GLOSS_INT8].first(where: { $0.word == word }) else { return nil }
        self = type
    }
}

/// Writes a packed model while its weights are loaded from a checkpoint.
struct PackedFileWriter: WeightSource {
    private var source: Checkpoint
    private let file: FileHandle
    private var sections: [PackedFile.Section] = []
    private var offset: Int
    private let isCancelled: () -> Bool
    /// Room for the header, in front: of a model of any depth.
    private static let headerRoom = 1 << 20

    var precision: Precision { source.precision }

    /// Writes to `url`, which must not exist.
    init(_ source: Checkpoint, to url: URL, isCancelled: @escaping () -> Bool) throws(InferenceError) {
        (self.source, self.isCancelled) = (source, isCancelled)
        let descriptor = open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            if errno == EEXIST {
                throw InferenceError(
                    .invalidModel, "\(url.path) exists: another pack is writing it, or one was killed; then remove it")
            }
            throw InferenceError(errno: errno, at: url)
        }
        file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        offset = Self.headerRoom
    }

    private mutating func append(
        _ name: String, _ matrix: PackedFile.Section.Matrix?, _ bytes: UnsafeRawBufferPointer
    ) throws(InferenceError) {
        if isCancelled() { throw InferenceError(.invalidModel, "interrupted") }
        sections.append(
            PackedFile.Section(
                name: name, matrix: matrix, offset: offset, byteCount: bytes.count, crc32c: crc32c(bytes)))
        do {
            try file.seek(toOffset: UInt64(offset))
            // In parts: Data would copy a gigabyte at once.
            for start in stride(from: 0, to: bytes.count, by: 1 << 24) {
                try file.write(contentsOf: bytes[start..<min(start + 1 << 24, bytes.count)])
            }
        } catch {
            throw InferenceError(.invalidModel, "the packed model can't be written: \(error.localizedDescription)")
        }
        offset = (offset + bytes.count + PackedFile.alignment - 1) / PackedFile.alignment * PackedFile.alignment
    }

    func contains(_ name: String) -> Bool { source.contains(name) }

    mutating func vector(_ name: String, shape: [Int]) throws(InferenceError) -> [Float] {
        let values = try source.vector(name, shape: shape)
        try append(name, values.withUnsafeBytes { Data($0) })
        return values
    }

    /// A vector or a file.
    mutating func append(_ name: String, _ data: Data) throws(InferenceError) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: data.count, alignment: 64)
        defer { copy.deallocate() }
        data.copyBytes(to: copy)
        try append(name, nil, UnsafeRawBufferPointer(copy))
    }

    mutating func matrix(
        _ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?
    ) throws(InferenceError) -> PackedWeights {
        let weights = try source.matrix(parts, inputs: inputs, shape: shape)
        try append(PackedFile.name(parts), .init(weights.shape), weights.bytes)
        return weights
    }

    mutating func gatedPair(
        _ parts: [(name: String, rows: Int)], inputs: Int
    ) throws(InferenceError) -> PackedWeights {
        let weights = try source.gatedPair(parts, inputs: inputs)
        try append(PackedFile.name(parts), .init(weights.shape), weights.bytes)
        return weights
    }

    /// The header, last: a file that was not finished is no packed model.
    func finish(fileDigest: String) throws {
        try source.finish()
        let header = PackedFile.Header(fileDigest: fileDigest, precision: precision, sections: sections)
        let json = try JSONEncoder().encode(header)
        precondition(PackedFile.prefixByteCount + json.count <= Self.headerRoom)
        var prefix = Data(PackedFile.magic)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { prefix.append(contentsOf: $0) }
        }
        append(PackedFile.version)
        append(json.withUnsafeBytes { crc32c($0) })
        append(UInt64(json.count))
        try file.truncate(atOffset: UInt64(offset))
        try file.synchronize()
        try file.seek(toOffset: 0)
        try file.write(contentsOf: prefix + json)
        try file.synchronize()
        try file.close()
    }
}

private func crc32c(_ bytes: UnsafeRawBufferPointer) -> UInt32 { gloss_crc32c(bytes.baseAddress, bytes.count) }

/// The same, and whether all of its numbers are finite.
private func crc32c(_ bytes: UnsafeRawBufferPointer, numbers: gloss_dtype) -> (UInt32, Bool) {
    var isFinite = true
    let sum = gloss_crc32c_of_numbers(bytes.baseAddress, bytes.count, numbers, &isFinite)
    return (sum, isFinite)
}

extension InferenceError {
    /// A call of the system that failed on a file.
    init(errno: Int32, at url: URL) { self.init(.invalidModel, "\(url.path): \(String(cString: strerror(errno)))") }
}

extension URL {
    /// Whether there is a file that is no folder.
    var isRegularFile: Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
    }
}
