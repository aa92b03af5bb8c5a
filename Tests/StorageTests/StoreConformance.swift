import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// The stores that must behave alike.
enum StoreKind: CaseIterable, Sendable { case memory, postgres }

/// A store together with what a test needs beside it.
enum StoreUnderTest: Sendable {
    case memory(MemoryJobStore)
    case postgres(PostgresJobStore, TestDatabase)

    static func make(_ kind: StoreKind) async throws -> StoreUnderTest {
        let policy = RetryPolicy(base: .seconds(10), cap: .seconds(100))
        switch kind {
        case .memory: return .memory(MemoryJobStore(retryPolicy: policy))
        case .postgres:
            let database = try await PrivatePostgres.shared.makeDatabase()
            return .postgres(database.store(retryPolicy: policy), database)
        }
    }

    var store: any JobStore {
        switch self {
        case .memory(let store): store
        case .postgres(let store, _): store
        }
    }

    func enqueue(
        _ spec: JobSpec = Samples.caption(), key: String? = nil, priority: Int = 0, maxAttempts: Int = 5
    ) async throws -> JobID {
        switch self {
        case .memory(let store):
            return await store.enqueue(spec, key: key, priority: priority, maxAttempts: maxAttempts)
        case .postgres(_, let database):
            let options = EnqueueOptions(key: key, priority: priority, maxAttempts: maxAttempts)
            return try await database.administration(as: .producer).enqueue(spec, options).job
        }
    }

    func state(of job: JobID) async throws -> String? {
        switch self {
        case .memory(let store): return await store.state(of: job)?.name
        case .postgres(_, let database):
            #expect(try await database.misplacedJobs() == [])
            return try await database.administration().job(job)?.job.state
        }
    }

    func advance(by duration: Duration) async throws {
        switch self {
        case .memory(let store): await store.advance(by: duration)
        case .postgres(_, let database): try await database.advance(by: duration)
        }
    }

    func cancel(_ job: JobID) async throws {
        switch self {
        case .memory(let store): await store.cancel(job)
        case .postgres(_, let database): try await database.administration().cancel(.job(job))
        }
    }
}

@Suite(.serialized) struct StoreConformanceTests {
    @Test(arguments: StoreKind.allCases)
    func aJobGoesThrough(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue(key: "row-1")
        let worker = try await queue.store.register(Samples.worker())
        let claimed = try #require(try await queue.store.claim(limit: 5, by: worker).first)
        #expect(claimed.id == job && claimed.key == "row-1" && claimed.attempt == 1)
        #expect(claimed.spec == Samples.caption())
        #expect(try await queue.state(of: job) == "leased")
        #expect(try await queue.store.claim(limit: 5, by: worker) == [])
        let report = JobReport(claimed, Samples.completed())
        #expect(try await queue.store.record([report], by: worker) == [.recorded])
        #expect(try await queue.state(of: job) == "done")
        #expect(try await queue.store.record([report], by: worker) == [.alreadyRecorded])
    }

    @Test(arguments: StoreKind.allCases)
    func claimsByPriorityAndAge(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let late = try await queue.enqueue(priority: 5)
        let first = try await queue.enqueue(priority: -5)
        let second = try await queue.enqueue(JobSpec(task: .vqa, imageURLs: ["https://a.org/b"], texts: ["Why?"]))
        let third = try await queue.enqueue()
        let worker = try await queue.store.register(Samples.worker())
        #expect(try await queue.store.claim(limit: 2, by: worker).map(\.id) == [first, second])
        #expect(try await queue.store.claim(limit: 9, by: worker).map(\.id) == [third, late])
    }

    @Test(arguments: StoreKind.allCases)
    func claimsOnlyWhatTheWorkerServes(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        var other = Samples.caption()
        other.model = "large"
        _ = try await queue.enqueue(other)
        var mine = Samples.caption()
        mine.model = "tiny"
        let job = try await queue.enqueue(mine)
        let worker = try await queue.store.register(Samples.worker(tasks: [.caption]))
        _ = try await queue.enqueue(Samples.multiview())
        #expect(try await queue.store.claim(limit: 9, by: worker).map(\.id) == [job])
    }

    @Test(arguments: StoreKind.allCases)
    func retriesWithBackoffAndThenDies(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue(maxAttempts: 2)
        let worker = try await queue.store.register(Samples.worker())
        let first = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        #expect(
            try await queue.store.record([JobReport(first, Samples.failed(.retry(after: nil)))], by: worker) == [
                .recorded
            ])
        #expect(try await queue.state(of: job) == "scheduled")
        #expect(try await queue.store.claim(limit: 1, by: worker) == [])
        try await queue.advance(by: .seconds(11))
        let second = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        #expect(second.attempt == 2 && second.lease.fence > first.lease.fence)
        #expect(
            try await queue.store.record([JobReport(second, Samples.failed(.retry(after: nil)))], by: worker) == [
                .recorded
            ])
        #expect(try await queue.state(of: job) == "dead")
    }

    @Test(arguments: StoreKind.allCases)
    func honoursRetryAfter(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        _ = try await queue.enqueue()
        let worker = try await queue.store.register(Samples.worker())
        let claimed = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        _ = try await queue.store.record(
            [JobReport(claimed, Samples.failed(.retry(after: .seconds(1000))))], by: worker)
        try await queue.advance(by: .seconds(900))
        #expect(try await queue.store.claim(limit: 1, by: worker) == [])
        try await queue.advance(by: .seconds(300))
        #expect(try await queue.store.claim(limit: 1, by: worker).count == 1)
    }

    @Test(arguments: StoreKind.allCases)
    func aReleaseBurnsNoAttempt(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue(maxAttempts: 1)
        let worker = try await queue.store.register(Samples.worker())
        let first = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        let release = JobReport(first, .released(reason: "shutdown", after: .zero))
        #expect(try await queue.store.record([release], by: worker) == [.recorded])
        #expect(try await queue.store.record([release], by: worker) == [.alreadyRecorded])
        #expect(try await queue.state(of: job) == "ready")
        let second = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        #expect(second.attempt == 1)
        _ = try await queue.store.record(
            [JobReport(second, .released(reason: "outage", after: .seconds(60)))], by: worker)
        #expect(try await queue.state(of: job) == "scheduled")
    }

    @Test(arguments: StoreKind.allCases)
    func aStaleWorkerWritesNothing(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue()
        let slow = try await queue.store.register(Samples.worker())
        let old = try #require(try await queue.store.claim(limit: 1, by: slow).first)
        try await queue.store.begin([old.lease], by: slow)
        try await queue.advance(by: .seconds(3600))
        let quick = try await queue.store.register(Samples.worker())
        let rescue = try await queue.store.rescue()
        #expect(rescue == RescueReport(lostWorkerCount: 1, rescuedCount: 1))
        let new = try #require(try await queue.store.claim(limit: 1, by: quick).first)
        #expect(new.attempt == 1 && new.rescueCount == 1)
        #expect(try await queue.store.record([JobReport(old, Samples.completed("stale"))], by: slow) == [.stale])
        #expect(try await queue.store.checkpoint(Samples.view(0, [["a"]]), under: old.lease, by: slow) == false)
        let reply = try await queue.store.heartbeat(slow, Heartbeat(holding: [old.lease: .compute]))
        #expect(reply == HeartbeatReply(isRegistered: false, lostLeases: [old.lease]))
        #expect(try await queue.store.claim(limit: 1, by: slow) == [])
        #expect(try await queue.state(of: job) == "leased")
        #expect(try await queue.store.record([JobReport(new, Samples.completed())], by: quick) == [.recorded])
    }

    @Test(arguments: StoreKind.allCases)
    func theThirdRescueQuarantinesTheCulpritAlone(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let jobs = [try await queue.enqueue(), try await queue.enqueue(), try await queue.enqueue()]
        for round in 1...3 {
            let worker = try await queue.store.register(Samples.worker())
            let claimed = try await queue.store.claim(limit: 9, by: worker)
            #expect(claimed.count == (round < 3 ? 3 : 1), "a suspect runs alone")
            try await queue.store.begin(claimed.map(\.lease), by: worker)
            #expect(try await queue.store.claim(limit: 9, by: worker) == [])
            try await queue.advance(by: .seconds(3600))
            let report = try await queue.store.rescue()
            #expect(report.poisonedCount == (round < 3 ? 0 : 1))
        }
        #expect(try await queue.state(of: jobs[0]) == "dead")
        #expect(try await queue.state(of: jobs[1]) == "ready")
        #expect(try await queue.state(of: jobs[2]) == "ready")
    }

    /// Jobs that only wait in a daemon cannot have killed it.
    @Test(arguments: StoreKind.allCases)
    func aJobThatNeverBeganIsNoSuspect(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue()
        for _ in 1...4 {
            let worker = try await queue.store.register(Samples.worker())
            let claimed = try #require(try await queue.store.claim(limit: 1, by: worker).first)
            #expect(claimed.rescueCount == 0)
            try await queue.advance(by: .seconds(3600))
            #expect(try await queue.store.rescue() == RescueReport(lostWorkerCount: 1, rescuedCount: 1))
        }
        #expect(try await queue.state(of: job) == "ready")
    }

    @Test(arguments: StoreKind.allCases)
    func aClaimKeepsToItsBudget(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let url = "https://example.org/" + String(repeating: "x", count: 1000)
        for _ in 1...4 { _ = try await queue.enqueue(Samples.caption(url)) }
        let worker = try await queue.store.register(Samples.worker())
        #expect(try await queue.store.claim(ClaimBudget(jobs: 9, bytes: 10), by: worker).count == 1)
        // A caption is one image, one prefill and at most 64 tokens.
        let weights = WorkWeights(image: 1, prefill: 1, token: 0.5, tasks: ["caption": 0.25])
        let budget = ClaimBudget(jobs: 9, seconds: 25, weights: weights)
        #expect(try await queue.store.claim(budget, by: worker).count == 2)
        #expect(try await queue.store.claim(budget, by: worker).count == 1)
    }

    /// A deadly job that nobody knows yet must not take a suspect with it, nor the other way round.
    @Test(arguments: StoreKind.allCases)
    func aSuspectRunsAlone(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let suspect = try await queue.enqueue()
        let busy = try await queue.store.register(Samples.worker())
        var held: [ClaimedJob] = []
        for _ in 1...2 {
            let victim = try await queue.store.register(Samples.worker())
            let taken = try await queue.store.claim(limit: 1, by: victim)
            #expect(taken.map(\.lease.job) == [suspect])
            try await queue.store.begin(taken.map(\.lease), by: victim)
            if held.isEmpty {
                _ = try await queue.enqueue()
                held = try await queue.store.claim(limit: 1, by: busy)
            }
            try await queue.advance(by: .seconds(3600))
            _ = try await queue.store.heartbeat(
                busy, Heartbeat(holding: Dictionary(uniqueKeysWithValues: held.map { ($0.lease, .compute) })))
            _ = try await queue.store.rescue()
        }
        let next = try await queue.enqueue()
        #expect(try await queue.store.claim(limit: 9, by: busy) == [], "it has to finish what it holds first")
        _ = try await queue.store.record(held.map { JobReport($0, Samples.completed()) }, by: busy)
        held = try await queue.store.claim(limit: 9, by: busy)
        #expect(held.map(\.lease.job) == [suspect])
        #expect(try await queue.store.claim(limit: 9, by: busy) == [], "nothing beside it")
        _ = try await queue.store.record(held.map { JobReport($0, Samples.completed()) }, by: busy)
        #expect(try await queue.store.claim(limit: 9, by: busy).map(\.lease.job) == [next])
    }

    @Test(arguments: StoreKind.allCases)
    func aLivingWorkerKeepsItsJobs(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        _ = try await queue.enqueue()
        let worker = try await queue.store.register(Samples.worker())
        let claimed = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        try await queue.advance(by: .seconds(3600))
        let reply = try await queue.store.heartbeat(worker, Heartbeat(holding: [claimed.lease: .fetch]))
        #expect(reply == HeartbeatReply(isRegistered: true, lostLeases: []))
        #expect(try await queue.store.rescue() == RescueReport())
    }

    @Test(arguments: StoreKind.allCases)
    func theHeartbeatSaysHowManyLive(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let first = try await queue.store.register(Samples.worker())
        let second = try await queue.store.register(Samples.worker())
        #expect(try await queue.store.heartbeat(first, Heartbeat()).workerCount == 2)
        try await queue.store.deregister(second)
        #expect(try await queue.store.heartbeat(first, Heartbeat()).workerCount == 1)
        _ = try await queue.store.register(Samples.worker())
        try await queue.advance(by: .seconds(60))
        #expect(try await queue.store.heartbeat(first, Heartbeat()).workerCount == 1, "one is silent")
    }

    @Test(arguments: StoreKind.allCases)
    func viewsSurviveACrash(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        _ = try await queue.enqueue(Samples.multiview(views: 3))
        let worker = try await queue.store.register(Samples.worker())
        let first = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        #expect(first.checkpoints == [])
        let views = [Samples.view(1, [["a mug", "a cup"]]), Samples.view(0, [["a mug", "mug\u{0}"]])]
        for view in views { #expect(try await queue.store.checkpoint(view, under: first.lease, by: worker)) }
        #expect(try await queue.store.checkpoint(views[0], under: first.lease, by: worker))
        let further = ViewResponses(
            stage: 2, view: 0, responses: [[Samples.response("red")]], modelDigest: "d", answer: "mug")
        #expect(try await queue.store.checkpoint(further, under: first.lease, by: worker))
        try await queue.advance(by: .seconds(3600))
        _ = try await queue.store.rescue()
        let other = try await queue.store.register(Samples.worker())
        let second = try #require(try await queue.store.claim(limit: 1, by: other).first)
        #expect(second.checkpoints.map(\.stage) == [1, 1, 2] && second.checkpoints.map(\.view) == [0, 1, 0])
        #expect(second.checkpoints[1...] == [views[0], further])
    }

    @Test(arguments: StoreKind.allCases)
    func goodbyeGivesJobsBack(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue(maxAttempts: 1)
        let worker = try await queue.store.register(Samples.worker())
        _ = try await queue.store.claim(limit: 1, by: worker)
        try await queue.store.deregister(worker)
        #expect(try await queue.state(of: job) == "ready")
        #expect(try await queue.store.rescue() == RescueReport())
    }

    @Test(arguments: StoreKind.allCases)
    func aCancelledJobIsLost(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let job = try await queue.enqueue()
        let worker = try await queue.store.register(Samples.worker())
        let claimed = try #require(try await queue.store.claim(limit: 1, by: worker).first)
        try await queue.cancel(job)
        let reply = try await queue.store.heartbeat(worker, Heartbeat(holding: [claimed.lease: .fetch]))
        #expect(reply == HeartbeatReply(isRegistered: true, lostLeases: [claimed.lease]))
        #expect(try await queue.store.record([JobReport(claimed, Samples.completed())], by: worker) == [.stale])
        #expect(try await queue.state(of: job) == "dead")
    }

    /// A claim that the store made and whose answer was lost must not keep its jobs.
    @Test(arguments: StoreKind.allCases) func aLostAnswerKeepsNoJob(kind: StoreKind) async throws {
        let queue = try await StoreUnderTest.make(kind)
        let worker = try await queue.store.register(Samples.worker())
        let (first, second) = (try await queue.enqueue(), try await queue.enqueue())
        let known = try await queue.store.claim(limit: 1, by: worker)
        _ = try await queue.store.claim(limit: 1, by: worker)
        #expect(try await queue.store.releaseUnheld(worker, holding: known.map(\.lease)) == 1)
        #expect(try await queue.state(of: first) == "leased")
        let again = try await queue.store.claim(limit: 9, by: worker)
        #expect(again.map(\.id) == [second])
        #expect(again.first?.attempt == 1)
        #expect(try await queue.store.releaseUnheld(worker, holding: (known + again).map(\.lease)) == 0)
    }
}
