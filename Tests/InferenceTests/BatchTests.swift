import Annotation
import CKernels
import Foundation
import Images
import Testing

@testable import Inference

/// A job alone and in any batch; the cached path and its slow twin; threads and instruction sets.
@Suite struct BatchTests {
    /// PaliGemma and PaliGemma 2.
    static let sets = ["tiny2", "tiny3"]

    /// A model, and requests of many kinds about its images.
    private struct Subject {
        let golden: Golden
        let model: PaliGemma
        let requests: [GenerationRequest]

        init(_ set: String) throws {
            golden = try Golden(Golden.fixtures.appending(path: set))
            model = try golden.model()
            var requests: [GenerationRequest] = []
            for (index, example) in golden.cases.enumerated() {
                let images = try model.embedImages(golden.pixels(example.images, model))
                let sampled = index % 2 == 1
                let settings = DecodeSettings(
                    maxTokens: 3 + index % 9, samples: sampled ? 1 + index % 5 : 1, temperature: sampled ? 0.9 : 0,
                    topK: index % 3 == 1 ? 40 : 0, topP: index % 4 == 1 ? 0.9 : 1, seed: UInt64(index / 3))
                requests.append(GenerationRequest(images: images, prompt: example.prompt, settings: settings))
                guard index % 3 == 0 else { continue }
                requests += Self.others(images, example.prompt, index)
            }
            self.requests = requests
        }

        /// Beams, what is given, and what is picked.
        private static func others(_ images: [ImageTokens], _ prompt: String, _ index: Int) -> [GenerationRequest] {
            let beams = DecodeSettings(maxTokens: 4 + index % 7, beams: 2 + index / 3 % 7)
            var onward = DecodeSettings(maxTokens: 16, samples: 3, temperature: 1, continueFrom: "a red cube")
            onward.pick = index % 2 == 0 ? .likeliest : .all
            onward.maxRepeats = 2
            var both = beams
            (both.maxTokens, both.continueFrom) = (12, "a red")
            let all = [beams, onward, both].map { GenerationRequest(images: images, prompt: prompt, settings: $0) }
            return all + [
                GenerationRequest(
                    images: images, prompt: prompt, settings: DecodeSettings(),
                    options: ["cat", "", "a red cube", "<loc0100> <loc0200> dog", "cat"])
            ]
        }
    }

    @Test(arguments: sets, Precision.allCases)
    func anyBatchGivesTheSameBits(set: String, precision: Precision) throws {
        let subject = try Subject(set)
        let (requests, model) = (subject.requests, try subject.golden.model(precision: precision))
        let alone = try requests.map { try model.generate([$0])[0].get() }
        let together = try model.generate(requests).map { try $0.get() }
        #expect(together == alone)
        var noise = Noise(77)
        for _ in 0..<6 {
            let picked = (0..<12).map { _ in Int(abs(noise.next()) * Float(requests.count - 1)) }
            let answers = try model.generate(picked.map { requests[$0] }).map { try $0.get() }
            for (index, answer) in zip(picked, answers) { #expect(answer == alone[index]) }
        }
    }

    @Test(arguments: Precision.allCases) func imagesAreIndependentToo(precision: Precision) throws {
        let golden = try Golden(Golden.fixtures.appending(path: "tiny2"))
        let model = try golden.model(precision: precision)
        let pixels = golden.pixels(Array(Set(golden.cases.flatMap(\.images))).sorted(), model)
        #expect(try model.embedImages(pixels) == pixels.map { try model.embedImages([$0])[0] })
    }

    @Test(arguments: sets) func theCacheChangesNothingButRounding(set: String) throws {
        let subject = try Subject(set)
        let model = subject.model
        for request in subject.requests {
            let cached = try model.generate([request])[0].get()
            let slow = try model.generateUncached(request)
            #expect(cached.map(\.tokens) == slow.map(\.tokens))
            for (a, b) in zip(cached.flatMap(\.logProbabilities), slow.flatMap(\.logProbabilities)) {
                #expect(abs(a - b) < 1e-4)
            }
            for (ours, theirs) in zip(cached, slow) { expectSameSpreads(ours, theirs, model) }
        }
    }

    /// Every location has one, and no other token.
    private func expectSameSpreads(_ ours: Generation, _ theirs: Generation, _ model: PaliGemma) {
        let locations = ours.tokens.indices.filter { model.vocabulary.locations[ours.tokens[$0]] != nil }
        #expect(ours.spreads.keys.sorted() == locations && theirs.spreads.keys.sorted() == locations)
        for (index, spread) in ours.spreads {
            guard let slow = theirs.spreads[index] else { continue }
            #expect(abs(spread.mass - slow.mass) < 1e-4)
            #expect(zip(spread.positions, slow.positions).allSatisfy { abs($0 - $1) < 1 })
        }
    }

    @Test(arguments: sets) func scoringAnAnswerGivesItsLogProbabilities(set: String) throws {
        let subject = try Subject(set)
        let model = subject.model
        var lengths: [Int] = []
        for request in subject.requests {
            let settings = DecodeSettings(maxTokens: 12, samples: 8, temperature: 1, seed: 5)
            let sampled = GenerationRequest(images: request.images, prompt: request.prompt, settings: settings)
            // Text is scored: of answers that have ended, those whose text is read as the tokens that it was made of.
            for answer in try model.generate([sampled])[0].get() where answer.finishReason == .eos {
                guard try model.tokenizer.encode(answer.text) == answer.tokens.dropLast() else { continue }
                let score = try model.score(images: request.images, prompt: request.prompt, suffix: answer.text)
                #expect(score.tokens == answer.tokens)
                for (a, b) in zip(score.logProbabilities, answer.logProbabilities) { #expect(abs(a - b) < 1e-4) }
                lengths.append(answer.tokens.count)
            }
        }
        #expect(lengths.count > 10 && lengths.max()! > 2)
    }

    /// Alone on one thread and together on three. The fastest instructions say what is expected.
    @Test(arguments: sets, Precision.allCases)
    func everyInstructionSetAndThreadCountGivesTheSameBits(set: String, precision: Precision) throws {
        let subject = try Subject(set)
        let (golden, requests) = (subject.golden, drawn(subject.requests, every: 9))
        let expected = try golden.model(precision: precision).generate(requests).map { try $0.get() }
        for isa in instructionSets {
            let single = try golden.model(
                precision: precision, compute: Compute(instructionSet: isa, threadCount: 1))
            #expect(try requests.map { try single.generate([$0])[0].get() } == expected, "\(InstructionSet(isa))")
            let several = try golden.model(
                precision: precision, compute: Compute(instructionSet: isa, threadCount: 3))
            #expect(try several.generate(requests).map { try $0.get() } == expected, "\(InstructionSet(isa))")
        }
    }

    /// The same weights, bf16, in both: only the arithmetic differs. Mean and largest |Δ log-probability| of a token, over
    /// images of the kind that the model was trained on.
    @Test(arguments: [(Precision.bf16, 0.01, 0.1), (.bf16AMX, 0.01, 0.1), (.int8, 0.02, 1)])
    func lowerPrecisionStaysNear(precision: Precision, mean: Double, largest: Double) throws {
        let shapes = Golden.fixtures.deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "models/gloss-shapes")
        let exact = try PaliGemma(contentsOf: shapes, precision: .f32)
        let other = try PaliGemma(contentsOf: shapes, precision: precision)
        var differences: [Double] = []
        let images = shapes.deletingLastPathComponent().deletingLastPathComponent().appending(path: "demo/images")
        for number in stride(from: 13, to: 24, by: 3) {
            let file = try Data(contentsOf: images.appending(path: "scene-\(number).png"))
            let image = try ImageDecoder.decode([UInt8](file))
            let pixels = [exact.pixelValues(rgb: image.pixels, width: image.width, height: image.height)]
            let (before, after) = try (exact.embedImages(pixels), other.embedImages(pixels))
            for prompt in ["caption en", "answer en how many shapes are there?"] {
                let request = GenerationRequest(images: before, prompt: prompt, settings: DecodeSettings())
                let answer = try exact.generate([request])[0].get()[0]
                let a = try exact.score(images: before, prompt: prompt, suffix: answer.text)
                let b = try other.score(images: after, prompt: prompt, suffix: answer.text)
                differences += zip(a.logProbabilities, b.logProbabilities).map { abs($0 - $1) }
            }
        }
        #expect(differences.reduce(0, +) / Double(differences.count) < mean)
        #expect(differences.max()! < largest)
    }

    /// A random PaliGemma 2, whose f32 weights are rounded, too: mean and largest |Δ log-probability| of a scored token.
    @Test(arguments: [(Precision.bf16, 0.05, 0.4), (.bf16AMX, 0.05, 0.4), (.int8, 0.25, 1.5)])
    func lowerPrecisionOfPaliGemma2StaysNear(precision: Precision, mean: Double, largest: Double) throws {
        let golden = try Golden(Golden.fixtures.appending(path: "tiny3"))
        let model = try golden.model(precision: precision)
        var differences: [Double] = []
        for example in golden.cases {
            let images = try model.embedImages(golden.pixels(example.images, model))
            let score = try model.score(images: images, prompt: example.prompt, suffix: example.score.suffix)
            differences += zip(score.logProbabilities, example.score.logprobs).map { abs($0 - $1) }
        }
        #expect(differences.reduce(0, +) / Double(differences.count) < mean)
        #expect(differences.max()! < largest)
    }

    @Test func oneBadRequestTouchesNoOther() throws {
        let subject = try Subject("tiny2")
        let (model, good) = (subject.model, subject.requests[0])
        let long = GenerationRequest(
            images: good.images, prompt: String(repeating: "word ", count: 9000), settings: DecodeSettings())
        let wrong = GenerationRequest(images: good.images, prompt: "x", settings: DecodeSettings(topP: 0))
        let answers = model.generate([long, good, wrong])
        #expect(try answers[1].get() == model.generate([good])[0].get())
        #expect { try answers[0].get() } throws: { "\($0)".contains("positions") }
        #expect { try answers[2].get() } throws: { "\($0)".contains("top-p is 0.0") }
    }

    @Test func tooManyImagesAreToldHowManyFit() throws {
        let subject = try Subject("tiny2")
        let (model, good) = (subject.model, subject.requests[0])
        let (each, most) = (good.images[0].count, model.configuration.text.maxPositions)
        func answer(_ count: Int) -> Result<[Generation], InferenceError> {
            let images = Array(repeating: good.images[0], count: count)
            return model.generate([
                GenerationRequest(images: images, prompt: "x", settings: DecodeSettings(maxTokens: 4))
            ])[0]
        }
        let others = try answer(1).get()[0].prefixTokenCount - each + 4
        let fitting = (most - others) / each
        let count = fitting + 2
        #expect { try answer(count).get() } throws: {
            ($0 as? InferenceError)?.message
                == """
                prefix and response need \(count * each + others) tokens, the model has \(most) positions: \(fitting) of the \
                \(count) images fit, with \(each) tokens each
                """
        }
    }

    /// Keys and values of a long response lie in several blocks, the last of which is not full.
    @Test(arguments: sets) func responsesOfSeveralBlocks(set: String) throws {
        let subject = try Subject(set)
        var long = subject.requests.prefix(3).enumerated().map { index, request in
            GenerationRequest(
                images: request.images, prompt: request.prompt,
                settings: DecodeSettings(maxTokens: 135 + index, samples: 3, temperature: 3, seed: UInt64(index)))
        }
        let (first, text) = (subject.requests[0], String(repeating: "a red cube ", count: 20))
        let count = try subject.model.tokenizer.encode(text).count
        try #require(count > 70)
        long += [
            GenerationRequest(
                images: first.images, prompt: first.prompt,
                settings: DecodeSettings(maxTokens: count + 9, beams: 3, continueFrom: text)),
            GenerationRequest(
                images: first.images, prompt: first.prompt, settings: DecodeSettings(), options: [text, "cat"]),
        ]
        for precision in [Precision.f32, .bf16] {
            let model = try subject.golden.model(precision: precision)
            let alone = try long.map { try model.generate([$0])[0].get() }
            #expect(alone.joined().contains { $0.tokens.count > 128 })
            #expect(try model.generate(subject.requests + long).suffix(5).map { try $0.get() } == alone)
            guard precision == .f32 else { continue }
            for index in [0, 3, 4] {
                let slow = try model.generateUncached(long[index])
                #expect(slow.map(\.tokens) == alone[index].map(\.tokens))
                for (a, b) in zip(slow.flatMap(\.logProbabilities), alone[index].flatMap(\.logProbabilities)) {
                    #expect(abs(a - b) < 1e-4)
                }
            }
        }
    }

    @Test func truncationIsSaid() throws {
        let subject = try Subject("tiny2")
        let (model, requests) = (subject.model, subject.requests)
        let request = GenerationRequest(
            images: requests[0].images, prompt: requests[0].prompt, settings: DecodeSettings(maxTokens: 1))
        let answer = try model.generate([request])[0].get()[0]
        #expect(answer.tokens.count == 1)
        #expect(answer.finishReason == (answer.tokens[0] == model.configuration.endTokens[0] ? .eos : .length))
    }
}
