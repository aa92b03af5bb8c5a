import Annotation
import Foundation
import Testing

@testable import Inference

/// Tokens that are given instead of drawn: options, which are scored, and beginnings, which are continued.
@Suite struct GivenTokensTests {
    private let golden: Golden

    init() throws { golden = try Golden(goldenFolders[0]) }

    private func request(
        _ model: PaliGemma, _ settings: DecodeSettings = DecodeSettings(), options: [String] = [],
        prompt: String = "caption en"
    ) throws -> GenerationRequest {
        let images = try model.embedImages(golden.pixels(["rgb.png"], model))
        return GenerationRequest(images: images, prompt: prompt, settings: settings, options: options)
    }

    /// However many there are, each is scored as it is alone, bit for bit: fewer of its tokens are taken in a pass where
    /// there are more of them.
    @Test(arguments: Precision.allCases) func optionsAreScored(precision: Precision) throws {
        let model = try golden.model(precision: precision)
        let long = String(repeating: "a red cube on a mat ", count: 8)
        let texts = ["", "cat", long, "dog", "cat"] + (0..<150).map { "\(long)\($0)" }
        let request = try request(model, options: texts)
        #expect(try model.tokenizer.encode(long).count > 70)
        let results = try model.generate([request])[0].get()
        #expect(results.count == texts.count && results[1] == results[4])
        for index in [0, 1, 2, 3, 80, 154] {
            let score = try model.score(images: request.images, prompt: request.prompt, suffix: texts[index])
            #expect(results[index] == score)
            #expect(score.text == texts[index] || index == 2)
            #expect(try score.tokens == model.tokenizer.encode(texts[index]) + [model.configuration.endTokens[0]])
            #expect(score.finishReason == .eos)
        }
        #expect(results[0].tokens.count == 1)
    }

    /// What is scored has the bits of what is drawn, one token a pass or many.
    @Test(arguments: Precision.allCases) func scoresAreThoseOfTheDrawing(precision: Precision) throws {
        let model = try golden.model(precision: precision)
        var lengths: [Int] = []
        for example in golden.cases {
            let asked = try request(
                model, DecodeSettings(maxTokens: 12, samples: 8, temperature: 1, seed: 5), prompt: example.prompt)
            let drawn = try model.generate([asked])[0].get().filter { $0.finishReason == .eos }
            // Of texts that are read as the tokens that they were made of.
            let read = try drawn.filter { try model.tokenizer.encode($0.text) == $0.tokens.dropLast() }
            guard !read.isEmpty else { continue }
            let options = try request(model, options: read.map(\.text), prompt: example.prompt)
            #expect(try model.generate([options])[0].get() == read)
            lengths += read.map(\.tokens.count)
        }
        #expect(lengths.count > 10 && lengths.max()! > 3)
    }

    /// A response that continues from its own beginning is the same response.
    @Test(arguments: Precision.allCases) func continuingIsLikeHavingDrawn(precision: Precision) throws {
        let model = try golden.model(precision: precision)
        var compared = 0
        for example in golden.cases {
            let whole = try model.generate([try request(model, DecodeSettings(maxTokens: 12), prompt: example.prompt)])[
                0
            ]
            .get()[0]
            for count in 1..<max(whole.tokens.count - 1, 1) {
                let text = model.tokenizer.decode(Array(whole.tokens.prefix(count)))
                guard try model.tokenizer.encode(text) == Array(whole.tokens.prefix(count)) else { continue }
                let settings = DecodeSettings(maxTokens: 12, continueFrom: text)
                #expect(try model.generate([try request(model, settings, prompt: example.prompt)])[0].get() == [whole])
                compared += 1
            }
        }
        #expect(compared > 5)
    }

    /// The reference scores the suffix and then continues: what it continues with is the likeliest.
    @Test func aBeginningIsScoredAndCounted() throws {
        let model = try golden.model()
        for example in golden.cases.prefix(6) {
            let images = try model.embedImages(golden.pixels(example.images, model))
            let count = example.score.suffix_ids.count - 1
            for settings in [
                DecodeSettings(maxTokens: count + 2, samples: 2, temperature: 1, continueFrom: example.score.suffix),
                DecodeSettings(maxTokens: count + 2, beams: 3, continueFrom: example.score.suffix),
            ] {
                let request = GenerationRequest(images: images, prompt: example.prompt, settings: settings)
                let responses = try model.generate([request])[0].get()
                #expect(responses.count == settings.samples)
                for response in responses {
                    #expect(response.tokens.prefix(count) == example.score.suffix_ids.prefix(count))
                    for (ours, theirs) in zip(response.logProbabilities, example.score.logprobs).prefix(count) {
                        #expect(abs(ours - theirs) < 1e-4)
                    }
                    #expect(response.tokens.count > count && response.tokens.count <= count + 2)
                }
            }
        }
    }

    @Test func aBeginningNeedsRoom() throws {
        let model = try golden.model()
        let count = try model.tokenizer.encode("a red cube").count
        func error(_ settings: DecodeSettings, options: [String] = []) throws -> InferenceError? {
            let request = try request(model, settings, options: options)
            return #expect(throws: InferenceError.self) { try model.generate([request])[0].get() }
        }
        let full = try error(DecodeSettings(maxTokens: count, continueFrom: "a red cube"))
        #expect(full?.code == .invalidRequest)
        #expect(full?.message.contains("continue from has \(count) tokens, max tokens is \(count)") == true)
        let fits = try request(model, DecodeSettings(maxTokens: count + 1, continueFrom: "a red cube"))
        #expect(try model.generate([fits])[0].get()[0].tokens.count == count + 1)

        for settings in [DecodeSettings(samples: 2), DecodeSettings(beams: 2), DecodeSettings(continueFrom: "a")] {
            let both = try error(settings, options: ["x"])
            #expect(both?.code == .invalidRequest && both?.message.contains("options are scored") == true)
        }
        let many = try error(DecodeSettings(), options: [String](repeating: "x", count: 1025))
        #expect(many?.message == "there are 1025 options, expected up to 1024")
        let long = try error(DecodeSettings(), options: ["x", String(repeating: "word ", count: 9000)])
        #expect(long?.message.contains("positions") == true)
    }

    /// A response stops where it repeats itself, which is said, and not before.
    @Test func repetitionsEnd() throws {
        let model = try golden.model()
        let text = String(repeating: "cat ", count: 5)
        var repeated = 0
        for maxRepeats in [2, 3] {
            let settings = DecodeSettings(
                maxTokens: 60, samples: 30, temperature: 0.7, continueFrom: text, maxRepeats: maxRepeats)
            var free = settings
            free.maxRepeats = 0
            let (ended, whole) = try (
                model.generate([try request(model, settings)])[0].get(),
                model.generate([try request(model, free)])[0].get()
            )
            let given = try model.tokenizer.encode(text).count
            for (response, all) in zip(ended, whole) {
                #expect(all.tokens.starts(with: response.tokens))
                let stop = (given + 1...all.tokens.count).first { count in
                    Repetition.ends(Array(all.tokens.prefix(count)), times: maxRepeats)
                }
                if response.finishReason == .repetition {
                    #expect(response.tokens.count == stop)
                    repeated += 1
                } else {
                    #expect(response == all && (stop == nil || stop == all.tokens.count))
                }
            }
        }
        #expect(repeated > 0)
    }

    @Test func theLikeliestSampleIsHandedOver() throws {
        let model = try golden.model()
        let settings = DecodeSettings(maxTokens: 9, samples: 6, temperature: 1, seed: 3)
        var picked = settings
        picked.pick = .likeliest
        let all = try model.generate([try request(model, settings)])[0].get()
        #expect(Set(all.map(\.sumLogprob)).count > 1)
        let best = all.max { $0.sumLogprob < $1.sumLogprob }!
        #expect(try model.generate([try request(model, picked)])[0].get() == [best])
        // Of options each is a result.
        let options = try request(model, DecodeSettings(pick: .likeliest), options: ["a", "b"])
        #expect(try model.generate([options])[0].get().count == 2)
    }
}
