import Annotation
import CKernels
import Foundation
import Testing

@testable import Inference

/// Jobs of several adapters and of the base side by side: the same bits as alone.
@Suite struct AdapterBatchTests {
    static let sets = ["tiny", "tiny3"]

    /// A model in some precision, its adapters, and queries of all of them about a few images, some of the same images and prompts.
    private struct Subject {
        let model: PaliGemma
        let adapters: [Adapter?]
        let queries: [Scheduler.Query]
        static let asked = [
            ("rgb.png", "caption en"), ("photo.jpg", "detect cat"), ("rgb.png", "ocr"), ("photo.jpg", "caption en"),
        ]

        init(_ set: String, _ precision: Precision, _ compute: Compute = Compute(threadCount: 2)) throws {
            let golden = try Golden(Golden.fixtures.appending(path: set))
            let model = try golden.model(precision: precision, compute: compute)
            adapters =
                [nil]
                + (try GoldenAdapter.names.map {
                    try model.adapter(contentsOf: GoldenAdapter(set: set, name: $0).url)
                })
            var queries: [Scheduler.Query] = []
            for (index, (image, prompt)) in Self.asked.enumerated() {
                let pixels = Scheduler.Image(golden.pixels([image], model)[0], key: image)
                for (place, adapter) in adapters.enumerated() {
                    let sampled = (index + place) % 2 == 1
                    var settings = DecodeSettings(
                        maxTokens: 3 + place, samples: sampled ? 3 : 1, temperature: sampled ? 0.9 : 0,
                        seed: UInt64(place))
                    if index == 2 { settings = DecodeSettings(maxTokens: 8, beams: 2 + place) }
                    if index == 3 { settings = DecodeSettings() }
                    queries.append(
                        Scheduler.Query(
                            id: queries.count, images: [pixels], prompt: prompt, settings: settings,
                            options: index == 3 ? ["cat", "a red cube"] : [], adapter: adapter))
                }
            }
            (self.model, self.queries) = (model, queries)
        }

        /// What each of these queries is answered, computed together.
        func answers(_ some: [Scheduler.Query], limits: Scheduler.Limits = Scheduler.Limits()) throws
            -> [[Generation]]
        {
            var scheduler = Scheduler(model: model, limits: limits)
            for (id, query) in some.enumerated() {
                scheduler.submit(
                    Scheduler.Query(
                        id: id, images: query.images, prompt: query.prompt, settings: query.settings,
                        options: query.options, adapter: query.adapter))
            }
            var found = [[Generation]](repeating: [], count: some.count)
            while !scheduler.isIdle { for done in scheduler.step() { found[done.id] = try done.result.get() } }
            return found
        }

        var alone: [[Generation]] { get throws { try queries.map { try answers([$0])[0] } } }
    }

    @Test(arguments: sets, Precision.allCases)
    func anyMixOfAdaptersGivesTheSameBits(set: String, precision: Precision) throws {
        let subject = try Subject(set, precision)
        let alone = try subject.alone
        #expect(try subject.answers(subject.queries) == alone)
        #expect(try subject.answers(subject.queries.reversed()) == alone.reversed())
        // Each adapter says something else than the base, so that the comparison means something.
        for (place, adapter) in subject.adapters.enumerated() where adapter != nil {
            let base = Scheduler.Query(
                id: 0, images: subject.queries[0].images, prompt: "caption en",
                settings: subject.queries[place].settings)
            #expect(try subject.answers([base])[0] != alone[place])
        }
        var noise = Noise(5)
        for _ in 0..<3 {
            let picked = (0..<9).map { _ in Int(abs(noise.next()) * Float(subject.queries.count - 1)) }
            let few = try subject.answers(
                picked.map { subject.queries[$0] }, limits: Scheduler.Limits(keyValueBytes: 200_000, rows: 4))
            #expect(few == picked.map { alone[$0] })
        }
    }

    @Test(arguments: sets, Precision.allCases)
    func everyInstructionSetAndThreadCountGivesTheSameBits(set: String, precision: Precision) throws {
        let subject = try Subject(set, precision)
        let expected = try subject.answers(drawn(subject.queries, every: 5))
        for (index, isa) in instructionSets.enumerated() {
            for threads in isWholeDraw ? [1, 3] : [index % 2 == 0 ? 3 : 1] {
                let other = try Subject(set, precision, Compute(instructionSet: isa, threadCount: threads))
                #expect(try other.answers(drawn(other.queries, every: 5)) == expected, "\(InstructionSet(isa))")
            }
        }
    }

    /// The base's own bits, whatever computes beside it.
    @Test(arguments: Precision.allCases) func theBaseStaysAsItIs(precision: Precision) throws {
        let subject = try Subject("tiny", precision)
        let base = subject.queries.filter { $0.adapter == nil }
        let golden = try Golden(Golden.fixtures.appending(path: "tiny"))
        let plain = try golden.model(precision: precision)
        let requests = try zip(Subject.asked, base).map { asked, query in
            GenerationRequest(
                images: try plain.embedImages(golden.pixels([asked.0], plain)), prompt: query.prompt,
                settings: query.settings, options: query.options)
        }
        let mixed = try zip(subject.queries, subject.answers(subject.queries)).filter { $0.0.adapter == nil }.map(\.1)
        #expect(try plain.generate(requests).map { try $0.get() } == mixed)
    }

    /// An image is seen once by the base and all adapters of the decoder, and once by each adapter that sees otherwise.
    @Test func imagesAreSharedAsFarAsTheyAreSeenAlike() throws {
        let subject = try Subject("tiny", .f32)
        var scheduler = Scheduler(model: subject.model)
        for query in subject.queries { scheduler.submit(query) }
        while !scheduler.isIdle { for done in scheduler.step() { _ = try done.result.get() } }
        let apart = subject.adapters.count { $0?.touchesImages == true }
        #expect(apart == 3)
        #expect(scheduler.statistics.imageCount == 2 * (1 + apart))
        #expect(scheduler.statistics.sharedPrefillCount == 0)
        #expect(scheduler.statistics.prefillCount == subject.queries.count)
    }

    @Test func prefillsAreSharedWithinOneAdapter() throws {
        let subject = try Subject("tiny", .f32)
        var scheduler = Scheduler(model: subject.model)
        for (id, place) in [0, 1, 1, 0, 2].enumerated() {
            scheduler.submit(
                Scheduler.Query(
                    id: id, images: subject.queries[0].images, prompt: "caption en",
                    settings: DecodeSettings(maxTokens: 3), adapter: subject.adapters[place]))
        }
        while !scheduler.isIdle { for done in scheduler.step() { _ = try done.result.get() } }
        #expect(scheduler.statistics.sharedPrefillCount == 2 && scheduler.statistics.prefillCount == 3)
    }
}
