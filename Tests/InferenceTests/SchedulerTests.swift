import Annotation
import Foundation
import Testing

@testable import Inference

/// The scheduler as a state machine over a real model: whatever the order, the limits and what is cancelled, a query is
/// answered as it is alone.
@Suite struct SchedulerTests {
    private let model: PaliGemma
    private let images: [Scheduler.Image]
    private let queries: [Scheduler.Query]

    init() throws {
        let golden = try Golden(Golden.fixtures.appending(path: "tiny2"))
        let model = try golden.model()
        let names = Array(Set(golden.cases.flatMap(\.images))).sorted()
        images = zip(names, golden.pixels(names, model)).map { Scheduler.Image($1, key: $0) }
        let byName = Dictionary(uniqueKeysWithValues: zip(names, images))
        queries = (0..<2 * golden.cases.count).map { id in
            let example = golden.cases[id / 2]
            let sampled = id % 3 == 1
            var settings = DecodeSettings(
                maxTokens: 1 + id % 9, samples: sampled ? 1 + id % 5 : 1, temperature: sampled ? 0.9 : 0,
                topK: id % 4 == 1 ? 40 : 0, topP: id % 5 == 1 ? 0.9 : 1, seed: UInt64(id / 3))
            var options: [String] = []
            switch id % 8 {
            case 0: settings = DecodeSettings(maxTokens: 1 + id % 9, beams: 2 + id / 8 % 7)
            case 4: settings = DecodeSettings(maxTokens: 12, beams: 3, continueFrom: "a red")
            case 5: (settings, options) = (DecodeSettings(), ["yes", "", "a red cube \(id)", "no"])
            case 7: (settings.maxTokens, settings.continueFrom, settings.maxRepeats) = (12, "a red", 2)
            default: break
            }
            return Scheduler.Query(
                id: id, images: example.images.map { byName[$0]! }, prompt: example.prompt, settings: settings,
                options: options, priority: id % 7 - 3)
        }
        self.model = model
    }

    private func alone(_ query: Scheduler.Query) throws -> [Generation] {
        var scheduler = Scheduler(model: model)
        scheduler.submit(query)
        return try #require(scheduler.finish()[query.id]).get()
    }

    private func need(_ query: Scheduler.Query) throws -> Int {
        model.keyValues.byteCount(of: try model.waitingPrefix(of: query))
    }

    @Test(arguments: 0..<12) func anyScheduleGivesTheSameBits(seed: UInt64) throws {
        var random = SplitMix64(seed)
        let expected = try queries.map(alone)
        let largest = try queries.map(need).max()!
        let budget = [largest / 2, largest, 3 * largest, .max].randomElement(using: &random)!
        var scheduler = Scheduler(
            model: model,
            limits: Scheduler.Limits(
                keyValueBytes: budget, imageBytes: [0, 1 << 16, 1 << 26].randomElement(using: &random)!,
                rows: [1, 7, 160].randomElement(using: &random)!))
        var (left, submitted, cancelled) = (queries.shuffled(using: &random), Set<Int>(), Set<Int>())
        var answers: [Int: [Generation]] = [:]
        while !left.isEmpty || !scheduler.isIdle {
            while let next = left.last, scheduler.isIdle || Bool.random(using: &random) {
                scheduler.submit(next)
                submitted.insert(next.id)
                left.removeLast()
            }
            if Int.random(in: 0..<20, using: &random) == 0, let id = submitted.sorted().randomElement(using: &random) {
                scheduler.cancel(id)
                if answers[id] == nil { cancelled.insert(id) }
            }
            for completion in scheduler.step() {
                #expect(answers[completion.id] == nil, "answered twice")
                answers[completion.id] = try completion.result.get()
            }
            #expect(scheduler.keyValueBytes <= max(budget, largest))
        }
        #expect(Set(answers.keys).isDisjoint(with: cancelled))
        #expect(Set(answers.keys).union(cancelled).count == queries.count)
        for (id, answer) in answers { #expect(answer == expected[id]) }
        #expect(scheduler.liveCount == 0 && scheduler.keyValueBytes == 0)
    }

    @Test func equalPrefixesAndImagesAreComputedOnce() throws {
        func query(_ id: Int, _ prompt: String, image: Int = 0, seed: UInt64 = 0) -> Scheduler.Query {
            Scheduler.Query(
                id: id, images: [images[image]], prompt: prompt,
                settings: DecodeSettings(maxTokens: 4, samples: 2, temperature: 1, seed: seed))
        }
        let all = [query(0, "caption en"), query(1, "caption en", seed: 5), query(2, "ocr"), query(3, "ocr", image: 1)]
        let expected = try all.map(alone)
        var scheduler = Scheduler(model: model)
        all.forEach { scheduler.submit($0) }
        let answers = scheduler.finish()
        for query in all { #expect(try answers[query.id]?.get() == expected[query.id]) }
        var statistics = scheduler.statistics
        #expect(statistics.imageCount == 2 && statistics.imageHitCount == 2)
        #expect(statistics.prefillCount == 3 && statistics.sharedPrefillCount == 1)
        #expect(statistics.extendCount == 3, "eight answers of four tokens, the first from the prefill")

        scheduler.submit(query(4, "caption en"))
        #expect(try scheduler.finish()[4]?.get() == expected[0])
        statistics = scheduler.statistics
        #expect(statistics.imageCount == 2 && statistics.imageHitCount == 3, "the image is remembered")
        #expect(statistics.prefillCount == 4, "the prefix is not")
    }

    @Test func imagesAreForgottenWhereTheyHaveNoRoom() throws {
        let bytes = model.configuration.imageTokenCount * model.configuration.text.width * 4
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(imageBytes: 2 * bytes))
        for (id, index) in [0, 1, 0, 2, 0, 1].enumerated() {
            scheduler.submit(
                Scheduler.Query(
                    id: id, images: [images[index]], prompt: "ocr", settings: DecodeSettings(maxTokens: 1)))
            _ = scheduler.finish()
        }
        // 0 and 1 fit; 2 drives out 1, which was used longest ago; 1 has to be computed again.
        #expect(scheduler.statistics.imageCount == 4 && scheduler.statistics.imageHitCount == 2)
        #expect(scheduler.images.byteCount == 2 * bytes)
    }

    /// Responses have memory as they grow: more are computed together than would fit at their full length, within the
    /// budget all the same, and what waits for memory is answered as it is alone.
    @Test(arguments: [3, 8]) func memoryIsTakenAsItIsNeeded(room: Int) throws {
        let text = String(repeating: "a red cube ", count: 20)
        let long = (0..<14).map { id in
            var settings = DecodeSettings(
                maxTokens: 60 + 20 * id, samples: 1 + id % 2, temperature: 3, seed: UInt64(id))
            if id % 5 == 4 { settings = DecodeSettings(maxTokens: 200, beams: 2 + id % 3, continueFrom: text) }
            if id == 3 { settings = DecodeSettings() }
            return Scheduler.Query(
                id: id, images: [images[id % 2]], prompt: "answer en \(id)", settings: settings,
                options: id == 3 ? [text, text + "cat"] : [])
        }
        let expected = try long.map(alone)
        let budget = try long.map(need).max()! * room / 2
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(keyValueBytes: budget))
        long.forEach { scheduler.submit($0) }
        var most = 0
        var answers: [Int: [Generation]] = [:]
        while !scheduler.isIdle {
            for completion in scheduler.step() { answers[completion.id] = try completion.result.get() }
            #expect(scheduler.keyValueBytes <= budget)
            let plan = scheduler.memoryPlan
            most = max(most, plan.holdings.reduce(0) { $0 + $1.bytes + $1.remaining })
        }
        #expect(long.allSatisfy { answers[$0.id] == expected[$0.id] })
        #expect(most > budget, "not all of it was reserved")
        #expect(scheduler.keyValueBytes == 0)
    }

    /// What needs more than the budget is computed alone; nothing that came later overtakes it.
    @Test func theBudgetHoldsAndNobodyStarves() throws {
        func query(_ id: Int, maxTokens: Int) -> Scheduler.Query {
            Scheduler.Query(
                id: id, images: [images[0]], prompt: "answer en \(id)", settings: DecodeSettings(maxTokens: maxTokens))
        }
        let small = (0..<20).map { query($0, maxTokens: 3) }
        let large = query(100, maxTokens: 300)
        let budget = try small.map(need).max()! * 2
        #expect(try need(large) > budget)
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(keyValueBytes: budget))
        small.prefix(10).forEach { scheduler.submit($0) }
        scheduler.submit(large)
        small.suffix(10).forEach { scheduler.submit($0) }
        var order: [Int] = []
        while !scheduler.isIdle {
            order += scheduler.step().map(\.id)
            let waiting = Set(scheduler.waitingQueries)
            #expect(!waiting.contains(100) || waiting.isSuperset(of: 10..<20), "overtaken")
            if scheduler.keyValueBytes > budget { #expect(scheduler.liveCount == 1, "not alone") }
        }
        #expect(Set(order.prefix(10)) == Set(0..<10) && order[10] == 100 && order.count == 21)
    }

    @Test func whatCannotBeServedFailsAloneAndAtOnce() throws {
        let good = queries[0]
        func broken(_ id: Int, size: Int? = nil, prompt: String = "x", topP: Double = 1) -> Scheduler.Query {
            let side = size ?? model.configuration.vision.imageSize
            let pixels = PixelValues(rgb: [0, 0, 0], width: 1, height: 1, size: side)
            return Scheduler.Query(
                id: id, images: [Scheduler.Image(pixels)], prompt: prompt, settings: DecodeSettings(topP: topP))
        }
        var scheduler = Scheduler(model: model)
        scheduler.submit(good)
        scheduler.submit(broken(101, size: 7))
        scheduler.submit(broken(102, prompt: String(repeating: "word ", count: 9000)))
        scheduler.submit(broken(103, topP: 0))
        let first = scheduler.step()
        #expect(first.map(\.id) == [101, 102, 103])
        for (completion, word) in zip(first, ["side of 7 pixels", "positions", "top-p is 0.0"]) {
            #expect { try completion.result.get() } throws: { "\($0)".contains(word) }
        }
        #expect(try scheduler.finish()[good.id]?.get() == alone(good))
    }

    @Test func whatIsCancelledLeavesNothingBehind() {
        var scheduler = Scheduler(model: model)
        queries.forEach { scheduler.submit($0) }
        _ = scheduler.step()
        _ = scheduler.step()
        #expect(scheduler.liveCount > 0)
        queries.forEach { scheduler.cancel($0.id) }
        #expect(scheduler.isIdle && scheduler.keyValueBytes == 0)
        #expect(scheduler.step().isEmpty)
    }

    private func query(
        _ id: Int, _ prompt: String, images: [Scheduler.Image]? = nil, _ settings: DecodeSettings
    ) -> Scheduler.Query {
        Scheduler.Query(id: id, images: images ?? [self.images[0]], prompt: prompt, settings: settings)
    }

    /// Answers of one token end with their prefill and are never live; they must not keep the live ones waiting, be
    /// they better ones.
    @Test func shortAnswersDoNotStarveLongOnes() throws {
        let long = try #require(
            queries.first { try $0.priority > 0 && $0.settings.samples == 1 && alone($0)[0].tokens.count > 2 })
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(rows: 4))
        scheduler.submit(long)
        while scheduler.liveCount == 0 { _ = scheduler.step() }
        var ended: Set<Int> = []
        for id in 1000..<1100 where !ended.contains(long.id) {
            scheduler.submit(query(id, "answer en \(id)", DecodeSettings(maxTokens: 1)))
            ended.formUnion(scheduler.step().map(\.id))
        }
        #expect(ended.contains(long.id))
    }

    /// One letter with an accent, and a letter and an accent: equal strings, other tokens.
    @Test func equalTextOfOtherTokensSharesNothing() throws {
        let both = [query(0, "caf\u{e9}", DecodeSettings()), query(1, "cafe\u{301}", DecodeSettings())]
        try #require(both[0].prompt == both[1].prompt)
        try #require(try model.tokenizer.encode(both[0].prompt) != model.tokenizer.encode(both[1].prompt))
        let expected = try both.map(alone)
        var scheduler = Scheduler(model: model)
        both.forEach { scheduler.submit($0) }
        let answers = scheduler.finish()
        for query in both { #expect(try answers[query.id]?.get() == expected[query.id]) }
        #expect(scheduler.statistics.sharedPrefillCount == 0)
    }

    @Test func extremesOfWhatMayBeAsked() throws {
        let many = DecodeSettings(maxTokens: 2, samples: 1024, temperature: 1)
        let few = DecodeSettings(maxTokens: 2, samples: 3, temperature: 1)
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(keyValueBytes: 1, imageBytes: 0, rows: 1))
        scheduler.submit(query(0, "ocr", many))
        scheduler.submit(query(1, "ocr", few))
        scheduler.submit(query(2, "ocr", images: [], DecodeSettings(maxTokens: 1)))
        let answers = scheduler.finish()
        let sampled = try #require(answers[0]).get()
        #expect(sampled.count == 1024)
        #expect(try answers[1]?.get() == Array(sampled.prefix(3)))
        let blind = try #require(answers[2]).get()
        #expect(blind[0].tokens.count == 1 && blind[0].prefixTokenCount < model.configuration.imageTokenCount)
    }

    @Test func aNumberMayBeUsedAgainOnceItIsCancelled() throws {
        var scheduler = Scheduler(model: model)
        for steps in 0..<4 {
            scheduler.submit(query(0, "ocr", DecodeSettings(maxTokens: 8)))
            for _ in 0..<steps { #expect(scheduler.step().isEmpty) }
            scheduler.cancel(0)
            #expect(scheduler.isIdle == true)
        }
        scheduler.submit(query(0, "caption en", DecodeSettings()))
        #expect(try scheduler.finish()[0]?.get() == alone(query(0, "caption en", DecodeSettings())))
        let (room, limit) = (scheduler.images.roomBytes, scheduler.limits.imageBytes)
        #expect(room == limit, "no pin is left")
    }

    /// Every second of a pass is somebody's.
    @Test func secondsAreSharedOut() {
        var scheduler = Scheduler(model: model)
        queries.forEach { scheduler.submit($0) }
        var sum = Scheduler.StageSeconds()
        while !scheduler.isIdle {
            for completion in scheduler.step() {
                sum.vision += completion.seconds.vision
                sum.prefill += completion.seconds.prefill
                sum.extend += completion.seconds.extend
            }
        }
        let spent = scheduler.statistics.seconds
        #expect(spent.vision > 0 && spent.prefill > 0 && spent.extend > 0)
        #expect(abs(sum.vision - spent.vision) < 1e-9 && abs(sum.prefill - spent.prefill) < 1e-9)
        #expect(abs(sum.extend - spent.extend) < 1e-9)
    }
}

extension Scheduler {
    /// Steps until nothing is left.
    fileprivate mutating func finish() -> [Int: Result<[Generation], InferenceError>] {
        var results: [Int: Result<[Generation], InferenceError>] = [:]
        while !isIdle { for completion in step() { results[completion.id] = completion.result } }
        return results
    }
}

/// A random number generator that repeats itself (Steele et al. 2014).
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
