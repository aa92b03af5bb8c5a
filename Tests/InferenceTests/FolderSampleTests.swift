import Annotation
import Foundation
import Testing

@testable import Inference

/// A folder that reference/check_folders.py drew and kept, and what transformers computes of it.
struct SampledFolder: CustomTestStringConvertible {
    struct Expected: Decodable {
        struct Response: Decodable {
            let tokens: [Int]
            let logprobs: [Double]
            let margins: [Double]
            let prefix: Int
        }

        let prompt: String
        let width: Int
        let height: Int
        let drawn: [String]
        /// nil: Gloss refuses it.
        let response: Response?
        /// Patterns, of which a refusal fits one.
        let refusals: [String]
    }

    let url: URL

    static let all: [SampledFolder] = {
        let folder = Golden.fixtures.appending(path: "folders")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().map { SampledFolder(url: folder.appending(path: $0)) }
    }()

    var testDescription: String { url.lastPathComponent }

    func expected() throws -> Expected {
        try JSONDecoder().decode(Expected.self, from: Data(contentsOf: url.appending(path: "expected.json")))
    }

    /// What the model answers to the folder's prompt.
    func answer(_ expected: Expected) throws -> Generation {
        let model = try PaliGemma(contentsOf: url.appending(path: "model"), precision: .f32)
        let adapterFolder = url.appending(path: "adapter")
        let adapter =
            FileManager.default.fileExists(atPath: adapterFolder.path)
            ? try model.adapter(contentsOf: adapterFolder) : nil
        let rgb = try [UInt8](Data(contentsOf: url.appending(path: "image.rgb")))
        let pixels = model.pixelValues(rgb: rgb, width: expected.width, height: expected.height)
        let request = GenerationRequest(
            images: try model.embedImages([pixels], adapter: adapter), prompt: expected.prompt,
            settings: DecodeSettings(maxTokens: 6), adapter: adapter)
        return try model.generate([request])[0].get()[0]
    }
}

/// A sample of the folders that reference/check_folders.py draws: the same answer as transformers, or a refusal that names
/// what was drawn.
@Suite struct FolderSampleTests {
    @Test func thereIsASample() throws {
        let expected = try SampledFolder.all.map { try $0.expected() }
        #expect(expected.count { $0.response != nil } >= 8)
        #expect(expected.count { $0.response == nil } >= 3)
        #expect(expected.count { $0.drawn.contains { $0.hasPrefix("adapter") } } >= 3)
    }

    @Test(arguments: SampledFolder.all) func answersAsTransformersOrRefuses(_ folder: SampledFolder) throws {
        let expected = try folder.expected()
        guard let response = expected.response else {
            let error = try #require(throws: InferenceError.self) { try folder.answer(expected) }
            #expect(expected.refusals.contains { (try? Regex($0).firstMatch(in: error.message)) ?? nil != nil })
            return
        }
        let answer = try folder.answer(expected)
        #expect(answer.prefixTokenCount == response.prefix)
        // Where two tokens are as good as equally likely, last bits decide.
        let sure = response.margins.firstIndex { $0 < 1e-3 } ?? response.tokens.count
        #expect(answer.tokens.prefix(sure) == response.tokens.prefix(sure))
        for (found, true_) in zip(answer.logProbabilities, response.logprobs).prefix(sure) {
            #expect(abs(found - true_) <= 1e-4)
        }
    }
}
