import Annotation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct AdministrationTests {
    @Test func listsJobsByStateBatchTaskAndKey() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        for key in ["a", "b", "c"] {
            _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: key, batch: key == "c" ? "x" : nil))
        }
        _ = try await admin.enqueue(Samples.multiview(), EnqueueOptions(key: "a"))
        _ = try await admin.cancel(.job(JobID(rawValue: 2)))
        #expect(try await admin.jobs().map(\.job_id) == [4, 3, 2, 1])
        #expect(try await admin.jobs(limit: 2, before: JobID(rawValue: 4)).map(\.job_id) == [3, 2])
        #expect(try await admin.jobs(JobFilter(state: "dead")).map(\.reason) == ["cancelled by test_admin"])
        #expect(try await admin.jobs(JobFilter(state: "ready", batch: "x")).map(\.key) == ["c"])
        #expect(try await admin.jobs(JobFilter(task: .multiview)).map(\.job_id) == [4])
        #expect(try await admin.jobs(JobFilter(key: "a")).map(\.job_id) == [4, 1])
        let error = await #expect(throws: StorageError.self) { try await admin.jobs(JobFilter(state: "sleeping")) }
        #expect(error?.sqlState == "22023")
    }

    @Test func cancelsAndRetriesABatch() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        for _ in 0..<3 { _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(batch: "b")) }
        let delayed = EnqueueOptions(batch: "b", delay: .seconds(60))
        _ = try await admin.enqueue(Samples.caption(), delayed)
        let store = database.store()
        _ = try await store.claim(limit: 1, by: store.register(Samples.worker()))
        #expect(try await admin.cancel(.batch("b")) == 4)
        #expect(try await admin.cancel(.batch("b")) == 0)
        #expect(try await admin.batches().map(\.dead) == [4])
        #expect(try await admin.retry(DeadSelection(batch: "b")) == 4)
        #expect(try await admin.batches().map(\.dead) == [0])
        #expect(try await admin.depth().map(\.waiting) == [4])
        #expect(try await database.misplacedJobs() == [])
        let error = await #expect(throws: StorageError.self) { try await admin.cancel(.batch("none")) }
        #expect(error?.message == "there is no batch \"none\"")
    }

    @Test func showsProgressErrorsAndWorkers() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        for _ in 0..<4 { _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(batch: "b")) }
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 3, by: worker)
        _ = try await store.record(
            [
                JobReport(jobs[0], Samples.completed()),
                JobReport(jobs[1], Samples.failed(.permanent, code: "http_404")),
            ], by: worker)
        let batch = try #require(try await admin.batches(named: "b").first)
        #expect([batch.total, batch.done, batch.dead, batch.left] == [4, 1, 1, 2])
        #expect(batch.percent == 25 && (batch.eta_seconds ?? 0) > 0)
        let errors = try await admin.errors()
        #expect(errors.map(\.code) == ["http_404"] && errors.map(\.count) == [1])
        #expect(try await admin.stages().isEmpty)
        let stages = [
            "extend": StageTotals(seconds: 2.5, units: 4, rows: 70), "claim": StageTotals(seconds: 1, units: 1),
        ]
        _ = try await store.heartbeat(worker, Heartbeat(stages: stages))
        _ = try await store.heartbeat(worker, Heartbeat())
        let other = try await store.register(Samples.worker())
        _ = try await store.heartbeat(other, Heartbeat(stages: stages))
        let sums = try await admin.stages()
        #expect(sums.map(\.stage) == ["claim", "extend"] && sums.map(\.workers) == [2, 2])
        #expect(sums.map(\.seconds) == [2, 5] && sums.map(\.units) == [2, 8] && sums.map(\.rows) == [0, 140])
        try await store.deregister(other)
        let workers = try await admin.workers()
        #expect(workers.map(\.running) == [1] && workers.map(\.host) == ["test"])
        try await store.deregister(worker)
        #expect(try await admin.workers().isEmpty)
        #expect(try await admin.workers(all: true).count == 2)
        let detail = try #require(try await admin.job(jobs[1].id))
        #expect(detail.attempts.map(\.outcome) == ["failed"] && detail.imageURLs == ["https://example.org/a.jpg"])
    }

    @Test func countsStayRightWhenFolded() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        for _ in 0..<5 { _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(batch: "b")) }
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 3, by: worker)
        _ = try await store.record(jobs.map { JobReport($0, Samples.completed()) }, by: worker)
        let before = (try await admin.batches(), try await admin.depth())
        #expect(before.0.map(\.done) == [3] && (before.0.first?.rate ?? 0) > 0)
        try await database.query("select gloss.fold_counts(100)")
        #expect(try await database.query("select count(*) from gloss.tally").scalar == "0")
        let after = (try await admin.batches(), try await admin.depth())
        #expect(after.0.map { [$0.total, $0.done, $0.dead, $0.left] } == [[5, 3, 0, 2]])
        #expect((after.0.first?.rate ?? 0) > 0, "the rate is kept by the minute")
        #expect(after.1.map { [$0.waiting, $0.done] } == before.1.map { [$0.waiting, $0.done] })
        // The turns of the batch are kept as well: what comes now is served last.
        _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: "last", batch: "b"))
        #expect(try await store.claim(limit: 9, by: worker).last?.key == "last")
        try await database.query("select gloss.fold_counts(100)")
        #expect(try await admin.batches().map(\.total) == [6])
    }
}
