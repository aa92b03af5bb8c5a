import Annotation
import Queue
import Testing

@testable import Work

/// Announcements, answers and checkpoints.
@Suite struct EngineTests {
    /// A daemon with jobs whose images are here, and all effects since they were claimed.
    private func ready(_ specs: [JobSpec], _ settings: WorkSettings = WorkSettings()) -> (
        Harness, [Effect], [ClaimedJob]
    ) {
        var harness = Harness(settings)
        harness.register()
        harness.take(.memory(free: .max))
        let jobs = specs.map { harness.claim($0) }
        var effects = harness.take(.claimed(jobs, by: harness.worker))
        var count = 0
        while count < effects.fetches.count {
            let file = effects.fetches[count].file
            effects += harness.bring(file, content: "s\(file.number)")
            count += 1
        }
        return (harness, effects, jobs)
    }

    private func answer(_ query: Int, _ text: String = "cat", tokens: Int = 2) -> EngineAnswer {
        let ids = Array(0..<tokens)
        let generation = Generation(
            text: text, tokens: ids, logProbabilities: ids.map { _ in -0.5 }, finishReason: .eos, prefixTokenCount: 5)
        let cost = EngineCost(
            visionSeconds: 1, prefillSeconds: 1, decodeSeconds: 1, images: 1, prefills: 1, tokens: tokens)
        return EngineAnswer(query: query, result: .success([generation]), cost: cost)
    }

    /// The engine begins when the store knows of it; meanwhile others gather and go together.
    @Test func jobsAreAnnouncedBeforeTheyBegin() {
        var (harness, effects, jobs) = ready([Specs.caption(), Specs.caption(), Specs.caption()])
        let all = jobs.map(\.lease)
        #expect(effects.begins == [[all[0]]], "one announcement at a time")
        #expect(effects.submitted.isEmpty)
        effects = harness.take(.begun)
        #expect(effects.submitted.count == 1 && effects.begins == [[all[1], all[2]]])
        effects = harness.take(.begun)
        #expect(effects.submitted.count == 2 && effects.begins.isEmpty)
    }

    /// The model of these tests has no tokens for boxes: no image is asked for, and the job ends at once.
    @Test func whatTheModelCannotGiveEndsAtOnce() {
        var harness = Harness()
        harness.register()
        harness.take(.memory(free: .max))
        let specs = [TaskName.detect, .segment].map {
            JobSpec(task: $0, imageURLs: ["https://a.org/1.png"], texts: ["cat"])
        }
        let jobs = specs.map { harness.claim($0) } + [harness.claim(Specs.caption())]
        let effects = harness.take(.claimed(jobs, by: harness.worker))
        #expect(effects.fetches.count == 1, "that of the caption")
        #expect(effects.records.map(\.lease) == jobs.prefix(2).map(\.lease))
        for report in effects.records {
            guard case .failed(let failure) = report.outcome else {
                Issue.record("\(report.outcome)")
                continue
            }
            #expect(failure.code == "no_locations" && failure.disposition == .permanent)
            #expect(failure.reason.hasPrefix("the tokenizer of the model has no pieces <loc0000>"))
        }
    }

    /// A database that is silent does not keep the engine waiting for more than two seconds.
    @Test func theEngineDoesNotWaitForASilentDatabase() {
        var (harness, effects, _) = ready([Specs.caption(), Specs.caption()])
        #expect(effects.begins.count == 1 && effects.submitted.isEmpty)
        harness.pass(1.9)
        #expect(harness.take(.timer).submitted.isEmpty)
        harness.pass(0.2)
        #expect(harness.take(.timer).submitted.count == 2)
        // What it holds is computed to the end, and what is ready later begins at once.
        effects = harness.take(.answered(answer(1)))
        #expect(effects.records.count == 1)
    }

    /// Answers of a multiview job: each finished view is kept, and the last answer ends it.
    @Test func viewsAreKeptOneByOne() throws {
        var (harness, effects, jobs) = ready([Specs.object(views: 2)])
        effects = harness.take(.begun)
        let queries = effects.submitted
        #expect(queries.count == 8 && queries.map(\.settings.seed) == [0, 1, 2, 3, 1000, 1001, 1002, 1003])
        for query in queries.prefix(3) { harness.take(.answered(answer(query.id))) }
        effects = harness.take(.answered(answer(queries[3].id)))
        let views = effects.compactMap { if case .checkpoint(let view, _, _) = $0 { view } else { nil } }
        #expect(views.map(\.view) == [0] && views[0].responses.count == 4 && views[0].modelDigest == "digest")
        // The store's answer is not waited for.
        for query in queries[4...6] { harness.take(.answered(answer(query.id))) }
        effects = harness.take(.answered(answer(queries[7].id)))
        let report = try #require(effects.records.first)
        guard case .completed(let record) = report.outcome else { throw Unexpected(report) }
        #expect(report.lease == jobs[0].lease && record.result.answer?.answer == "cat")
        #expect(record.provenance.images.map(\.info.sha256) == ["s1", "s2"])
        #expect(record.provenance.timings["extend"] == 8 && record.provenance.timings["decode"] == 0.2)
    }

    private struct Unexpected: Error { init(_ report: JobReport) {} }

    /// A job that asks for an adapter gets it; views that the model alone has finished are asked again.
    @Test func adaptersAreAskedForByName() throws {
        var harness = Harness()
        harness.register()
        harness.take(.memory(free: .max))
        func view(_ index: Int, _ digest: String) -> ViewResponses {
            ViewResponses(view: index, responses: [], modelDigest: digest)
        }
        var spec = Specs.object(views: 3)
        spec.model = "a"
        let job = harness.claim(spec, checkpoints: [view(0, "digest+lora"), view(1, "digest")])
        harness.take(.claimed([job], by: harness.worker))
        let held = try #require(harness.state.jobs[job.lease])
        #expect(held.imageIndices == [1, 2] && held.identity.adapterDigest == "lora" && held.identity.model == "a")
        spec.model = "m"
        let other = harness.claim(spec, checkpoints: [view(0, "digest+lora"), view(1, "digest")])
        harness.take(.claimed([other], by: harness.worker))
        #expect(harness.state.jobs[other.lease]?.imageIndices == [0, 2])
    }

    /// Views that an earlier attempt finished are neither fetched nor asked again.
    @Test func finishedViewsAreNotAskedAgain() {
        var harness = Harness()
        harness.register()
        harness.take(.memory(free: .max))
        func view(_ index: Int, _ digest: String) -> ViewResponses {
            ViewResponses(view: index, responses: [], modelDigest: digest)
        }
        let job = harness.claim(Specs.object(views: 3), checkpoints: [view(0, "digest"), view(1, "another")])
        let effects = harness.take(.claimed([job], by: harness.worker))
        #expect(harness.state.jobs[job.lease]?.imageIndices == [1, 2], "another model's view counts for nothing")
        #expect(effects.fetches.map(\.url) == ["https://a.org/1.png"])
    }

    /// All views finished: nothing is asked, and the job is recorded.
    @Test func aJobOfWhichOnlyTheRecordIsMissing() {
        let world = World()
        let id = world.store.enqueue(Specs.object(views: 2))
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 60) { world.store.checkpointCount > 0 }
        world.store.mood = .failing
        world.run(until: 90)
        daemon.kill()
        world.store.mood = .well
        let heir = world.addDaemon()
        heir.take(.started)
        #expect(world.run(until: 300) { world.store.doneCount == 1 })
        #expect(world.store.jobs[id]?.rescueCount == 1 && heir.engine.submittedIDs.count == 4, "one view was kept")
        #expect(heir.checks.violations.isEmpty)
    }

    /// What comes first overtakes what waits in the engine.
    @Test func priorityReachesTheEngine() {
        var settings = WorkSettings()
        settings.engineRows = 40
        var (harness, effects, _) = ready([Specs.object(views: 2)], settings)
        effects = harness.take(.begun)
        #expect(effects.submitted.count == 8 && effects.submitted.allSatisfy { $0.priority == 0 })
        let urgent = ClaimedJob(
            lease: Lease(job: JobID(rawValue: 9), fence: 9), priority: -100, spec: Specs.caption("https://a.org/2.jpg"))
        let usual = harness.claim(Specs.caption())
        effects = harness.take(.claimed([usual, urgent], by: harness.worker))
        #expect(effects.fetches.count == 2)
        for (file, _) in effects.fetches { effects = harness.bring(file) }
        #expect(harness.state.jobs[urgent.lease]?.phase == .fetch && harness.state.jobs[usual.lease]?.state == .ready)
        effects = harness.take(.begun)
        #expect(effects.submitted.map(\.priority) == [-200])
    }

    /// The engine computes what is no number: the daemon says so and takes no more; no job dies of it.
    @Test func anEngineThatFailsHoldsTheDaemonUp() {
        let world = World()
        for index in 0..<50 { world.store.enqueue(Specs.caption("https://\(index).org/a")) }
        let daemon = world.addDaemon()
        daemon.engine.failure = { _ in
            EngineFailure(code: "not_finite", message: "the model computes no numbers", isEngineFault: true)
        }
        daemon.take(.started)
        world.run(until: 3600)
        #expect(daemon.status.holdup == "the model computes no numbers")
        #expect(world.store.deadCount == 0 && world.store.jobs.values.allSatisfy { $0.attemptCount == 0 })
        #expect(daemon.engine.submittedIDs.count < 30, "it tries a job now and then")
        daemon.engine.failure = nil
        #expect(world.run(until: 7200) { world.store.doneCount == 50 } && daemon.status.holdup == nil)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// A request that the model can't serve is the job's own fault.
    @Test func aWrongRequestIsDead() {
        let world = World()
        let id = world.store.enqueue(Specs.object())
        let daemon = world.addDaemon()
        daemon.engine.failure = { _ in EngineFailure(code: "invalid_request", message: "too long") }
        daemon.take(.started)
        #expect(world.run(until: 30) { world.store.jobs[id]?.place == .dead("invalid_request") })
        #expect(daemon.state.queries.isEmpty && daemon.engine.waiting.isEmpty, "its other queries are cancelled")
        #expect(daemon.status.holdup == nil && daemon.checks.violations.isEmpty)
    }
}
