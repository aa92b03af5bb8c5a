import Annotation
import Foundation
import Testing

@testable import Inference

let goldenFolders = ["tiny", "tiny2", "tiny3"].map { Golden.fixtures.appending(path: $0) }

/// Every stage against Hugging Face transformers in f32.
@Suite struct ParityTests {
    @Test(arguments: goldenFolders) func pixelsAreBitIdentical(folder: URL) throws {
        let golden = try Golden(folder)
        let model = try golden.model()
        var compared = 0
        for name in golden.imageNames {
            let image = try #require(golden.rgb(name))
            let resized = try #require(golden.resized(name))
            let size = model.configuration.vision.imageSize
            let ours = resizeBicubic(
                image.bytes, width: image.width, height: image.height, toWidth: size, toHeight: size)
            #expect(ours == resized, "\(name)")
            if let expected = golden.pixelValues(name) {
                #expect(golden.pixels([name], model)[0].values == expected, "\(name)")
                compared += 1
            }
        }
        #expect(compared > 0)
    }

    /// All 256 values, and patches as the vision tower takes them.
    @Test func patchesArePartsOfTheValues() {
        let (size, side) = (28, 7)
        let pixels = PixelValues(resized: (0..<size * size * 3).map { UInt8(truncatingIfNeeded: $0 &* 37) }, size: size)
        let values = pixels.values
        #expect(Set(values).count == 256 && values.min() == -1 && values.max() == 1)
        for (row, column) in [(0, 0), (0, 3), (2, 1), (3, 3)] {
            let expected = (0..<3).flatMap { channel in
                (0..<side).flatMap { y in
                    (0..<side).map { values[(channel * size + row * side + y) * size + column * side + $0] }
                }
            }
            #expect(pixels.patch(row: row, column: column, size: side) == expected)
        }
    }

    /// reference/pixels.py's formula, which has TensorFlow's bits: reference/check_resize.py.
    @Test func resizeLikeBigVision() throws {
        let sources = try SafeTensorsFile(Golden.fixtures.appending(path: "images/resize.safetensors"))
        let file = try SafeTensorsFile(Golden.fixtures.appending(path: "images/resize_bilinear.safetensors"))
        let names = file.entries.keys.filter { $0.hasSuffix("/bilinear") }.map { $0.dropLast("/bilinear".count) }
        #expect(names.count > 10)
        for name in names {
            let source = try #require(file.raw("\(name)/source") ?? sources.raw("\(name)/source"))
            let targets = [("bilinear", resizeBilinear), ("antialiased", resizeAntialiased)]
            for (kind, resize) in targets {
                let target = try #require(file.raw("\(name)/\(kind)"))
                let ours = resize(source.bytes, source.shape[1], source.shape[0], target.shape[1], target.shape[0])
                #expect(ours == target.bytes, "\(name)/\(kind)")
            }
        }
    }

    /// Both orders of the passes, up and down, extreme aspects.
    @Test func resizeLikePillow() throws {
        let file = try SafeTensorsFile(Golden.fixtures.appending(path: "images/resize.safetensors"))
        let names = file.entries.keys.filter { $0.hasSuffix("/source") }
        #expect(names.count > 10)
        for name in names {
            let source = try #require(file.raw(name))
            let target = try #require(file.raw(name.replacing("/source", with: "/target")))
            let ours = resizeBicubic(
                source.bytes, width: source.shape[1], height: source.shape[0], toWidth: target.shape[1],
                toHeight: target.shape[0])
            #expect(ours == target.bytes, "\(name)")
        }
    }

    @Test(arguments: goldenFolders) func imageFeatures(folder: URL) throws {
        let golden = try Golden(folder)
        let model = try golden.model()
        #expect(golden.imageNames.count == 6)
        for name in golden.imageNames {
            let expected = try #require(golden.features(name), "\(name)")
            let features = try model.embedImages(golden.pixels([name], model))[0]
            #expect(relativeError(features.values, expected) < 2e-5, "\(name)")
        }
    }

    @Test(arguments: goldenFolders) func prefillLogits(folder: URL) throws {
        let golden = try Golden(folder)
        let model = try golden.model()
        var wholeCount = 0
        #expect(golden.cases.count > 20)
        for example in golden.cases {
            let stages = try model.stages(images: golden.pixels(example.images, model), prompt: example.prompt)
            #expect(stages.logits.count == example.input_ids.count)
            let last = try #require(golden.lastLogits(example.id))
            #expect(relativeError(stages.logits.last!, last) < 2e-5, "\(example.id)")
            if let all = golden.logits(example.id) {
                #expect(relativeError(stages.logits.flatMap { $0 }, all) < 2e-5, "\(example.id)")
                wholeCount += 1
            }
        }
        #expect(wholeCount > 0)
    }

    @Test(arguments: goldenFolders) func greedyAnswersAndScores(folder: URL) throws {
        let golden = try Golden(folder)
        try compare(golden.cases, golden, golden.model(), leastSure: 100)
    }

    /// As big_vision computes PaliGemma 2: without the window answers and scores are others.
    @Test func withoutItsWindow() throws {
        let golden = try Golden(Golden.fixtures.appending(path: "tiny3"))
        let model = try golden.model(options: LoadOptions(window: .none))
        let cases = try golden.cases("cases_none")
        try compare(cases, golden, model, leastSure: 50)
        let windowed = Dictionary(uniqueKeysWithValues: golden.cases.map { ($0.id, $0) })
        #expect(cases.contains { $0.greedy.ids != windowed[$0.id]!.greedy.ids })
        #expect(
            cases.contains { example in
                zip(example.score.logprobs, windowed[example.id]!.score.logprobs).contains { abs($0 - $1) > 0.1 }
            })
        #expect(try model.digest == golden.model().digest + "-window-none")
    }

    private func compare(
        _ cases: [Golden.Case], _ golden: Golden, _ model: PaliGemma, leastSure: Int
    ) throws {
        var sureCount = 0
        for example in cases {
            let images = try model.embedImages(golden.pixels(example.images, model))
            let settings = DecodeSettings(maxTokens: example.greedy.ids.count)
            let request = GenerationRequest(images: images, prompt: example.prompt, settings: settings)
            let answer = try model.generate([request])[0].get()[0]
            // A near-tie may fall either way in f32: compare up to it.
            let sure = example.greedy.margins.firstIndex { $0 < 1e-3 } ?? example.greedy.ids.count
            sureCount += sure
            #expect(answer.tokens.prefix(sure) == example.greedy.ids.prefix(sure), "\(example.id)")
            for (ours, theirs) in zip(answer.logProbabilities, example.greedy.logprobs).prefix(sure) {
                #expect(abs(ours - theirs) < 1e-4, "\(example.id)")
            }
            if sure == example.greedy.ids.count { #expect(answer.text == example.greedy.text, "\(example.id)") }
            let score = try model.score(images: images, prompt: example.prompt, suffix: example.score.suffix)
            #expect(score.tokens == example.score.suffix_ids)
            for (ours, theirs) in zip(score.logProbabilities, example.score.logprobs) {
                #expect(abs(ours - theirs) < 1e-4, "\(example.id)")
            }
        }
        #expect(sureCount > leastSure)
    }

    @Test(arguments: goldenFolders) func tokenizer(folder: URL) throws {
        let golden = try Golden(folder)
        let tokenizer = try Tokenizer(contentsOf: folder.appending(path: "model/tokenizer.model"))
        for example in golden.texts.encode {
            #expect(try tokenizer.encode(example.text) == example.ids, "\(example.text.debugDescription)")
            #expect(tokenizer.decode(example.ids) == example.decoded, "\(example.text.debugDescription)")
        }
        for example in golden.texts.decode { #expect(tokenizer.decode(example.ids) == example.text, "\(example.ids)") }
    }
}
