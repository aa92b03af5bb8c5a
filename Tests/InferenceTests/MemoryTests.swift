import Annotation
import Foundation
import Synchronization
import Testing

@testable import Inference

/// Memory that is not to be had is an error of what it was for, and of nothing else.
@Suite struct MemoryTests {
    private let golden: Golden

    init() throws { golden = try Golden(Golden.fixtures.appending(path: "tiny2")) }

    /// Counts allocations, and has one of them fail.
    private final class Refusal: Sendable {
        private let asked = Atomic(0)
        private let index: Int

        /// Nil: none fails.
        init(of index: Int?) { self.index = index ?? .max }

        var count: Int { asked.load(ordering: .relaxed) }
        var isOver: Bool { count > index }

        func callAsFunction<Value>(_ body: () throws -> Value) rethrows -> Value {
            try Memory.$isRefused.withValue(
                { _ in self.asked.add(1, ordering: .relaxed).oldValue == self.index }, operation: body)
        }
    }

    private func queries(_ model: PaliGemma) throws -> [Scheduler.Query] {
        let pixels = golden.pixels(golden.imageNames.prefix(3).map(\.self), model)
        return ["caption en", "ocr", "caption en", "answer en how many?", "ocr"].enumerated().map { id, prompt in
            Scheduler.Query(
                id: id, images: [Scheduler.Image(pixels[id % pixels.count], key: "\(id % pixels.count)")],
                prompt: prompt,
                settings: id == 3
                    ? DecodeSettings(maxTokens: 6, beams: 3)
                    : DecodeSettings(maxTokens: 3 + id, samples: 1 + id % 2, temperature: 1, seed: UInt64(id)),
                options: id == 4 ? ["a red cube", ""] : [])
        }
    }

    /// Wherever in a run memory is refused: a query is answered as always, or it is out of memory and holds nothing any
    /// more, and what is asked after that is answered.
    @Test(arguments: [Precision.f32, .int8]) func everyAllocationMayFail(precision: Precision) throws {
        let model = try golden.model(precision: precision)
        let queries = try queries(model)
        let all = Refusal(of: nil)
        let expected = try all { try run(queries, model).mapValues { try $0.get() } }
        try #require(all.count > 80)
        var (failed, stages) = (0, Set<String>())
        for index in stride(from: 0, to: all.count, by: precision == .f32 ? 1 : 7) {
            let refusal = Refusal(of: index)
            var scheduler = Scheduler(model: model)
            let results = refusal { run(queries, &scheduler) }
            #expect(refusal.isOver && results.count == queries.count)
            for (id, result) in results {
                switch result {
                case .success(let answers): #expect(answers == expected[id])
                case .failure(let error):
                    #expect(error.code == .outOfMemory && error.disposition == .engine)
                    failed += 1
                }
            }
            let statistics = scheduler.statistics
            stages.insert(
                statistics.imageCount == 0 ? "vision" : statistics.prefillCount == 0 ? "prefill" : "extend")
            let (reserved, room, limit) = (
                scheduler.keyValueBytes, scheduler.images.roomBytes, scheduler.limits.imageBytes
            )
            #expect(reserved == 0 && room == limit)
            guard index % 50 == 0 else { continue }
            #expect(try run(queries, &scheduler).mapValues { try $0.get() } == expected)
        }
        #expect(failed >= all.count / (precision == .f32 ? 1 : 7), "each refusal is somebody's")
        #expect(stages == ["vision", "prefill", "extend"])
    }

    /// What else allocates says so.
    @Test func whatIsAskedOutsideOfTheSchedulerThrows() throws {
        let model = try golden.model()
        let example = golden.cases[0]
        let pixels = golden.pixels(example.images, model)
        let images = try model.embedImages(pixels)
        let works: [(String, () throws -> Void)] = [
            ("embedImages", { _ = try model.embedImages(pixels) }),
            ("score", { _ = try model.score(images: images, prompt: "ocr", suffix: "x") }),
            ("stages", { _ = try model.stages(images: pixels, prompt: "ocr") }),
            ("load", { _ = try golden.model() }),
        ]
        for (name, work) in works {
            let all = Refusal(of: nil)
            try all(work)
            try #require(all.count > 5, "\(name)")
            for index in Set([0, 1, all.count / 2, all.count - 1]) {
                let error = #expect(throws: InferenceError.self, "\(name)") { try Refusal(of: index)(work) }
                #expect(error?.code == .outOfMemory, "\(name)")
                #expect(error?.message.contains("no memory for ") == true, "\(name)")
            }
        }
    }

    private func run(_ queries: [Scheduler.Query], _ model: PaliGemma) -> [Int: Result<[Generation], InferenceError>] {
        var scheduler = Scheduler(model: model)
        return run(queries, &scheduler)
    }

    private func run(
        _ queries: [Scheduler.Query], _ scheduler: inout Scheduler
    ) -> [Int: Result<[Generation], InferenceError>] {
        var results: [Int: Result<[Generation], InferenceError>] = [:]
        queries.forEach { scheduler.submit($0) }
        while !scheduler.isIdle { for completion in scheduler.step() { results[completion.id] = completion.result } }
        return results
    }
}
