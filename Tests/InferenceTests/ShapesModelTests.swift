import Annotation
import Foundation
import Images
import Testing

@testable import Inference

/// The model that ships, from image files to text, boxes and masks, against what Hugging Face answers
/// (reference/make_expected.py).
@Suite struct ShapesModelTests {
    private struct Expected: Decodable {
        struct Answer: Decodable {
            let file: String
            let prompt: String
            let ids: [Int]
            let text: String
            let logprob: Double
            let min_margin: Double
            /// Run lengths, down the columns, of each thing in the image: big_vision's pasting.
            let masks: [[Int]]?
        }
        let limit: Int
        let answers: [Answer]
    }

    private static let root = Golden.fixtures.deletingLastPathComponent().deletingLastPathComponent()
    private let folder = Self.root.appending(path: "models/gloss-shapes")
    private let expected: Expected
    private let model: PaliGemma
    private let images: [String: RGBImage]

    init() throws {
        let data = try Data(contentsOf: Golden.fixtures.appending(path: "shapes/expected.json"))
        expected = try JSONDecoder().decode(Expected.self, from: data)
        model = try PaliGemma(contentsOf: folder, threads: 2)
        images = try Dictionary(
            uniqueKeysWithValues: Set(expected.answers.map(\.file)).map { file in
                let bytes = [UInt8](try Data(contentsOf: Self.root.appending(path: "demo/\(file)")))
                return (file, try ImageDecoder.decode(bytes))
            })
    }

    private func generate(_ asked: [Expected.Answer]) throws -> [Generation] {
        let requests = try asked.map { answer in
            let image = images[answer.file]!
            let pixels = model.pixelValues(rgb: image.pixels, width: image.width, height: image.height)
            return GenerationRequest(
                images: try model.embedImages([pixels]), prompt: answer.prompt,
                settings: DecodeSettings(maxTokens: expected.limit))
        }
        return try model.generate(requests).map { try $0.get()[0] }
    }

    @Test func answersLikeHuggingFace() throws {
        let masks = try VAEMaskDecoder(contentsOf: folder.appending(path: "mask-decoder.safetensors"))
        let parser = DetectionParser(model.vocabulary)
        let certain = expected.answers.filter { $0.min_margin > 1e-2 }
        #expect(certain.count > 20 && certain.count { $0.masks != nil } > 5)
        for (answer, ours) in zip(certain, try generate(certain)) {
            let what = Comment(rawValue: "\(answer.file): \(answer.prompt)")
            #expect(ours.tokens == answer.ids, what)
            #expect(ours.text == answer.text, what)
            // Another libjpeg or libwebp may decode a pixel one step apart.
            #expect(abs(ours.sumLogprob - answer.logprob) < 0.05, what)
            let image = images[answer.file]!
            let found = parser.parse(ours).findings.masked(by: masks) { _ in (image.height, image.width) }
            let runs = found.compactMap { $0.mask?.runs }
            #expect(runs.count == (answer.masks ?? []).count, what)
            for (ours, theirs) in zip(runs, answer.masks ?? []) {
                // A mask ends where f32 changes its sign: another order of sums may move a pixel over it.
                #expect(differing(ours, theirs) <= 4, what)
            }
        }
    }

    /// In how many pixels two masks differ that are given as run lengths.
    private func differing(_ one: [Int], _ other: [Int]) -> Int {
        func pixels(_ runs: [Int]) -> [Bool] {
            runs.enumerated().flatMap { Array(repeating: $0.offset % 2 == 1, count: $0.element) }
        }
        let (a, b) = (pixels(one), pixels(other))
        return a.count == b.count ? zip(a, b).count { $0 != $1 } : .max
    }

    /// The demo's things are easy to see. The exact location is one of many that are as good, so its probability is
    /// some 0.05.
    @Test func whatIsEasyToSeeHasAHighScore() throws {
        let asked = expected.answers.filter { $0.prompt.hasPrefix("detect ") }
        let parser = DetectionParser(model.vocabulary)
        let scores = try generate(asked).flatMap { parser.parse($0).findings.map(\.score) }
        #expect(scores.count > 10 && scores.reduce(0, +) / Float(scores.count) > 0.9, "\(scores)")
    }
}
