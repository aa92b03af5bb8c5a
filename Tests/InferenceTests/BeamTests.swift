import Annotation
import Foundation
import Testing

@testable import Inference

/// Beam search over models. That beams have the same bits in every batch, precision and instruction set is held in
/// BatchTests, SchedulerTests and AdapterBatchTests, which mix them with all else.
@Suite struct BeamTests {
    /// What the reference's search found: golden/beams_bv.json.
    private struct Search: Decodable {
        let id: String
        let beams: Int
        let max_tokens: Int
        let ids: [Int]
        let score: Double
        let cut: Bool
        let stable: Bool
    }

    private func requests(_ golden: Golden, _ model: PaliGemma) throws -> [(Search, GenerationRequest)] {
        let file = golden.folder.appending(path: "golden/beams_bv.json")
        let cases = Dictionary(uniqueKeysWithValues: golden.cases.map { ($0.id, $0) })
        return try JSONDecoder().decode([Search].self, from: Data(contentsOf: file)).filter(\.stable).map { search in
            let example = cases[search.id]!
            let images = try model.embedImages(golden.pixels(example.images, model))
            let settings = DecodeSettings(maxTokens: search.max_tokens, beams: search.beams)
            return (search, GenerationRequest(images: images, prompt: example.prompt, settings: settings))
        }
    }

    @Test(arguments: goldenFolders) func searchesAreTheReferences(folder: URL) throws {
        let golden = try Golden(folder)
        let model = try golden.model()
        let all = try requests(golden, model)
        #expect(all.count > 40)
        let results = model.generate(all.map(\.1))
        var greedyCount = 0
        for ((search, request), result) in zip(all, results) {
            let responses = try result.get()
            try #require(responses.count == 1)
            #expect(responses[0].tokens == search.ids, "\(search.id)")
            #expect(abs(responses[0].sumLogprob - search.score) < 1e-4, "\(search.id)")
            #expect(responses[0].finishReason == (search.cut ? .length : .eos), "\(search.id)")
            let greedy = GenerationRequest(
                images: request.images, prompt: request.prompt,
                settings: DecodeSettings(maxTokens: search.max_tokens))
            greedyCount += try model.generate([greedy])[0].get()[0].tokens == search.ids ? 1 : 0
        }
        #expect(greedyCount < all.count / 2, "else they would tell nothing")
    }

    /// Without a cache, whole vocabularies sorted.
    @Test(arguments: goldenFolders) func searchesAreLikeTheirSlowTwins(folder: URL) throws {
        let golden = try Golden(folder)
        let model = try golden.model()
        for (search, request) in try requests(golden, model) {
            let (fast, slow) = (try model.generate([request])[0].get()[0], try model.generateUncached(request)[0])
            #expect(fast.tokens == slow.tokens && fast.text == slow.text, "\(search.id)")
            #expect(fast.finishReason == slow.finishReason)
            #expect(zip(fast.logProbabilities, slow.logProbabilities).allSatisfy { abs($0 - $1) < 1e-4 })
        }
    }

    @Test func oneBeamIsGreedy() throws {
        let golden = try Golden(goldenFolders[0])
        let model = try golden.model()
        for example in golden.cases.prefix(4) {
            let images = try model.embedImages(golden.pixels(example.images, model))
            let request = GenerationRequest(
                images: images, prompt: example.prompt, settings: DecodeSettings(maxTokens: 12, beams: 1))
            #expect(try model.generate([request])[0].get()[0].tokens == example.greedy.ids)
        }
    }

    /// One prefill, one image; as many rows a step as beams; nothing is left when the search is over.
    @Test func aSearchCostsWhatAsManySamplesDo() throws {
        let golden = try Golden(goldenFolders[1])
        let model = try golden.model()
        let image = Scheduler.Image(golden.pixels(["rgb.png"], model)[0])
        var scheduler = Scheduler(model: model)
        scheduler.submit(
            Scheduler.Query(
                id: 0, images: [image], prompt: "caption en",
                settings: DecodeSettings(maxTokens: 80, beams: 4, continueFrom: String(repeating: "cube ", count: 30))))
        let layout = model.keyValues
        while !scheduler.isIdle {
            let ended = scheduler.step()
            #expect(scheduler.liveCount == (ended.isEmpty && scheduler.statistics.prefillCount > 0 ? 4 : 0))
            // Each beam counts its blocks as its own, and has one copy of the last at most.
            let own = scheduler.live.flatMap(\.own.blocks)
            #expect(own.reduce(0) { $0 + $1.byteCount } <= 4 * layout.byteCount(blocksFor: 80))
        }
        #expect(scheduler.statistics.prefillCount == 1 && scheduler.statistics.imageCount == 1)
        #expect(scheduler.statistics.extendRowCount.isMultiple(of: 4) && scheduler.keyValueBytes == 0)
    }

    @Test(arguments: [
        (DecodeSettings(beams: 0), "beams is 0, expected 1 to 8"), (DecodeSettings(beams: 9), "beams is 9"),
        (DecodeSettings(samples: 2, beams: 2), "expected 1 sample, not 2"),
        (DecodeSettings(beams: 2, temperature: 0.5), "temperature 0, not 0.5"),
        (DecodeSettings(beams: 2, maxRepeats: 3), "max repeats is 3, but beams do not stop"),
        (DecodeSettings(maxRepeats: 1), "max repeats is 1, expected 0"),
    ])
    func whatBeamsExcludeIsRefused(settings: DecodeSettings, message: String) throws {
        let model = try Golden(goldenFolders[0]).model()
        let request = GenerationRequest(images: [], prompt: "x", settings: settings)
        let error = #expect(throws: InferenceError.self) { try model.generate([request])[0].get() }
        #expect(error?.code == .invalidRequest && error?.message.contains(message) == true, "\(error!)")
    }
}
