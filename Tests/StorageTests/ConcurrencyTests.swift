import Annotation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct ConcurrencyTests {
    private func fill(_ database: TestDatabase, count: Int) async throws {
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, key)
            select 'caption', array['https://host' || i % 2 || '.org/' || i], i::text from generate_series(1, $1) i
            """, [SQLValue(count)], as: .producer)
    }

    @Test func aJobIsNeverGivenTwice() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await fill(database, count: 400)
        let claimed = try await withThrowingTaskGroup(of: [JobID].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let store = database.store()
                    let worker = try await store.register(Samples.worker())
                    var mine: [JobID] = []
                    while true {
                        let jobs = try await store.claim(limit: 7, by: worker)
                        if jobs.isEmpty { return mine }
                        mine += jobs.map(\.id)
                        _ = try await store.record(jobs.map { JobReport($0, Samples.completed()) }, by: worker)
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(claimed.count == 400)
        #expect(Set(claimed).count == 400)
        let done = try await database.query("select count(*) from gloss.result", as: .reader)
        #expect(done.scalar == "400")
        #expect(try await database.misplacedJobs() == [])
        let depth = try await database.administration(as: .reader).depth()
        #expect(depth.map(\.done) == [400] && depth.map(\.waiting) == [0])
    }

    /// Bulks of the same new rows in opposite orders wait for each other, never both.
    @Test(.timeLimit(.minutes(5)), arguments: ["key", "batch", "model", "priority"])
    func bulksInOppositeOrders(column: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let value = column == "priority" ? "i - 41" : "'\(column)-' || i"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for order in ["asc", "desc", "asc", "desc"] {
                group.addTask {
                    try await database.query(
                        """
                        insert into gloss.inbox (task, image_urls, \(column == "key" ? "" : "key, ")\(column))
                        select 'caption', array['https://example.org/' || i], \(column == "key" ? "" : "i::text, ")\(value)
                        from generate_series(1, 80) i order by i \(order)
                        """, as: .producer)
                }
            }
            try await group.waitForAll()
        }
        #expect(try await database.query("select count(*) from gloss.job").scalar == "80", "a key names one job")
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func chaosLosesNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await fill(database, count: 60)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for seed in 1...4 {
                group.addTask { try await misbehave(UInt64(seed), database) }
            }
            try await group.waitForAll()
        }
        #expect(try await database.misplacedJobs() == [])
        let counts = try await database.query(
            """
            with t as (
                select enqueued, done, dead from gloss.tally union all select enqueued, done, dead from gloss.total)
            select (select count(*) from gloss.job) = 60,
                   (select sum(enqueued) from t) = 60,
                   (select sum(done) from t) = (select count(*) from gloss.annotation),
                   (select sum(dead) from t) = (select count(*) from gloss.dead_job),
                   (select count(*) from gloss.checkpoint c where not exists
                       (select from gloss.leased l where l.job_id = c.job_id))
            """)
        #expect(counts.rows == [["t", "t", "t", "t", "0"]])
    }

    /// A worker that completes, fails, releases, disappears and repeats itself, while an administrator cancels,
    /// retries, pauses, resumes and rescues.
    private func misbehave(_ seed: UInt64, _ database: TestDatabase) async throws {
        var random = SplitMix(state: seed)
        let store = database.store(retryPolicy: RetryPolicy(base: .zero, cap: .zero))
        let admin = database.administration()
        var worker = try await store.register(Samples.worker())
        for _ in 0..<40 {
            let jobs = try await store.claim(limit: Int.random(in: 1...5, using: &random), by: worker)
            let reports = jobs.map { JobReport($0, outcome(&random)) }
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                try await database.advance(by: .seconds(60))
                _ = try await store.rescue()
                worker = try await store.register(Samples.worker())
            case 1: _ = try await admin.cancel(.job(JobID(rawValue: .random(in: 1...60, using: &random))))
            case 2: _ = try await admin.retry(DeadSelection(everything: true))
            case 3:
                try await store.deregister(worker)
                worker = try await store.register(Samples.worker())
            case 4: _ = try await store.record(reports + reports, by: worker)
            case 5:
                try await admin.pause(.host("host1.org"))
                // Another one may have resumed it.
                do { try await admin.resume(.host("host1.org")) } catch let error as StorageError
                    where error.sqlState == "22023"
                {}
            default: _ = try await store.record(reports, by: worker)
            }
        }
        try await store.deregister(worker)
    }

    private func outcome(_ random: inout SplitMix) -> Outcome {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: Samples.failed(.permanent)
        case 1: Samples.failed(.retry(after: nil))
        case 2: .released(reason: "chaos", after: .zero)
        default: Samples.completed()
        }
    }

    @Test func aParkedHostIsMetOnce() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await fill(database, count: 40)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        try await store.park(origin: "https://host1.org", for: .seconds(600), reason: "connection refused")
        let jobs = try await store.claim(limit: 20, by: worker)
        #expect(jobs.count == 20)
        #expect(jobs.allSatisfy { $0.spec.imageURLs[0].hasPrefix("https://host0.org") })
        #expect(try await store.claim(limit: 20, by: worker) == [])
        let aside = try await database.query("select count(*), max(attempts) from gloss.scheduled")
        #expect(aside.rows == [["20", "0"]])
        let hosts = try await database.administration(as: .reader).hosts()
        #expect(hosts.map(\.host) == ["https://host1.org"] && hosts.map(\.reason) == ["connection refused"])
        try await database.administration().resume(.host("host1.org"))
        #expect(try await store.claim(limit: 40, by: worker).count == 20)
    }

    @Test func aPausedBatchWaitsAside() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        let paused = try await admin.enqueue(Samples.caption(), EnqueueOptions(batch: "b")).job
        let free = try await admin.enqueue(Samples.caption()).job
        try await admin.pause(.batch("b"))
        let later = try await admin.enqueue(Samples.caption(), EnqueueOptions(batch: "b")).job
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        #expect(try await store.claim(limit: 9, by: worker).map(\.id) == [free])
        #expect(try await admin.job(later)?.job.state == "paused")
        #expect(try await database.misplacedJobs() == [])
        try await admin.resume(.batch("b"))
        #expect(try await store.claim(limit: 9, by: worker).map(\.id) == [paused, later])
    }

    @Test func aPausedTaskOrQueueGivesOutNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        _ = try await admin.enqueue(Samples.caption())
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for selection in [JobSelection.task(.caption), .everything] {
            try await admin.pause(selection)
            #expect(try await store.claim(limit: 9, by: worker) == [])
            #expect(try await admin.depth().map(\.paused) == [true])
            try await admin.resume(selection)
        }
        #expect(try await store.claim(limit: 9, by: worker).count == 1)
    }
}

/// Random numbers that are the same in each run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
