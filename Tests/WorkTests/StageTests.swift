import Annotation
import Queue
import Testing

@testable import Work

/// Follow-up questions: when they are asked, of which images, and what a crash repeats.
@Suite struct StageTests {
    private let spec = Specs.object(
        views: 2, followUps: ["what colour is the {answer}?", "what is the {answer} made of?"])
    private let firstSeeds: [UInt64] = [0, 1, 2, 3, 1000, 1001, 1002, 1003]
    private let furtherSeeds: [UInt64] = [1_000_000, 1_001_000, 2_000_000, 2_001_000]

    /// A daemon that holds one job, whose images have come; all effects since it was claimed.
    private func ready(_ spec: JobSpec, checkpoints: [ViewResponses] = []) -> (Harness, [Effect], ClaimedJob) {
        var harness = Harness()
        harness.register()
        harness.take(.memory(free: .max))
        let job = harness.claim(spec, checkpoints: checkpoints)
        var effects = harness.take(.claimed([job], by: harness.worker))
        effects += harness.fetchAll(effects)
        return (harness, effects, job)
    }

    private func answer(_ query: EngineQuery, _ text: String) -> Event {
        let generation = Generation(
            text: text, tokens: [1, 2], logProbabilities: [-0.5, -0.5], finishReason: .eos, prefixTokenCount: 5)
        let cost = EngineCost(
            visionSeconds: 1, prefillSeconds: 1, decodeSeconds: 1, images: 1, prefills: 1, tokens: 2)
        return .answered(EngineAnswer(query: query.id, result: .success([generation]), cost: cost))
    }

    /// What an earlier attempt kept of a view.
    private func kept(
        _ stage: Int, _ view: Int, _ text: String, answer: String? = nil, digest: String = "digest",
        image: String? = nil
    ) -> ViewResponses {
        let response = ScoredText(text: text, sumLogprob: -1, normLogprob: -1, tokenCount: 2, finishReason: .eos)
        let content = image ?? "https://a.org/\(view).png"
        let info = ImageInfo(
            sha256: content, width: 2, height: 1, orientation: 1, format: "png", byteCount: 10)
        return ViewResponses(
            stage: stage, view: view, responses: Array(repeating: [response], count: stage == 1 ? 4 : 1),
            images: [SourceImage(info: info, finalURL: "u")], modelDigest: digest, answer: answer)
    }

    private struct Unexpected: Error { init(_ report: JobReport?) {} }

    private func result(_ effects: [Effect]) throws -> AnnotationResult {
        guard case .completed(let record) = effects.records.first?.outcome else {
            throw Unexpected(effects.records.first)
        }
        return record.result
    }

    /// All follow-ups are asked together when the first stage's last answer is there; the images stay until then.
    @Test func theBestAnswerIsAskedOnWith() throws {
        var (harness, effects, job) = ready(spec)
        effects = harness.take(.begun)
        let first = effects.submitted
        #expect(first.allSatisfy { $0.holder == job.lease.fence }, "the engine keeps its images")
        #expect(first.map(\.settings.seed) == firstSeeds && effects.discarded.isEmpty, "their images may be needed")
        for query in first.dropLast() { effects = harness.take(answer(query, "a cat")) }
        #expect(effects.submitted.isEmpty)
        effects = harness.take(answer(first.last!, "dog"))
        let further = effects.submitted
        #expect(
            further.map(\.prompt) == [
                "answer en what colour is the cat?", "answer en what colour is the cat?",
                "answer en what is the cat made of?", "answer en what is the cat made of?",
            ])
        #expect(further.map(\.settings.seed) == furtherSeeds && further.map(\.images) == [[1], [2], [1], [2]].images)
        #expect(further.allSatisfy { $0.settings.samples == 5 && $0.priority == -1 }, "before its equals")
        #expect(effects.discarded == [1, 2].images && effects.records.isEmpty)
        #expect(further.allSatisfy { $0.holder == nil } && effects.letGo == [job.lease.fence], "nothing follows")
        for query in further.dropLast() { harness.take(answer(query, "red")) }
        let found = try result(harness.take(answer(further.last!, "blue")))
        #expect(found.stages.map { $0.distribution.map(\.answer) } == [["cat", "dog"], ["red"], ["blue", "red"]])
        #expect(found.stages.map { $0.views.map(\.view) } == [[0, 1], [0, 1], [0, 1]])
        #expect(harness.state.engineRowCount == 0 && harness.state.images.isEmpty)
    }

    /// Each view is kept when its answers of a stage are complete, the last one of the first stage too.
    @Test func viewsAreKeptStageByStage() throws {
        var (harness, effects, job) = ready(spec)
        var kept: [ViewResponses] = []
        func note(_ effects: [Effect]) {
            var effects = effects
            while let view = effects.kept.first {
                kept.append(view)
                effects = harness.take(.checkpointed(job.lease, holds: true))
            }
        }
        effects = harness.take(.begun)
        for query in effects.submitted {
            let next = harness.take(answer(query, "cat"))
            if !next.submitted.isEmpty { effects = next }
            note(next)
        }
        #expect(kept.map(\.stage) == [1, 1] && kept.map(\.view) == [0, 1] && kept.map(\.answer) == [nil, nil])
        for query in effects.submitted { note(harness.take(answer(query, "red"))) }
        #expect(kept.map(\.stage) == [1, 1, 2, 2, 3] && kept.map(\.view) == [0, 1, 0, 1, 0])
        #expect(kept.suffix(3).allSatisfy { $0.answer == "cat" && $0.responses.count == 1 && $0.images.count == 1 })
    }

    @Test func nothingIsAskedOnWithoutAnAnswer() {
        var spec = spec
        spec.ignored = ["Unanswerable."]
        var (harness, effects, job) = ready(spec)
        effects = harness.take(.begun)
        for query in effects.submitted { effects = harness.take(answer(query, "unanswerable")) }
        let reason = "the job ignores every answer that its 2 views were given: \"unanswerable\""
        #expect(
            effects.records == [
                JobReport(job, .failed(Failure(code: "no_answer", reason: reason, disposition: .permanent)))
            ])
        #expect(effects.submitted.isEmpty && effects.discarded == [1, 2].images)
        #expect(effects.letGo == [job.lease.fence])
    }

    /// A crash between the stages: the answer follows from what was kept, and nothing of the first stage is asked again.
    @Test func aCrashBetweenTheStages() throws {
        var (harness, effects, _) = ready(spec, checkpoints: [kept(1, 0, "cat"), kept(1, 1, "a cat")])
        #expect(effects.fetches.count == 2)
        effects = harness.take(.begun)
        #expect(effects.submitted.map(\.settings.seed) == furtherSeeds)
        #expect(effects.submitted.first?.prompt == "answer en what colour is the cat?")
        #expect(effects.discarded == [1, 2].images, "nothing follows")
        for query in effects.submitted { effects = harness.take(answer(query, "red")) }
        let found = try result(effects)
        #expect(found.stages[0].views == [kept(1, 0, "cat"), kept(1, 1, "a cat")] && found.stages.count == 3)
    }

    /// A crash within the further stages: only views that lack some are fetched, and asked what they lack.
    @Test func aCrashWithinAFurtherStage() throws {
        let checkpoints = [
            kept(1, 0, "cat"), kept(1, 1, "cat"), kept(2, 0, "red", answer: "cat"), kept(2, 1, "red", answer: "cat"),
            kept(3, 1, "wood", answer: "cat"),
        ]
        var (harness, effects, _) = ready(spec, checkpoints: checkpoints)
        #expect(effects.fetches.map(\.url) == ["https://a.org/0.png"])
        effects = harness.take(.begun)
        #expect(effects.submitted.map(\.settings.seed) == [2_000_000])
        let found = try result(harness.take(answer(effects.submitted[0], "wool")))
        #expect(found.stages[1].views == Array(checkpoints[2...3]))
        #expect(found.stages[2].distribution.map(\.answer) == ["wood", "wool"])
    }

    @Test func everythingIsFinishedButTheRecord() throws {
        let checkpoints = (1...3).flatMap { stage in
            (0...1).map { kept(stage, $0, "cat", answer: stage > 1 ? "cat" : nil) }
        }
        var (harness, effects, _) = ready(spec, checkpoints: checkpoints)
        #expect(effects.fetches.isEmpty)
        effects = harness.take(.begun)
        #expect(effects.submitted.isEmpty)
        #expect(try result(effects).stages.map(\.views) == [0, 2, 4].map { Array(checkpoints[$0..<$0 + 2]) })
    }

    /// What could not be kept of the first stage is asked again; what was kept of a further one holds if the answer does.
    @Test(arguments: ["cat", "dog"]) func aFurtherStageWithoutAViewOfTheFirst(text: String) throws {
        let checkpoints = [kept(1, 0, "cat"), kept(2, 0, "red", answer: "cat"), kept(2, 1, "red", answer: "cat")]
        var (harness, effects, _) = ready(spec, checkpoints: checkpoints)
        #expect(effects.fetches.count == 2, "which images the further stages need is not known yet")
        effects = harness.take(.begun)
        #expect(effects.submitted.map(\.settings.seed) == Array(firstSeeds[4...]))
        let responses = text == "cat" ? ["cat"] : ["dog", "dog", "dog", "dog"]
        for index in effects.submitted.indices {
            let query = effects.submitted[index]
            let next = harness.take(surer(query, responses[index % responses.count]))
            if index == 3 { effects = next }
        }
        #expect(effects.submitted.map(\.settings.seed) == (text == "cat" ? Array(furtherSeeds[2...]) : furtherSeeds))
        for query in effects.submitted { effects = harness.take(answer(query, "blue")) }
        let found = try result(effects)
        #expect(found.answer?.answer == text)
        #expect(found.stages[1].distribution.map(\.answer) == (text == "cat" ? ["red"] : ["blue"]))
    }

    private func surer(_ query: EngineQuery, _ text: String) -> Event {
        let generation = Generation(
            text: text, tokens: [1], logProbabilities: [-0.1], finishReason: .eos, prefixTokenCount: 5)
        return .answered(EngineAnswer(query: query.id, result: .success([generation]), cost: EngineCost()))
    }

    /// What another model answered, in any stage, counts for nothing.
    @Test func modelsAreNotMixed() {
        let checkpoints = [
            kept(1, 0, "cat", digest: "other"), kept(1, 1, "cat"), kept(2, 0, "red", answer: "cat", digest: "other"),
            kept(2, 1, "red", answer: "cat"),
        ]
        var (harness, effects, _) = ready(spec, checkpoints: checkpoints)
        effects = harness.take(.begun)
        #expect(effects.submitted.map(\.settings.seed) == Array(firstSeeds[..<4]))
        for query in effects.submitted { effects = harness.take(answer(query, "cat")) }
        #expect(effects.submitted.map(\.settings.seed) == [1_000_000, 2_000_000, 2_001_000])
    }

    /// All stages are about the same images: if one is another now, all is asked again.
    @Test func anImageThatChangedBetweenTheAttempts() throws {
        let checkpoints = [kept(1, 0, "cat", image: "another"), kept(1, 1, "cat"), kept(2, 1, "red", answer: "cat")]
        var (harness, effects, job) = ready(spec, checkpoints: checkpoints)
        #expect(
            effects.fetches.map(\.url) == ["0", "1"].map { "https://a.org/\($0).png" }, "what is here is what it is")
        effects = harness.take(.begun)
        #expect(effects.submitted.map(\.settings.seed) == firstSeeds)
        #expect(harness.state.jobs[job.lease]?.claimed.checkpoints.isEmpty == true)
    }

    /// A whole daemon is killed after each number of kept views: the heir asks for nothing that was kept.
    @Test(arguments: 1...6) func whatIsKeptIsNotAskedAgain(count: Int) {
        let world = World()
        let id = world.store.enqueue(spec)
        let daemon = world.addDaemon()
        daemon.take(.started)
        let isKept = world.run(until: 60) { world.store.checkpointCount == count || world.store.doneCount == 1 }
        #expect(isKept && (count < 6 || world.store.doneCount == 1))
        let kept = world.store.jobs[id]!.views
        daemon.kill()
        let heir = world.addDaemon()
        heir.take(.started)
        #expect(world.run(until: 300) { world.store.doneCount == 1 })
        if count < 6 {
            let asked = kept.reduce(0) { $0 + ($1.stage == 1 ? 4 : 1) }
            #expect(kept.count == count && heir.engine.submittedIDs.count == 8 + 4 - asked)
        }
        #expect(daemon.checks.violations.isEmpty && heir.checks.violations.isEmpty)
    }
}

extension [Int] {
    /// The images of these numbers.
    fileprivate var images: [ImageID] { map { ImageID($0) } }
}

extension [[Int]] {
    fileprivate var images: [[ImageID]] { map(\.images) }
}

extension [Effect] {
    fileprivate var discarded: [ImageID] {
        compactMap { if case .discard(let image) = $0 { image } else { nil } }
    }

    fileprivate var kept: [ViewResponses] {
        compactMap { if case .checkpoint(let view, _, _) = $0 { view } else { nil } }
    }
}

extension Harness {
    /// Has all images fetched and decoded, those too that are fetched because of others; the content of each is its URL.
    fileprivate mutating func fetchAll(_ effects: [Effect]) -> [Effect] {
        var (all, count) = (effects, 0)
        while count < all.fetches.count {
            let (file, url) = all.fetches[count]
            all += bring(file, content: url)
            count += 1
        }
        return Array(all.dropFirst(effects.count))
    }
}
