import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// What an operator does to jobs: pause a host, run again, forget, prune.
@Suite struct OperatingTests {
    private let database: TestDatabase
    private let admin: Administration
    private let store: PostgresJobStore
    private let worker: WorkerID

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        admin = database.administration()
        store = database.store(retryPolicy: RetryPolicy(base: .zero))
        worker = try await store.register(Samples.worker())
    }

    private func enqueue(
        _ url: String = "https://example.org/a.jpg", key: String? = nil, batch: String? = nil, delay: Duration = .zero
    ) async throws -> Enqueued {
        try await admin.enqueue(Samples.caption(url), EnqueueOptions(key: key, batch: batch, delay: delay))
    }

    private func claim(_ limit: Int = 100) async throws -> [ClaimedJob] {
        try await store.claim(limit: limit, by: worker)
    }

    private func finish(_ text: String = "a cat") async throws {
        _ = try await store.record(try await claim().map { JobReport($0, Samples.completed(text)) }, by: worker)
    }

    private func count(_ what: String) async throws -> String? {
        try await database.query("select count(*) from gloss.\(what)").scalar
    }

    private func state(_ job: Int64) async throws -> String? {
        #expect(try await database.misplacedJobs() == [])
        return try await admin.job(JobID(rawValue: job))?.job.state
    }

    // MARK: Hosts

    @Test func aPausedHostWaitsAndBurnsNothing() async throws {
        let (mine, other) = (try await enqueue("https://Slow.example/1"), try await enqueue("https://fast.example/1"))
        try await admin.pause(.host("slow.EXAMPLE"))
        #expect(try await claim().map(\.id) == [other.job])
        #expect(try await state(mine.job.rawValue) == "scheduled")
        #expect(
            try await admin.explain(mine.job) == [
                "job 1 (caption) is scheduled",
                "the host slow.example is paused: paused by test_admin; "
                    + "to go on: select gloss.resume(host => 'slow.example')",
            ])
        #expect(try await admin.hosts().map(\.parked_until) == ["infinity"])
        #expect(try await admin.hosts().map(\.seconds_left) == [nil])
        let late = try await enqueue("https://slow.example/2")
        try await store.park(origin: "https://slow.example", for: .seconds(1), reason: "it failed")
        try await database.advance(by: .seconds(1_000_000))
        #expect(try await claim().isEmpty, "neither time nor parking ends a pause")
        #expect(try await admin.hosts().map(\.reason) == ["paused by test_admin"])
        try await admin.resume(.host("slow.example"))
        let claimed = try await claim()
        #expect(Set(claimed.map(\.id)) == [mine.job, late.job])
        #expect(claimed.allSatisfy { $0.attempt == 1 })
        #expect(try await admin.hosts().isEmpty)
        let again = await #expect(throws: StorageError.self) { try await admin.resume(.host("slow.example")) }
        #expect(again?.message == "the host \"slow.example\" is neither paused nor parked")
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func aHostThatGoesOnStartsNothingBeforeItsTime() async throws {
        _ = try await enqueue("https://slow.example/1", delay: .seconds(3600))
        try await store.park(origin: "https://slow.example", for: .seconds(60), reason: "it failed")
        try await admin.resume(.host("slow.example"))
        #expect(try await state(1) == "scheduled")
    }

    /// Put aside for its host, then held with its batch; the host goes on before the batch.
    @Test func pausesOfHostAndBatchDoNotTangle() async throws {
        _ = try await enqueue("https://slow.example/1", batch: "b")
        try await admin.pause(.host("slow.example"))
        #expect(try await claim().isEmpty)
        try await admin.pause(.batch("b"))
        #expect(try await state(1) == "paused")
        try await admin.resume(.host("slow.example"))
        try await admin.resume(.batch("b"))
        #expect(try await claim().count == 1)
    }

    @Test(arguments: ["ftp://slow.example", "slow.example:80", "user@slow.example", "a b", "slow.example/1", ""])
    func aHostIsAName(text: String) async throws {
        let error = await #expect(throws: StorageError.self) { try await admin.pause(.host(text)) }
        #expect(error?.sqlState == "22023" && error?.message.hasPrefix("host is a name such as ") == true)
    }

    // MARK: Again

    @Test func aDoneJobRunsAgainAndKeepsItsKeyAndItsHistory() async throws {
        let job = try await enqueue(key: "k", batch: "b").job
        try await finish("a cat")
        #expect(try await admin.rerun(.job(job)) == 1)
        #expect(try await state(1) == "ready")
        #expect(try await count("caption") == "0")
        #expect(try await admin.batches().map(\.left) == [1])
        #expect(try await enqueue(key: "k").outcome == .duplicate)
        #expect(try await enqueue("https://example.org/other", key: "k").outcome == .conflict)
        try await finish("a dog")
        let texts = try await database.query(
            "select (select caption from gloss.caption where key = 'k'), (select texts[1] from gloss.superseded)")
        #expect(texts.rows == [["a dog", "a cat"]])
        let lines = try await admin.explain(job)
        #expect(
            lines.last?.hasPrefix("run again at 20") == true
                && lines.last?.contains(" by test_admin, after a result of ") == true)
        #expect(try await admin.rerun(.batch("b")) == 1)
        try await finish("a bird")
        #expect(try await count("superseded") == "2")
        #expect(try await admin.batches().map(\.done) == [1])
    }

    @Test func aDeadJobRunsAgainAndOneThatRunsDoesNot() async throws {
        let jobs = [try await enqueue(batch: "b").job, try await enqueue(batch: "b").job]
        let claimed = try await claim(1)
        _ = try await store.record([JobReport(claimed[0], Samples.failed(.permanent))], by: worker)
        #expect(try await admin.rerun(.batch("b")) == 1)
        #expect(try await state(claimed[0].id.rawValue) == "ready")
        #expect(try await admin.batches().map(\.dead) == [0])
        #expect(try await claim().map(\.attempt) == [1, 1], "fresh attempts")
        #expect(try await admin.rerun(.everything) == 0)
        #expect(try await count("attempt") == "1", "the history stays")
        #expect(jobs.count == 2)
    }

    // MARK: Forget

    @Test func forgettingFreesTheKey() async throws {
        _ = try await enqueue(key: "k")
        #expect(try await database.query("select gloss.forget(key => 'k')").scalar == "0", "it is still waiting")
        _ = try await admin.cancel(.job(JobID(rawValue: 1)))
        #expect(try await database.query("select gloss.forget(key => 'k')").scalar == "1")
        #expect(try await enqueue("https://e.org/other", key: "k").outcome == .inserted)
        #expect(try await admin.depth().map(\.dead) == [0])
    }

    @Test func forgettingGoesInPieces() async throws {
        for _ in 0..<5 { _ = try await enqueue(batch: "b") }
        try await finish()
        _ = try await admin.rerun(.job(JobID(rawValue: 1)))
        try await finish()
        _ = try await enqueue(batch: "b")
        #expect(try await database.query("select gloss.forget(batch => 'b', most => 2)", as: .admin).scalar == "2")
        #expect(try await admin.forget(.batch("b")) == 3)
        #expect(try await admin.forget(.batch("b")) == 0, "one waits")
        #expect(try await admin.batches().map { [$0.total, $0.done, $0.left] } == [[1, 0, 1]])
        for table in ["annotation", "superseded", "attempt"] { #expect(try await count(table) == "0") }
    }

    // MARK: Prune

    @Test func pruningHistoryKeepsKeysAndResults() async throws {
        _ = try await enqueue(key: "k")
        for outcome in [Samples.failed(.retry(after: nil)), Samples.completed()] {
            let job = try #require(try await claim(1).first)
            _ = try await store.record([JobReport(job, outcome)], by: worker)
        }
        #expect(try await admin.prune(Retention(history: "30 days")) == Pruned())
        try await database.query("update gloss.attempt set at = now() - interval '31 days'")
        let pruned = try await admin.prune(Retention(history: "30 days"))
        #expect([pruned.attempts, pruned.results, pruned.dead] == [1, 0, 0])
        #expect(try await enqueue(key: "k").outcome == .duplicate)
        #expect(try await count("caption where key = 'k'") == "1")
    }

    @Test func historyOfJobsThatGoOnHasAnEndToo() async throws {
        _ = try await enqueue()
        let job = try #require(try await claim(1).first)
        _ = try await store.record([JobReport(job, Samples.failed(.retry(after: nil)))], by: worker)
        try await database.query("update gloss.attempt set at = now() - interval '31 days'")
        #expect(try await admin.prune(Retention(history: "1 day")).attempts == 1)
        #expect(try await state(1) == "ready")
    }

    /// What is pruned takes next to no room, and its key goes on naming it, for one job and for bulks.
    @Test func keysOutliveWhatTheyNamed() async throws {
        for key in ["old", "new", nil] { _ = try await enqueue(key: key, batch: "b") }
        try await finish()
        _ = try await admin.rerun(.job(JobID(rawValue: 1)))
        try await finish()
        try await database.query(
            "update gloss.annotation set finished_at = now() - interval '91 days' where job_id <> 2")
        let pruned = try await admin.prune(Retention(results: "90 days"), most: 1)
        #expect([pruned.attempts, pruned.results, pruned.dead] == [0, 2, 0])
        #expect(try await state(1) == "pruned")
        #expect(try await state(2) == "done")
        #expect(try await state(3) == nil, "it had no key")
        #expect(try await admin.jobs(JobFilter(state: "pruned")).map(\.key) == ["old"])
        #expect(try await count("superseded") == "0")
        #expect(try await admin.batches().map { [$0.total, $0.done, $0.left] } == [[3, 3, 0]], "counts stay")

        #expect(try await enqueue(key: "old") == Enqueued(job: JobID(rawValue: 1), outcome: .duplicate))
        #expect(try await enqueue("https://example.org/b.jpg", key: "old").outcome == .conflict)
        var other = Samples.caption()
        other.model = "large"
        let elsewhere = try await admin.enqueue(other, EnqueueOptions(key: "old"))
        #expect(elsewhere.outcome == .inserted, "a key is a name within its model")
        _ = try await admin.cancel(.job(elsewhere.job))
        #expect(try await admin.forget(.job(elsewhere.job)) == 1)
        let bulk = "insert into gloss.inbox (task, image_urls, key) values ('caption', "
        try await database.query(bulk + "'{https://example.org/a.jpg}', 'old')", as: .producer)
        let conflict = await #expect(throws: StorageError.self) {
            try await database.query(bulk + "'{https://example.org/b.jpg}', 'old')", as: .producer)
        }
        #expect(conflict?.sqlState == "23505")
        #expect(try await count("job") == "2", "nothing was enqueued")

        #expect(try await admin.explain(JobID(rawValue: 1)).last == "to free the key: select gloss.forget(job => 1)")
        #expect(try await [admin.cancel(.everything), admin.retry(DeadSelection(everything: true))] == [0, 0])
        #expect(try await admin.rerun(.job(JobID(rawValue: 1))) == 0, "there is nothing left to run")
        #expect(try await admin.forget(.job(JobID(rawValue: 1))) == 1)
        #expect(try await enqueue("https://example.org/b.jpg", key: "old").outcome == .inserted)
        #expect(try await admin.batches().map { [$0.total, $0.done] } == [[2, 2]])
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func deadJobsArePrunedByTheirOwnTime() async throws {
        _ = try await enqueue(key: "dead")
        _ = try await enqueue(key: "done")
        let jobs = try await claim()
        _ = try await store.record(
            [
                JobReport(jobs[0], Samples.failed(.permanent)), JobReport(jobs[1], Samples.completed()),
            ], by: worker)
        try await database.query("update gloss.dead_job set died_at = now() - interval '15 days'")
        #expect(try await admin.prune(Retention(results: "1 day")) == Pruned())
        let pruned = try await admin.prune(Retention(dead: "2 weeks"))
        #expect([pruned.attempts, pruned.results, pruned.dead] == [0, 0, 1])
        #expect(try await count("attempt") == "0", "its history goes with it")
        #expect(try await enqueue(key: "dead").outcome == .duplicate)
        let error = await #expect(throws: StorageError.self) { try await admin.prune(Retention(results: "-1 day")) }
        #expect(error?.sqlState == "22023")
    }

    /// A key is free for nobody while its job is pruned: an enqueue at the same time sees the one or the other.
    @Test func pruningAndEnqueueingAtTheSameTime() async throws {
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, key)
            select 'caption', '{https://example.org/a.jpg}', i::text from generate_series(1, 200) i
            """)
        _ = try await admin.cancel(.everything)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { _ = try await database.administration().prune(Retention(dead: "0"), most: 10) }
            group.addTask {
                let producer = database.administration(as: .producer)
                for key in 1...200 {
                    let answer = try await producer.enqueue(Samples.caption(), EnqueueOptions(key: "\(key)"))
                    #expect(answer == Enqueued(job: JobID(rawValue: Int64(key)), outcome: .duplicate))
                }
            }
            try await group.waitForAll()
        }
        #expect(try await count("job where image_urls = '{}'") == "200")
        #expect(try await database.misplacedJobs() == [])
    }
}
