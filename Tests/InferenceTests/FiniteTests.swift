import Annotation
import CKernels
import Foundation
import Testing

@testable import Inference

/// Numbers that are not finite: counted, refused when a model is loaded or packed, and an error of their own in an
/// answer.
@Suite struct FiniteTests {
    private let tiny = Golden.fixtures.appending(path: "tiny")

    /// Each number alone, at each place of buffers that end inside of a word; the twin asks Swift.
    @Test(arguments: [StoredType.f32, .f16, .bf16]) func countsLikeItsTwin(type: StoredType) {
        let patterns: [UInt32] =
            switch type {
            case .f32:
                [0x7fc0_0000, 0xff80_0001, 0x7f80_0000, 0xff80_0000, 0, 0x8000_0000, 1, 0x7f7f_ffff, 0xff7f_ffff]
            case .bf16: [0x7fc0, 0xff81, 0x7f80, 0xff80, 0, 0x8000, 1, 0x7f7f, 0xff7f]
            case .f16: [0x7e00, 0xfc01, 0x7c00, 0xfc00, 0, 0x8000, 1, 0x7bff, 0xfbff]
            }
        for count in [1, 2, 3, 4, 5, 7, 8, 1023, 2049, 4100] {
            for (pattern, place) in patterns.flatMap({ p in [0, 1, count / 2, count - 1].map { (p, $0) } }) {
                var words = [UInt32](repeating: type == .f32 ? 0x3f00_0000 : 0x3f, count: count)
                words[min(place, count - 1)] = pattern
                let bytes = words.flatMap { word in withUnsafeBytes(of: word) { Array($0.prefix(type.byteCount)) } }
                let expected = floats(from: bytes.span.bytes, type: type).count { !$0.isFinite }
                #expect(countNotFinite(bytes, type.kernelType, count) == expected, "\(pattern) at \(place) of \(count)")
                var isFinite = false
                let sum = gloss_crc32c_of_numbers(bytes, bytes.count, type.kernelType, &isFinite)
                #expect(isFinite == (expected == 0), "\(pattern) at \(place) of \(count)")
                #expect(sum == gloss_crc32c(bytes, bytes.count))
            }
        }
    }

    /// bf16 rounds the last 2^-9 of f32's range to infinity.
    @Test func roundingToInfinityCounts() {
        let edge = Float(bitPattern: 0x7f7f_8000)
        for (value, expected) in [(edge, 1), (-edge, 1), (edge.nextDown, 0), (.greatestFiniteMagnitude, 1), (1, 0)] {
            let count = withUnsafeBytes(of: value) { countNotFinite($0.baseAddress!, GLOSS_F32, 1, as: GLOSS_BF16) }
            #expect(count == expected && nearestBF16(value).isFinite == (expected == 0), "\(value)")
        }
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let model: String
        let tensor: String
        let value: Float
        var precisions = Precision.allCases
        var testDescription: String { "\(value) in \(tensor) of \(model)" }
    }

    private static let names = [
        "language_model.model.embed_tokens.weight", "language_model.model.layers.1.mlp.up_proj.weight",
        "language_model.model.layers.0.self_attn.v_proj.weight", "language_model.model.norm.weight",
        "vision_tower.vision_model.embeddings.patch_embedding.weight", "multi_modal_projector.linear.bias",
    ]
    static let bad =
        names.map { Bad(model: "model", tensor: $0, value: .nan) } + [
            Bad(model: "model", tensor: names[1], value: -.infinity),
            Bad(model: "model_f16", tensor: "model.language_model.embed_tokens.weight", value: .infinity),
            Bad(model: "model_bf16_sharded", tensor: names[3], value: .nan),
            Bad(model: "model", tensor: names[2], value: 3.4e38, precisions: [.bf16, .bf16AMX]),
        ]

    @Test(arguments: bad) func aModelWithThemIsRefused(bad: Bad) throws {
        try withModel(bad.model) { folder in
            let (file, total) = try damage(folder, bad.tensor, bad.value, count: 3)
            for precision in bad.precisions {
                for message in try refusals(folder, precision) {
                    #expect(message == "\(file): tensor \(bad.tensor): 3 of \(total) numbers are not finite")
                }
            }
        }
    }

    /// Finite, but not once they are rotated.
    @Test func numbersTooLargeForInt8AreRefused() throws {
        try withModel("model") { folder in
            _ = try damage(folder, Self.names[1], 3.4e38, count: 64)
            for message in try refusals(folder, .int8) {
                #expect(message.contains("\(Self.names[1]): 1 rows have numbers too large"), "\(message)")
            }
            _ = try PaliGemma(contentsOf: folder, precision: .f32)
        }
    }

    /// Also one that nobody's `pack` wrote.
    @Test(arguments: Precision.allCases) func aPackedModelWithThemIsRefused(precision: Precision) throws {
        try withModel("model") { folder in
            let packed = folder.appending(path: "model.gloss")
            try PaliGemma.pack(folder: folder, precision: precision, to: packed)
            let good = try LyingFileTests.Parts(packed)
            func refusal(_ name: String, _ type: gloss_dtype, at place: Int) throws -> String {
                var parts = good
                let section = parts.header.sections[parts.index(name)]
                let offset = section.offset + place
                let bits: [UInt8] = type == GLOSS_F32 ? [0, 0, 0xC0, 0x7F] : [0xC0, 0x7F]
                parts.bytes.replaceSubrange(offset..<offset + bits.count, with: bits)
                try parts.write(to: packed)
                return try #require(#expect(throws: InferenceError.self) { try PaliGemma(contentsOf: packed) }).message
            }
            let vector = try refusal("layers.1.input_layernorm", GLOSS_F32, at: 8)
            #expect(
                vector.contains("model.gloss: weights language_model.layers.1.input_layernorm.weight: 1 of 64 numbers"))
            let matrix = "layers.0.self_attn.o_proj"
            let shape = try #require(good.header.sections[good.index(matrix)].matrix)
            let type = precision.weightType(.f32)
            let place =
                type == GLOSS_INT8
                ? WeightShape(outputs: shape.outputs, inputs: shape.inputs, type: type).panelBytes : 0
            let message = try refusal(matrix, type == GLOSS_BF16 ? type : GLOSS_F32, at: place)
            #expect(message.contains("\(matrix).weight\(type == GLOSS_INT8 ? "'s scales" : ""): 1 of "), "\(message)")
            #expect(message.contains("numbers are not finite"))
        }
    }

    /// Finite weights whose products are not: an error of each answer, however it is drawn, that is the engine's and
    /// not the request's.
    @Test(arguments: Precision.allCases) func anAnswerThatIsNotFinite(precision: Precision) throws {
        try withModel("model") { folder in
            let norm = "language_model.model.layers.0.input_layernorm.weight"
            _ = try damage(folder, norm, 3e38, count: 64)
            let model = try PaliGemma(contentsOf: folder, precision: precision)
            let requests = [(0.0, 0, 1.0), (1, 0, 1), (1, 3, 1), (1, 0, 0.9), (1, 3, 0.5)].map { temperature, k, p in
                GenerationRequest(
                    images: [], prompt: "x",
                    settings: DecodeSettings(maxTokens: 3, temperature: temperature, topK: k, topP: p))
            }
            let others = [
                GenerationRequest(images: [], prompt: "x", settings: DecodeSettings(maxTokens: 3, beams: 3)),
                GenerationRequest(images: [], prompt: "x", settings: DecodeSettings(), options: ["", "a"]),
                GenerationRequest(
                    images: [], prompt: "x",
                    settings: DecodeSettings(maxTokens: 3, samples: 3, pick: .likeliest, temperature: 1)),
            ]
            for result in model.generate(requests + others) {
                let error = #expect(throws: InferenceError.self) { try result.get() }
                #expect(error?.code == .notFinite && error?.disposition == .engine)
            }
        }
    }

    /// What loading a folder says, and what packing it says, which leaves nothing behind.
    private func refusals(_ folder: URL, _ precision: Precision) throws -> [String] {
        let out = folder.appending(path: "out.gloss")
        let load = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: folder, precision: precision) }
        let pack = #expect(throws: InferenceError.self) {
            try PaliGemma.pack(folder: folder, precision: precision, to: out)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { !$0.contains("gloss") })
        return try [#require(load).message, #require(pack).message]
    }

    /// Writes a value over the first `count` numbers of a tensor. The file that has it, and how many numbers.
    private func damage(_ folder: URL, _ tensor: String, _ value: Float, count: Int) throws -> (String, Int) {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter {
            $0.hasSuffix(".safetensors")
        }
        let files = try names.map { try SafeTensorsFile(folder.appending(path: $0)) }
        let found = try #require(files.first { $0.entries[tensor] != nil }, "\(tensor)")
        let (file, entry) = (found.url, found.entries[tensor]!)
        var data = try Data(contentsOf: file)
        let pattern = entry.type == .f16 ? (value.isNaN ? 0x7e00 : 0x7c00) : value.bitPattern
        let word = withUnsafeBytes(of: pattern) {
            entry.type == .bf16 ? Data($0.suffix(2)) : Data($0.prefix(entry.type.byteCount))
        }
        let bytes = (0..<count).reduce(into: Data()) { data, _ in data += word }
        data.replaceSubrange(entry.range.lowerBound..<entry.range.lowerBound + bytes.count, with: bytes)
        try data.write(to: file)
        return (file.lastPathComponent, entry.shape.reduce(1, *))
    }

    private func withModel(_ name: String, _ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "finite-\(UUID())")
        try FileManager.default.copyItem(at: tiny.appending(path: name), to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }
}
