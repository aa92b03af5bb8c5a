import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Each reason for which a job may not run, made for real.
@Suite struct ExplainTests {
    private let database: TestDatabase
    private let admin: Administration
    private let store: PostgresJobStore

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        admin = database.administration()
        store = database.store(retryPolicy: RetryPolicy(base: .seconds(1000), cap: .seconds(1000)))
    }

    private func enqueue(
        _ spec: JobSpec = Samples.caption(), batch: String? = nil, priority: Int = 0, delay: Duration = .zero
    ) async throws -> JobID {
        try await admin.enqueue(spec, EnqueueOptions(batch: batch, priority: priority, delay: delay)).job
    }

    /// All lines but the first, which says the state.
    private func reasons(_ job: JobID) async throws -> [String] { Array(try await admin.explain(job).dropFirst()) }

    private func claim(by worker: WorkerID) async throws -> ClaimedJob {
        try #require(try await store.claim(limit: 1, by: worker).first)
    }

    /// A daemon begins jobs and is heard of no more.
    private func die(holding count: Int) async throws {
        let worker = try await store.register(Samples.worker())
        try await store.begin(store.claim(limit: count, by: worker).map(\.lease), by: worker)
        try await database.advance(by: .seconds(3600))
        _ = try await store.rescue()
    }

    @Test func aJobThatRunsNextSaysHowManyAreBeforeIt() async throws {
        let second = try await enqueue()
        let third = try await enqueue()
        let first = try await enqueue(priority: -1)
        _ = try await enqueue(Samples.multiview())
        _ = try await store.register(Samples.worker())
        #expect(try await admin.explain(first) == ["job 3 (caption) is ready", "it is the next of its task and model"])
        #expect(try await reasons(second) == ["jobs of its task and model ahead of it: 1"])
        #expect(try await reasons(third) == ["jobs of its task and model ahead of it: 2"])
        #expect(try await admin.explain(JobID(rawValue: 99)) == ["there is no job 99"])
    }

    @Test func manyJobsAheadAreNotCounted() async throws {
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls)
            select 'caption', '{https://e.org/a}' from generate_series(1, 10005)
            """)
        _ = try await store.register(Samples.worker())
        #expect(
            try await reasons(JobID(rawValue: 10005)) == ["more than 10000 jobs of its task and model are ahead of it"])
    }

    @Test func whatAPersonHasPaused() async throws {
        let job = try await enqueue(batch: "b")
        _ = try await store.register(Samples.worker())
        try await admin.pause(.everything)
        try await admin.pause(.task(.caption))
        try await admin.pause(.batch("b"))
        let lines = try await admin.explain(job)
        #expect(lines[0] == "job 1 (caption, batch \"b\") is paused")
        #expect(lines[1].hasPrefix("everything is paused since 20"))
        #expect(lines[1].hasSuffix("; to go on: select gloss.resume(everything => true)"))
        #expect(lines[2].hasPrefix("the task caption is paused since 20"))
        #expect(lines[2].hasSuffix("; to go on: select gloss.resume(task => 'caption')"))
        #expect(lines[3] == "its batch is paused; to go on: select gloss.resume(batch => 'b')")
        #expect(lines.count == 4)
        for stop in [JobSelection.everything, .task(.caption), .batch("b")] { try await admin.resume(stop) }
        #expect(try await reasons(job) == ["it is the next of its task and model"])
    }

    @Test func aHostThatIsParked() async throws {
        let job = try await enqueue()
        let worker = try await store.register(Samples.worker())
        try await store.park(origin: "https://example.org", for: .seconds(600), reason: "3 time-outs in a row")
        let ready = try await reasons(job)
        #expect(ready[0].hasPrefix("the host https://example.org is parked until 20"))
        #expect(ready[0].hasSuffix(", in 10 min: 3 time-outs in a row"))
        #expect(try await store.claim(limit: 1, by: worker).isEmpty)
        let aside = try await admin.explain(job)
        #expect(aside[0] == "job 1 (caption) is scheduled")
        #expect(aside[1].hasPrefix("the host https://example.org is parked until 20"))
        #expect(aside[2].hasPrefix("it was put aside, and is due again at 20"))
        #expect(aside.count == 3, "no attempt was burnt: \(aside)")
    }

    @Test func aTimeToComeAndWhoAskedForIt() async throws {
        let job = try await enqueue(delay: .seconds(86400 * 7))
        _ = try await store.register(Samples.worker())
        let lines = try await reasons(job)
        #expect(lines.count == 1 && lines[0].hasPrefix("it was asked for at 20") && lines[0].hasSuffix(", in 7 days"))
        try await database.advance(by: .seconds(86400 * 8))
        _ = try await store.register(Samples.worker())
        #expect(try await reasons(job) == ["it has just become due: the next claim looks at it"])
    }

    @Test func aRetryAndTheErrorBeforeIt() async throws {
        let job = try await enqueue()
        let worker = try await store.register(Samples.worker())
        let claimed = try await claim(by: worker)
        _ = try await store.record([JobReport(claimed, Samples.failed(.retry(after: nil)))], by: worker)
        let lines = try await reasons(job)
        #expect(lines[0].hasPrefix("attempt 1 of 5 failed (http_503: the server said no); the next one is due at 20"))
        #expect(lines[0].hasSuffix(" min"))
        #expect(lines[1].hasPrefix("attempt 1 failed at 20") && lines[1].hasSuffix(": http_503, the server said no"))
    }

    @Test func aJobThatWasGivenBack() async throws {
        let job = try await enqueue()
        let worker = try await store.register(Samples.worker())
        let claimed = try await claim(by: worker)
        _ = try await store.record(
            [JobReport(claimed, .released(reason: "out of memory", after: .seconds(60)))], by: worker)
        let lines = try await reasons(job)
        #expect(lines[0].hasPrefix("it was given back (out of memory), and is due again at 20"))
    }

    @Test func noDaemon() async throws {
        let job = try await enqueue()
        #expect(try await reasons(job).first == "no daemon is alive: is glossd running?")
        _ = try await store.register(Samples.worker())
        try await database.advance(by: .seconds(7200))
        let lines = try await reasons(job)
        #expect(lines[0] == "no daemon is alive: is glossd running? The last one, on test, was heard 2 h ago")
    }

    @Test func noDaemonThatServesIt() async throws {
        var spec = Samples.caption()
        spec.model = "large"
        let (job, other) = (try await enqueue(spec), try await enqueue())
        let digest = String(repeating: "ab", count: 32)
        _ = try await store.register(Samples.worker(models: ["tiny", digest], tasks: [.vqa]))
        #expect(
            try await reasons(job)[0]
                == "no daemon that is alive serves the model large for the task caption; those that are serve: tiny")
        #expect(try await reasons(other)[0] == "no daemon that is alive takes the task caption")
        _ = try await store.register(Samples.worker(models: ["large"]))
        #expect(try await reasons(job) == ["it is the next of its task and model"])
    }

    @Test func daemonsThatTakeNoJobsSayWhy() async throws {
        let job = try await enqueue()
        let (first, second) = (try await store.register(Samples.worker()), try await store.register(Samples.worker()))
        _ = try await store.heartbeat(first, Heartbeat(holdup: "out of memory"))
        #expect(try await reasons(job) == ["it is the next of its task and model"], "another one takes it")
        _ = try await store.heartbeat(second, Heartbeat(holdup: "it was told to stop"))
        #expect(
            try await reasons(job).prefix(2) == [
                "the daemon on test (pid 1) takes no jobs: out of memory",
                "the daemon on test (pid 1) takes no jobs: it was told to stop",
            ])
        _ = try await store.heartbeat(first, Heartbeat())
        #expect(try await reasons(job) == ["it is the next of its task and model"])
    }

    @Test func aSuspectRunsAlone() async throws {
        let (first, second) = (try await enqueue(), try await enqueue())
        for _ in 1...2 { try await die(holding: 2) }
        _ = try await store.register(Samples.worker())
        #expect(
            try await reasons(first)[0].hasPrefix("two daemons died while they worked on it, so a daemon takes it only")
        )
        #expect(try await reasons(second)[0].hasSuffix("a third death makes it dead. Such jobs ahead of it: 1"))
        #expect(try await reasons(second)[1].hasSuffix(": the daemon died while it worked on this job"))
    }

    @Test func whoHoldsItAndWhatForAndWhetherItLives() async throws {
        let job = try await enqueue()
        let worker = try await store.register(Samples.worker())
        let lease = try await claim(by: worker).lease
        var line: String { get async throws { try #require(try await reasons(job).first) } }
        #expect(try await line.hasPrefix("worker 1 (test, pid 1) has held it since 20"))
        #expect(try await line.hasSuffix("and has not said yet what it does with it"))
        for (phase, words) in [
            (JobPhase.fetch, "is fetching its images"), (.compute, "is computing"),
            (.record, "is recording the outcome"),
        ] {
            _ = try await store.heartbeat(worker, Heartbeat(holding: [lease: phase]))
            #expect(try await line.hasSuffix("and \(words)"))
        }
        try await database.advance(by: .seconds(3600))
        #expect(try await line.contains("; but it has been silent for 60 min: after rescue_seconds any other daemon"))
    }

    @Test func whyItDiedAndWhatToDo() async throws {
        let ids = [try await enqueue(), try await enqueue(), try await enqueue()]
        let worker = try await store.register(Samples.worker())
        let claimed = try await claim(by: worker)
        _ = try await store.record([JobReport(claimed, Samples.failed(.permanent, code: "http_404"))], by: worker)
        let lines = try await admin.explain(ids[0])
        #expect(lines[0] == "job 1 (caption) is dead")
        #expect(lines[1].hasPrefix("it died at 20"))
        #expect(lines[1].hasSuffix(" after 1 failed attempt: the server said no"))
        #expect(lines[2] == "once the reason is gone, to try again: select gloss.retry(job => 1)")
        #expect(lines[3].hasSuffix(": http_404, the server said no"))
        _ = try await admin.cancel(.job(ids[1]))
        #expect(try await reasons(ids[1])[0].hasSuffix("after 0 failed attempts: cancelled by test_admin"))
        #expect(try await reasons(ids[1])[1] == "to run it after all: select gloss.retry(job => 2)")
        for _ in 1...3 { try await die(holding: 1) }
        #expect(try await reasons(ids[2])[0].hasSuffix("poison: 3 daemons died while they worked on this job"))
        #expect(try await reasons(ids[2])[1].hasPrefix("the logs of these daemons may tell what it does to them"))
    }

    @Test func itIsDone() async throws {
        let job = try await enqueue()
        let worker = try await store.register(Samples.worker())
        let claimed = try await claim(by: worker)
        _ = try await store.record([JobReport(claimed, Samples.completed())], by: worker)
        let lines = try await admin.explain(job)
        #expect(lines[0] == "job 1 (caption) is done" && lines[1].hasPrefix("it finished at 20"))
    }
}
