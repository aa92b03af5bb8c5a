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

    private func expected() throws -> [Expected.Answer] {
        let data = try Data(contentsOf: Golden.fixtures.appending(path: "shapes/expected.json"))
        return try JSONDecoder().decode(Expected.self, from: data).answers
    }

    private func generate(_ asked: [Expected.Answer], _ model: PaliGemma) throws -> [Generation] {
        let requests = try asked.map { answer in
            let bytes = [UInt8](try Data(contentsOf: Self.root.appending(path: "demo/\(answer.file)")))
            let image = try ImageDecoder.decode(bytes)
            let pixels = model.pixelValues(rgb: image.pixels, width: image.width, height: image.height)
            return GenerationRequest(
                images: try model.embedImages([pixels]), prompt: answer.prompt, settings: DecodeSettings(maxTokens: 24))
        }
        return try model.generate(requests).map { try $0.get()[0] }
    }

    private func model() throws -> PaliGemma {
        try PaliGemma(contentsOf: Self.root.appending(path: "models/gloss-shapes"), threads: 2)
    }

    @Test func answersLikeHuggingFace() throws {
        let (expected, model) = (try expected(), try model())
        #expect(expected.count > 20)
        #expect(expected.count { $0.min_margin > 1e-2 } > 20)
        for (answer, ours) in zip(expected, try generate(expected, model)) where answer.min_margin > 1e-2 {
            #expect(ours.tokens == answer.ids, "\(answer.file): \(answer.prompt)")
            #expect(ours.text == answer.text)
            // Another libjpeg or libwebp may decode a pixel one step apart.
            #expect(abs(ours.sumLogprob - answer.logprob) < 0.05, "\(answer.file): \(answer.prompt)")
        }
    }

    /// The demo's things are easy to see. The exact location is one of many that are as good, so its probability is
    /// some 0.05.
    @Test func whatIsEasyToSeeHasAHighScore() throws {
        let (asked, model) = (try expected().filter { $0.prompt.hasPrefix("detect ") }, try model())
        let parser = DetectionParser(model.vocabulary)
        let scores = try generate(asked, model).flatMap { parser.parse($0).findings.map(\.score) }
        #expect(scores.count > 10 && scores.reduce(0, +) / Float(scores.count) > 0.9, "\(scores)")
    }
}
