import Annotation
import Decoding
import Foundation
import Images
import Inference
import Logging
import Queue
import Synchronization
import TestSupport
import Testing
import Work

@testable import Daemon

/// From claimed to recorded with the real engine, real files and decoders, and the queue in memory.
@Suite(.timeLimit(.minutes(5))) struct DriverTests {
    private let model: PaliGemma
    private let store = MemoryJobStore()
    private let inbox = Inbox()
    private let metrics = Metrics()

    init() throws {
        model = try PaliGemma(contentsOf: GlossdProcess.fixtures.appending(path: "tiny/model"), threads: 2)
    }

    private func driver(
        _ store: any JobStore, adapters: [String: String] = [:], limits: Scheduler.Limits = Scheduler.Limits(),
        _ change: (inout WorkSettings) -> Void = { _ in }
    ) throws -> WorkDriver {
        let served = try ServedModel(
            model,
            adapters: adapters.mapValues { GlossdProcess.fixtures.appending(path: "tiny/adapters/\($0)").path },
            maskDecoder: "")
        var policy = FetchPolicy()
        policy.localRoots = [GlossdProcess.fixtures.path]
        let (fetcher, size) = (try ImageFetcher(policy: policy), model.configuration.vision.imageSize)
        let deliver: @Sendable (Event) -> Void = { [inbox] in inbox.put($0) }
        let identity = EngineIdentity(
            model: "tiny", digest: model.digest, precision: model.precision.rawValue, version: glossVersion)
        var settings = WorkSettings()
        settings.imageBytes = 3 * size * size
        change(&settings)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return WorkDriver(
            state: WorkState(
                settings,
                engine: EngineDescription(
                    identity: identity, adapters: served.identities(identity), vocabulary: model.vocabulary),
                originOf: ImageFetcher.origin(of:), seed: 1, now: .now),
            inbox: inbox, store: store,
            description: Samples.worker(models: ["tiny"] + adapters.keys.sorted()),
            images: ImageTable(
                fetcher: fetcher,
                decoders: DecoderPool(
                    executable: GlossdProcess.binary.path, limits: .init(DecodeLimits(maxPixels: 1_000_000)), count: 2),
                size: size, resize: model.resize, metrics: metrics, deliver: deliver),
            engine: InferenceThread(model: model, limits: limits, metrics: metrics, deliver: deliver),
            adapters: served.adapters,
            fetcher: .init(
                share: { _ in }, park: { _, _ in }, unpark: { _ in }, takeCuts: { [] }, putBack: { _ in },
                learn: { _ in }), metrics: metrics,
            journal: Journal(metrics: metrics, logger: logger), watchdog: Watchdog(threads: []))
    }

    private func file(_ name: String) -> String {
        GlossdProcess.fixtures.appending(path: "images/\(name)").absoluteString
    }

    private func eventually(_ isSo: () async -> Bool) async throws {
        while await !isSo() { try await Task.sleep(for: .milliseconds(10)) }
    }

    /// Runs a daemon until the jobs have ended, and drains it.
    private func run(
        _ jobs: [JobID], adapters: [String: String] = [:], limits: Scheduler.Limits = Scheduler.Limits()
    ) async throws {
        let driver = try driver(store, adapters: adapters, limits: limits)
        let work = Task { try await driver.run() }
        for job in jobs {
            try await eventually {
                switch await store.state(of: job) {
                case .done, .dead: true
                default: false
                }
            }
        }
        inbox.put(.drainBegan)
        try await work.value
    }

    @Test func jobsAreRecorded() async throws {
        let caption = await store.enqueue(Samples.caption(file("rgb.png")))
        let object = await store.enqueue(
            JobSpec(task: .multiview, imageURLs: [file("rgb.png"), file("photo.jpg")], texts: ["what?", "which?"]))
        let missing = await store.enqueue(Samples.caption(file("nothing.png")))
        try await run([caption, object, missing])
        let text = try #require(await store.record(of: caption))
        #expect(text.result.best?.tokenCount ?? 0 > 0 && text.provenance.engine.digest == model.digest)
        #expect(text.provenance.images.map(\.info.format) == ["png"])
        #expect(text.provenance.images[0].info.width > 1 && text.provenance.images[0].info.sha256.count == 64)
        let answer = try #require(await store.record(of: object))
        #expect(answer.result.stages.first?.views.map(\.view) == [0, 1] && answer.result.answer != nil)
        #expect(answer.provenance.images.map(\.info.format) == ["png", "jpeg"])
        #expect(answer.provenance.timings["vision"] ?? 0 > 0 && answer.provenance.timings["decode"] ?? 0 > 0)
        guard case .dead("file_not_found", _) = await store.state(of: missing) else {
            Issue.record("\(String(describing: await store.state(of: missing)))")
            return
        }
        #expect(metrics.text().contains("gloss_jobs_ended_total{outcome=\"done\"} 2.0"))
        #expect(metrics.status.word == "draining" && metrics.status.work?.phase == .stopped)
    }

    private func object(seed: UInt64 = 3) -> JobSpec {
        JobSpec(
            task: .multiview, imageURLs: ["rgb.png", "photo.jpg", "grey.png"].map(file), texts: ["what?", "which?"],
            followUps: ["what colour is the {answer}?", "where is it?"],
            settings: DecodeSettings(maxTokens: 8, samples: 3, temperature: 1, seed: seed))
    }

    /// Follow-up questions: an image is fetched once, and goes through the vision tower once, also where there is no room for
    /// what nobody holds. The answers are the same.
    @Test(arguments: [Scheduler.Limits().imageBytes, 1]) func imagesAreKeptForFollowUps(cacheBytes: Int) async throws {
        let job = await store.enqueue(object())
        try await run([job], limits: Scheduler.Limits(imageBytes: cacheBytes))
        let result = try #require(await store.record(of: job)).result
        let answer = try #require(result.answer?.answer)
        #expect(result.stages.count == 3 && result.stages.allSatisfy { $0.views.map(\.view) == [0, 1, 2] })
        #expect(result.stages[1].prompts == ["answer en what colour is the \(answer)?"])
        #expect(result.stages[2].prompts == ["answer en where is it?"])
        #expect(result.stages.allSatisfy { !$0.distribution.isEmpty })
        let units = metrics.stages.mapValues(\.units)
        #expect(units["fetch"] == 3 && units["decode"] == 3)
        let passes = try #require(units["vision"])
        #expect(passes == 3, "\(passes) images through the vision tower")
        #expect(units["prefill"] == 3 * (2 + 1 + 1))
        // Another cache, the same bits.
        let other = try DriverTests()
        let again = await other.store.enqueue(object())
        try await other.run([again])
        #expect(await other.store.record(of: again)?.result == result)
    }

    /// A query of any stage can be repeated by its prompt, its image and its seed.
    @Test func aFollowUpIsRepeatedByItsSeed() async throws {
        let job = await store.enqueue(object())
        var settings = object().settings
        settings.seed += 1_000_000 * 2 + 1000 * 1
        let single = await store.enqueue(
            JobSpec(task: .vqa, imageURLs: [file("photo.jpg")], texts: ["where is it?"], settings: settings))
        try await run([job, single])
        let stage = try #require(await store.record(of: job)?.result.stages.last)
        let responses = try #require(await store.record(of: single)?.result.stages.first?.views.first?.responses.first)
        #expect(stage.views[1].responses[0].sorted { $0.sumLogprob > $1.sumLogprob } == responses)
    }

    /// A job with follow-up questions alone and beside others: the same results, to the bit.
    @Test func followUpsDoNotDependOnTheCompany() async throws {
        let alone = await store.enqueue(object())
        try await run([alone])
        let company = try DriverTests()
        var jobs: [JobID] = []
        for seed in 1...6 {
            jobs.append(await company.store.enqueue(object(seed: UInt64(seed))))
            jobs.append(await company.store.enqueue(Samples.caption(file("rgb.png"))))
        }
        try await company.run(jobs)
        #expect(await company.store.record(of: jobs[4])?.result == store.record(of: alone)?.result)
        #expect(await company.store.record(of: jobs[2])?.result != store.record(of: alone)?.result)
    }

    /// Jobs ask for an adapter by name; one that asks for nothing gets the model alone.
    @Test func jobsAskForAdapters() async throws {
        let adapters = ["shelves": "plain", "tags": "vision"]
        var jobs: [JobID] = []
        for name in [nil, "tiny", "shelves", "tags", "shelves"] {
            var spec = Samples.caption(file("rgb.png"))
            spec.model = name
            jobs.append(await store.enqueue(spec))
        }
        try await run(jobs, adapters: adapters)
        var records: [AnnotationRecord] = []
        for job in jobs { records.append(try #require(await store.record(of: job))) }
        let engines = records.map(\.provenance.engine)
        #expect(engines.map(\.model) == ["tiny", "tiny", "shelves", "tags", "shelves"])
        #expect(engines.map(\.adapterDigest).prefix(2) == [nil, nil] && Set(engines.map(\.digest)) == [model.digest])
        #expect(engines[2].adapterDigest?.count == 64 && engines[2].adapterDigest != engines[3].adapterDigest)
        #expect(records[0].result == records[1].result && records[2].result == records[4].result)
        #expect(Set([records[0], records[2], records[3]].map(\.result)).count == 3)
    }

    /// The same jobs alone and beside others: the same results, to the bit.
    @Test func resultsDoNotDependOnTheCompany() async throws {
        let spec = JobSpec(task: .vqa, imageURLs: [file("photo.jpg")], texts: ["what is this?"])
        let jobs = await withTaskGroup(of: JobID.self) { group in
            for index in 0..<40 {
                group.addTask { [store] in
                    await store.enqueue(index % 2 == 0 ? spec : Samples.caption(file("rgb.png")))
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        try await run(jobs)
        var results: Set<AnnotationResult> = []
        for job in jobs { if let record = await store.record(of: job) { results.insert(record.result) } }
        #expect(results.count == 2)
    }

    /// Errors of the store are tried again, and nothing is lost.
    @Test func theStoreMayFail() async throws {
        let jobs = [await store.enqueue(Samples.caption(file("rgb.png")))]
        await store.failNext((0..<2).map { _ in Passing() })
        try await run(jobs)
        #expect(await store.record(of: jobs[0]) != nil)
    }

    private struct Passing: Error {}

    /// A store that answers nothing any more does not delay the end: neither statements under way nor results hold it up.
    @Test func aSilentStoreDoesNotDelayTheEnd() async throws {
        for index in 0..<50 { await store.enqueue(Samples.caption(file(index % 2 == 0 ? "rgb.png" : "photo.jpg"))) }
        let silent = SilentStore(store)
        let driver = try driver(silent) { settings in
            (settings.drainTimeout, settings.farewell) = (.milliseconds(300), .milliseconds(300))
        }
        let work = Task { try await driver.run() }
        try await eventually { await store.record(of: JobID(rawValue: 1)) != nil }
        silent.fallSilent()
        let start = ContinuousClock.now
        inbox.put(.drainBegan)
        try await work.value
        #expect(ContinuousClock.now - start < .seconds(30), "its statements never end")
        #expect(metrics.status.work?.phase == .stopped)
    }
}

/// A store that falls silent: from then on no statement ends.
private final class SilentStore: JobStore {
    private let store: MemoryJobStore
    private let isSilent = Mutex(false)

    init(_ store: MemoryJobStore) { self.store = store }

    func fallSilent() { isSilent.withLock { $0 = true } }

    private func answer<Answer: Sendable>(
        _ body: @Sendable (MemoryJobStore) async throws -> Answer
    ) async throws -> Answer {
        // Not even a cancelled task ends: as a thread that waits for a socket.
        while isSilent.withLock({ $0 }) { await Task.detached { try? await Task.sleep(for: .seconds(1)) }.value }
        return try await body(store)
    }

    func register(_ worker: WorkerDescription) async throws -> WorkerID {
        try await answer { try await $0.register(worker) }
    }
    func claim(_ budget: ClaimBudget, by worker: WorkerID) async throws -> [ClaimedJob] {
        try await answer { try await $0.claim(budget, by: worker) }
    }
    func begin(_ leases: [Lease], by worker: WorkerID) async throws {
        try await answer { try await $0.begin(leases, by: worker) }
    }
    func heartbeat(_ worker: WorkerID, _ heartbeat: Heartbeat) async throws -> HeartbeatReply {
        try await answer { try await $0.heartbeat(worker, heartbeat) }
    }
    func checkpoint(_ view: ViewResponses, under lease: Lease, by worker: WorkerID) async throws -> Bool {
        try await answer { try await $0.checkpoint(view, under: lease, by: worker) }
    }
    func record(_ reports: [JobReport], by worker: WorkerID) async throws -> [Receipt] {
        try await answer { try await $0.record(reports, by: worker) }
    }
    func rescue() async throws -> RescueReport { try await answer { try await $0.rescue() } }
    func releaseUnheld(_ worker: WorkerID, holding leases: [Lease]) async throws -> Int {
        try await answer { try await $0.releaseUnheld(worker, holding: leases) }
    }
    func deregister(_ worker: WorkerID) async throws { try await answer { try await $0.deregister(worker) } }
    func park(origin: String, for pause: Duration, reason: String) async throws {
        try await answer { try await $0.park(origin: origin, for: pause, reason: reason) }
    }
    func waitForWork(timeout: Duration) async throws { try await answer { try await $0.waitForWork(timeout: timeout) } }
}
