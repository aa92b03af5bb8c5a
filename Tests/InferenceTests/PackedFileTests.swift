import Annotation
import Foundation
import Testing

@testable import Inference

/// A packed model gives what its folder gives, and a damaged one is refused with what is wrong.
@Suite struct PackedFileTests {
    private let golden: Golden
    private let folder: URL
    private let packed: URL

    init() throws {
        golden = try Golden(Golden.fixtures.appending(path: "tiny2"))
        folder = FileManager.default.temporaryDirectory.appending(path: "gloss-packed-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        packed = folder.appending(path: "model.gloss")
    }

    private func answers(_ model: PaliGemma, _ golden: Golden) throws -> [[Generation]] {
        try golden.cases.prefix(4).map { example in
            let images = try model.embedImages(golden.pixels(example.images, model))
            let request = GenerationRequest(
                images: images, prompt: example.prompt, settings: DecodeSettings(maxTokens: 4))
            return try model.generate([request])[0].get()
        }
    }

    @Test(arguments: ["tiny2", "tiny3"], Precision.allCases)
    func givesTheSameBits(set: String, precision: Precision) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let golden = try Golden(Golden.fixtures.appending(path: set))
        let source = golden.folder.appending(path: "model")
        try PaliGemma.pack(folder: source, precision: precision, to: packed)
        let (one, other) = (
            try PaliGemma(contentsOf: source, precision: precision), try PaliGemma(contentsOf: packed)
        )
        #expect(try answers(one, golden) == answers(other, golden))
        #expect(one.digest == other.digest)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model.gloss"])
    }

    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let change: @Sendable (inout Data) -> Void
        let words: [String]
    }

    static let damages = [
        Damage(testDescription: "empty", change: { $0 = Data() }, words: ["empty"]),
        Damage(testDescription: "something else", change: { $0[0] = 0 }, words: ["not a packed model"]),
        Damage(
            testDescription: "another version", change: { $0[8] = 9 },
            words: ["version 9", "reads \(PackedFile.version)", "again"]),
        Damage(testDescription: "header", change: { $0[40] ^= 1 }, words: ["header's checksum"]),
        Damage(testDescription: "header length", change: { $0[22] = 9 }, words: ["header of", "truncated"]),
        Damage(
            testDescription: "one bit of a weight", change: { $0[$0.count / 2] ^= 16 },
            words: ["checksum of", "corrupt"]),
        Damage(testDescription: "truncated", change: { $0 = $0.prefix($0.count / 2) }, words: ["truncated"]),
        Damage(testDescription: "truncated in the header", change: { $0 = $0.prefix(100) }, words: ["truncated"]),
    ]

    @Test(arguments: damages) func damageIsNamed(damage: Damage) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try PaliGemma.pack(folder: golden.folder.appending(path: "model"), precision: .bf16, to: packed)
        var data = try Data(contentsOf: packed)
        damage.change(&data)
        try data.write(to: packed)
        let error = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: packed) }
        for word in ["model.gloss"] + damage.words {
            #expect(error?.message.contains(word) == true, "\(error!.message)")
        }
    }

    @Test func anotherPrecisionThanPackedIsRefused() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try PaliGemma.pack(folder: golden.folder.appending(path: "model"), precision: .int8, to: packed)
        let error = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: packed, precision: .bf16) }
        #expect(error?.message.contains("packed as int8, asked for as bf16") == true)
    }

    @Test func anInterruptedPackLeavesNothing() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var left = 9
        #expect(throws: InferenceError.self) {
            try PaliGemma.pack(folder: golden.folder.appending(path: "model"), precision: nil, to: packed) {
                left -= 1
                return left == 0
            }
        }
        #expect(left == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    }

    @Test func aFailedPackLeavesNothing() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let broken = folder.appending(path: "broken")
        try FileManager.default.copyItem(at: golden.folder.appending(path: "model"), to: broken)
        let weights = broken.appending(path: "model.safetensors")
        if FileManager.default.fileExists(atPath: weights.path) {
            try Data(contentsOf: weights).dropLast(10).write(to: weights)
        } else {
            try FileManager.default.removeItem(at: broken.appending(path: "model.safetensors.index.json"))
        }
        #expect(throws: InferenceError.self) { try PaliGemma.pack(folder: broken, precision: nil, to: packed) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["broken"])
    }
}
