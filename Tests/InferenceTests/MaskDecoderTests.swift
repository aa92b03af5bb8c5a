import Annotation
import Foundation
import Testing

@testable import Inference

@Suite struct MaskDecoderTests {
    /// A box and its mask in an image, as Pillow and pycocotools have it.
    struct Pasted: Decodable, Sendable {
        let golden: Int
        let box: [Int]
        let size: [Int]
        let counts: String?
    }

    static let folder = Golden.fixtures.appending(path: "masks")
    static let files = ["decoder.npz", "decoder.safetensors"]

    static func golden() throws -> SafeTensorsFile {
        try SafeTensorsFile(folder.appending(path: "decoder.safetensors"))
    }

    static func codes(_ number: Int) throws -> [Int] {
        let bytes = try #require(try golden().raw("golden/\(number)/codes")).bytes
        return stride(from: 0, to: 64, by: 4).map { Int(bytes[$0]) }
    }

    private func temporary(_ bytes: Data) throws -> URL {
        let url = URL(filePath: NSTemporaryDirectory()).appending(path: "gloss-mask-\(UUID().uuidString)")
        try bytes.write(to: url)
        return url
    }

    private func message(_ bytes: Data) throws -> String {
        let url = try temporary(bytes)
        defer { try? FileManager.default.removeItem(at: url) }
        let error = #expect(throws: InferenceError.self) { try VAEMaskDecoder(contentsOf: url) }
        #expect(error?.code == .invalidModel)
        return error?.message ?? ""
    }

    @Test(arguments: files, 0..<4) func masksAreThoseOfPyTorchsLayers(file: String, number: Int) throws {
        let decoder = try VAEMaskDecoder(contentsOf: Self.folder.appending(path: file))
        let expected = try #require(try Self.golden().floats("golden/\(number)/mask64"))
        let found = decoder.decode(try Self.codes(number))
        #expect(found.count == 4096 && zip(found, expected).allSatisfy { abs($0 - $1) < 1e-4 })
    }

    @Test func pastedMasksAreThoseOfPillowAndPycocotools() throws {
        let cases = try JSONDecoder().decode(
            [Pasted].self, from: Data(contentsOf: Self.folder.appending(path: "masks.json")))
        #expect(cases.count == 36)
        for expected in cases {
            let mask = try #require(try Self.golden().floats("golden/\(expected.golden)/mask64"))
            let edges = expected.box.map { Float(Double($0) / 1023) }
            let box = Box(y1: edges[0], x1: edges[1], y2: edges[2], x2: edges[3])
            let pasted = paste(mask, side: 64, box: box, height: expected.size[0], width: expected.size[1])
            #expect(pasted?.counts == expected.counts, "\(expected.box) in \(expected.size)")
            #expect(pasted.map { [$0.height, $0.width] == expected.size } ?? true)
        }
    }

    /// The goldens of the second implementation, which are pasted there.
    @Test(arguments: 0..<4) func pastedPixelsAreThoseOfTheReference(number: Int) throws {
        let golden = try Self.golden()
        let corners = try #require(golden.raw("golden/\(number)/box")).bytes
        let edges = stride(from: 0, to: 16, by: 4).map {
            Float(Double(Int(corners[$0]) | Int(corners[$0 + 1]) << 8) / 1023)
        }
        let pixels = try #require(golden.raw("golden/\(number)/pasted_131x97")).bytes.map { $0 != 0 }
        let expected = RunLengthMask(height: 97, width: 131, rows: 0..<97, columns: 0..<131, pixels: pixels)
        let decoder = try VAEMaskDecoder(contentsOf: Self.folder.appending(path: "decoder.npz"))
        let box = Box(y1: edges[0], x1: edges[1], y2: edges[2], x2: edges[3])
        let found = decoder.mask(codes: try Self.codes(number), box: box, height: 97, width: 131)
        #expect(
            (found?.counts
                ?? RunLengthMask(
                    height: 97, width: 131, rows: 0..<97, columns: 0..<131, pixels: pixels.map { _ in false }
                ).counts)
                == expected.counts)
    }

    @Test func aDecoderIsNamedByItsBytes() throws {
        let decoders = try Self.files.map { try VAEMaskDecoder(contentsOf: Self.folder.appending(path: $0)) }
        #expect(decoders[0].digest != decoders[1].digest && decoders.allSatisfy { $0.digest.count == 64 })
        #expect(throws: InferenceError.self) { try VAEMaskDecoder(contentsOf: URL(filePath: "/nonexistent.npz")) }
    }

    @Test func damagedArchivesAreRefused() throws {
        let whole = try Data(contentsOf: Self.folder.appending(path: "decoder.npz"))
        for count in [2, 21, 1000, whole.count - 30] {
            #expect(try message(whole.prefix(count)).contains("not a zip file"))
        }
        for place in [200, 5000, whole.count / 2] {
            var damaged = whole
            damaged[place] ^= 0xFF
            #expect(try message(damaged) != "")
        }
    }

    @Test func otherArraysAreRefused() throws {
        func array(_ header: String, _ values: Int = 4) -> [UInt8] {
            [0x93] + "NUMPY".utf8 + [1, 0, UInt8(header.utf8.count), 0] + header.utf8
                + Array(repeating: 0, count: values)
        }
        func refusal(_ bytes: [UInt8]) -> String {
            #expect(throws: InferenceError.self) { try NumpyArray(bytes, name: "a") }?.message ?? ""
        }
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"
        #expect(try NumpyArray(array(good), name: "a").shape == [1])
        #expect(try NumpyArray(array(good), name: "a").values == [0])
        #expect(refusal(array(good.replacing("<f4", with: "|O"))).contains("a pickle"))
        #expect(refusal(array(good.replacing("<f4", with: "<f8"))).contains("type <f8, expected <f4"))
        #expect(refusal(array(good.replacing("False", with: "True"))).contains("Fortran order"))
        #expect(refusal(array(good.replacing("(1,)", with: "(2,)"))).contains("does not fit"))
        #expect(refusal(array(good.replacing("(1,)", with: "(4611686018427387904, 4)"))).contains("is not valid"))
        #expect(refusal(array(good.replacing("(1,)", with: "(4611686018427387904,)"))).contains("does not fit"))
        #expect(refusal(Array(array(good).prefix(20))).contains("truncated"))
        #expect(refusal([1, 2, 3]).contains("not a .npy file"))
    }

    @Test func whatIsMissingIsNamed() throws {
        let model = try Data(contentsOf: Golden.fixtures.appending(path: "tiny/model/model.safetensors"))
        #expect(try message(model).contains("there is no tensor _vq_vae._embedding; a mask decoder has the tensors of"))
    }
}
