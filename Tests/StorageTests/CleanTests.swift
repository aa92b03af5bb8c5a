import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Everything that grows has an end, and nothing goes that somebody is about to use.
@Suite struct CleanTests {
    private let database: TestDatabase
    private let admin: Administration

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        admin = database.administration()
        try await database.query("update gloss.setting set value = '0' where name = 'keep_empty'")
    }

    private func enqueue(_ key: String, batch: String? = nil, model: String? = nil) async throws {
        var spec = Samples.caption()
        spec.model = model
        _ = try await admin.enqueue(spec, EnqueueOptions(key: key, batch: batch, priority: model == nil ? 0 : 7))
    }

    private func forget(_ key: String) async throws {
        _ = try await database.query("select gloss.cancel(key => $1)", [SQLValue(key)])
        _ = try await database.query("select gloss.forget(key => $1)", [SQLValue(key)])
    }

    /// Rows and lanes are as old as they have to be.
    private func age() async throws {
        try await database.query("update gloss.batch set created_at = created_at - interval '2 days'")
        try await database.query("update gloss.lane set moved_at = moved_at - interval '2 days'")
    }

    private func names() async throws -> [String?] {
        #expect(try await database.misplacedJobs() == [])
        return try await database.query(
            """
            select (select string_agg(name, ',') from gloss.batch), (select string_agg(model, ',') from gloss.kind
                where model <> ''), (select count(*) from gloss.lane where priority = 7)
            """
        ).rows[0]
    }

    @Test func batchesLanesAndModelsGoWhenTheyAreEmpty() async throws {
        try await enqueue("a", batch: "empty", model: "old")
        try await enqueue("b", batch: "used")
        try await forget("a")
        try await age()
        #expect(try await names() == ["empty,used", "old", "1"])
        try await database.tidy()
        #expect(try await names() == ["used", nil, "0"])
        #expect(try await admin.depth().map(\.waiting) == [1])
    }

    /// What was counted for a batch counts on for its task.
    @Test func countsOutliveTheirBatch() async throws {
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for number in 1...3 {
            _ = try await admin.enqueue(Samples.caption("https://e.org/\(number)"), EnqueueOptions(batch: "b"))
        }
        let jobs = try await store.claim(limit: 3, by: worker)
        _ = try await store.record(jobs.map { JobReport($0, Samples.completed()) }, by: worker)
        try await database.query("update gloss.annotation set finished_at = finished_at - interval '2 days'")
        try await age()
        _ = try await admin.prune(Retention(results: "1 day"))
        try await database.tidy()
        #expect(try await admin.batches().isEmpty)
        #expect(try await admin.depth().map(\.done) == [3])
    }

    /// A transaction has looked a batch up, and enqueues into it while it is being removed.
    @Test(arguments: ["read committed", "repeatable read"])
    func aBatchThatSomebodyIsAboutToUseStays(isolation: String) async throws {
        try await enqueue("a", batch: "b")
        try await forget("a")
        try await age()
        let session = database.session(as: .producer)
        try await session.script("begin isolation level \(isolation); select gloss.schema_version()")
        try await database.maintain()
        let call = "select outcome from gloss.enqueue_caption('https://e.org/x', key => 'x', batch => 'b')"
        let answer = try await Result { try await session.query(call).scalar }
        for _ in 1...3 { try await database.maintain() }
        switch answer {
        case .success(let outcome):
            #expect(outcome == "inserted")
            try await session.script("commit")
            let batch = try await database.query("select batch from gloss.job_state where key = 'x'")
            #expect(batch.scalar == "b")
        case .failure(let error):
            #expect(isolation != "read committed" && error.sqlState == "40001", "\(error)")
            try await session.script("rollback")
        }
        try await database.tidy()
        #expect(try await names()[0] == (answer.isSuccess ? "b" : nil))
        await session.close()
    }

    /// Nothing is removed as long as a transaction lasts that began before it was marked.
    @Test func anOldTransactionKeepsWhatItMayHaveSeen() async throws {
        try await enqueue("a", batch: "b")
        try await forget("a")
        try await age()
        let session = database.session()
        try await session.script("begin; select pg_current_xact_id()")
        for _ in 1...4 { try await database.maintain() }
        #expect(try await names()[0] == "b")
        try await session.script("commit")
        try await database.tidy()
        #expect(try await names()[0] == nil)
        await session.close()
    }

    @Test func workersThatHaveStoppedGo() async throws {
        let store = database.store()
        try await store.deregister(store.register(Samples.worker()))
        try await database.advance(by: .seconds(120))
        _ = try await store.rescue()
        try await database.maintain()
        #expect(try await admin.workers(all: true).count == 1)
        try await database.advance(by: .seconds(8 * 86_400))
        try await database.maintain()
        #expect(try await admin.workers(all: true).isEmpty)
    }

    @Test func keysOfPrunedJobsHaveAnEndIfOneIsAsked() async throws {
        try await enqueue("a")
        _ = try await admin.cancel(.everything)
        #expect(try await admin.prune(Retention(dead: "0")).dead == 1)
        #expect(try await admin.prune(Retention(dead: "0", keys: "1 day")).keys == 0)
        try await database.query("update gloss.job set created_at = created_at - interval '2 days'")
        #expect(try await admin.prune(Retention(dead: "0", keys: "1 day")).keys == 1)
        #expect(try await database.query("select count(*) from gloss.job").scalar == "0")
        #expect(try await database.misplacedJobs() == [])
    }

    // MARK: Hosts that never answer

    private func release(_ job: ClaimedJob, by worker: WorkerID, cause: Release.Cause = .host) async throws {
        let release = Release(cause, reason: "the server asks for patience", code: "http_429")
        _ = try await database.store().record([JobReport(job, .released(release))], by: worker)
    }

    /// Releases are one row with a count, and have an end.
    @Test func aJobThatOnlyWaitsForItsHostDies() async throws {
        try await enqueue("a")
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for _ in 1...5 {
            try await release(try #require(try await store.claim(limit: 1, by: worker).first), by: worker)
        }
        let history = try await database.query("select outcome, cause, code, count from gloss.attempt")
        #expect(history.rows == [["released", "host", "http_429", "5"]])
        #expect(try await admin.explain(JobID(rawValue: 1)).last?.contains("released 5 times since ") == true)
        try await database.query("update gloss.attempt set since = since - interval '25 hours'")
        // Not of the host: no end.
        try await release(
            try #require(try await store.claim(limit: 1, by: worker).first), by: worker, cause: .outage)
        #expect(try await admin.jobs().map(\.state) == ["ready"])
        try await release(try #require(try await store.claim(limit: 1, by: worker).first), by: worker)
        let dead = try await database.query("select code, reason from gloss.dead")
        #expect(
            dead.rows == [
                ["host_unavailable", "its host has failed for longer than 1 day: the server asks for patience"]
            ])
        // Told to try again, it has all its time again.
        #expect(try await admin.retry(DeadSelection(everything: true)) == 1)
        try await release(try #require(try await store.claim(limit: 1, by: worker).first), by: worker)
        #expect(try await admin.jobs().map(\.state) == ["ready"])
        #expect(try await database.misplacedJobs() == [])
    }

    /// Jobs that are put aside unseen die as well, once they have waited as long as their host has failed; new ones do not.
    @Test func jobsOfAHostThatIsGoneEnd() async throws {
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for number in 1...3 {
            _ = try await admin.enqueue(
                Samples.caption("https://gone.example/\(number)"), EnqueueOptions(key: "\(number)"))
        }
        try await store.park(origin: "https://gone.example", for: .seconds(60), reason: "connection refused")
        try await database.query("update gloss.parked_origin set since = since - interval '2 days'")
        #expect(try await store.claim(limit: 9, by: worker) == [])
        #expect(try await admin.jobs().map(\.state) == ["scheduled", "scheduled", "scheduled"])
        try await database.query("update gloss.job set created_at = created_at - interval '2 days' where key <> '3'")
        try await database.advance(by: .seconds(120))
        try await store.park(origin: "https://gone.example", for: .seconds(600), reason: "connection refused")
        #expect(try await store.claim(limit: 9, by: worker) == [])
        #expect(try await admin.jobs().map(\.state) == ["scheduled", "dead", "dead"])
        let dead = try await database.query("select distinct code from gloss.dead")
        #expect(dead.rows == [["host_unavailable"]])
        #expect(try await database.misplacedJobs() == [])
    }

    /// An origin that was parked is remembered for a while; one that somebody paused stays paused.
    @Test func parkedOriginsHaveAnEnd() async throws {
        let store = database.store()
        for host in ["a", "b"] {
            try await store.park(origin: "https://\(host).org", for: .seconds(60), reason: "connection refused")
        }
        try await admin.pause(.host("b.org"))
        try await database.query("update gloss.setting set value = '1 hour' where name = 'keep_parked'")
        let origins = "select string_agg(origin, ' ' order by origin) from gloss.parked_origin"
        try await database.advance(by: .seconds(1800))
        try await database.tidy()
        let remembered = try await database.query(origins).scalar
        #expect(remembered == "b.org https://a.org https://b.org")
        try await database.advance(by: .seconds(3600))
        try await database.tidy()
        let paused = try await database.query(origins).scalar
        #expect(paused == "b.org")
    }

    /// A host that answers again has not failed since.
    @Test func aSuccessForgetsThatAHostHasFailed() async throws {
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        try await store.park(origin: "https://example.org", for: .seconds(60), reason: "connection refused")
        try await database.advance(by: .seconds(120))
        try await enqueue("a")
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        _ = try await store.record([JobReport(job, Samples.completed())], by: worker)
        #expect(try await database.query("select count(*) from gloss.parked_origin").scalar == "0")
    }
}

extension Result where Failure == StorageError {
    /// What an asynchronous call gives.
    fileprivate init(_ body: () async throws -> Success) async throws {
        do { self = .success(try await body()) } catch let error as StorageError { self = .failure(error) }
    }

    fileprivate var isSuccess: Bool {
        if case .success = self { true } else { false }
    }
}
