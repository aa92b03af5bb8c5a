import Foundation
import Inference
import Testing

/// A model's digest says how to load the model that has it.
@Suite struct ModelIdentityTests {
    @Test(arguments: ["tiny", "tiny2"], [Precision.f32, .bf16, .bf16AMX, .int8])
    func aDigestIsReadBack(name: String, precision: Precision) throws {
        let folder = Golden.fixtures.appending(path: "\(name)/model")
        for options in [LoadOptions(), LoadOptions(window: .none, resize: .bilinearAntialias)] {
            let model = try PaliGemma(contentsOf: folder, precision: precision, options: options, threads: 1)
            let identity = try #require(ModelIdentity(digest: model.digest))
            #expect(identity.fileDigest == model.fileDigest && identity.precision == precision)
            #expect(try PaliGemma.fileDigest(contentsOf: folder) == model.fileDigest)
            let same = try PaliGemma(
                contentsOf: folder, precision: identity.precision, options: identity.options, threads: 1,
                instructionSet: .generic)
            #expect(same.digest == model.digest && same.resize == model.resize)
        }
    }

    @Test func aPackedModelHasTheDigestOfItsFolder() throws {
        let folder = Golden.fixtures.appending(path: "tiny/model")
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).gloss")
        defer { try? FileManager.default.removeItem(at: file) }
        try PaliGemma.pack(folder: folder, precision: .int8, to: file)
        #expect(try PaliGemma.fileDigest(contentsOf: file) == PaliGemma.fileDigest(contentsOf: folder))
    }

    @Test(arguments: ["", "0123", "0123-f64", "0123-f32-bicubic", "0123-f32-window-none-bilinear"])
    func otherTextsAreNoDigests(text: String) { #expect(ModelIdentity(digest: text) == nil) }

    @Test func anAdaptersDigestIsThatOfTheLoadedOne() throws {
        let model = try PaliGemma(contentsOf: Golden.fixtures.appending(path: "tiny/model"), threads: 1)
        let folder = Golden.fixtures.appending(path: "tiny/adapters/plain")
        #expect(try Adapter.digest(contentsOf: folder) == model.adapter(contentsOf: folder).digest)
    }
}
