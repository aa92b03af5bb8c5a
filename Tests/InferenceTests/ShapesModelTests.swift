import Annotation
import Foundation
import Images
import Testing

@testable import Inference

/// The model that ships, from image files to text, against what Hugging Face answers (reference/make_expected.py).
@Suite struct ShapesModelTests {
    private struct Expected: Decodable {
        struct Answer: Decodable {
            let file: String
            let prompt: String
            let ids: [Int]
            let text: String
            let logprob: Double
            let min_margin: Double
        }
        let answers: [Answer]
    }

    private static let root = Golden.fixtures.deletingLastPathComponent().deletingLastPathComponent()

    @Test func answersLikeHuggingFace() throws {
        let data = try Data(contentsOf: Golden.fixtures.appending(path: "shapes/expected.json"))
        let expected = try JSONDecoder().decode(Expected.self, from: data).answers
        let model = try PaliGemma(contentsOf: Self.root.appending(path: "models/gloss-shapes"), threads: 2)
        let requests = try expected.map { answer in
            let bytes = [UInt8](try Data(contentsOf: Self.root.appending(path: "demo/\(answer.file)")))
            let image = try ImageDecoder.decode(bytes)
            let pixels = model.pixelValues(rgb: image.pixels, width: image.width, height: image.height)
            return GenerationRequest(
                images: try model.embedImages([pixels]), prompt: answer.prompt, settings: DecodeSettings(maxTokens: 24))
        }
        #expect(requests.count > 20)
        #expect(expected.count { $0.min_margin > 1e-2 } > 20)
        for (answer, result) in zip(expected, model.generate(requests)) where answer.min_margin > 1e-2 {
            let ours = try result.get()[0]
            #expect(ours.tokens == answer.ids, "\(answer.file): \(answer.prompt)")
            #expect(ours.text == answer.text)
            // Another libjpeg or libwebp may decode a pixel one step apart.
            #expect(abs(ours.sumLogprob - answer.logprob) < 0.05, "\(answer.file): \(answer.prompt)")
        }
    }
}
