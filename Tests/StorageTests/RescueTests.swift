import Queue
import Storage
import TestSupport
import Testing

/// Who counts as dead, and what his jobs bear for it.
@Suite struct RescueTests {
    private let database: TestDatabase
    private let store: PostgresJobStore

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        store = database.store()
    }

    private func enqueue(_ count: Int) async throws {
        for _ in 0..<count { _ = try await database.administration().enqueue(Samples.caption()) }
    }

    private func register() async throws -> WorkerID { try await store.register(Samples.worker()) }

    /// What stands in `gloss.ready` of each job: its number, failed attempts, and deaths.
    private func ready() async throws -> [[String?]] {
        #expect(try await database.misplacedJobs() == [])
        return try await database.query("select job_id, attempts, rescues from gloss.ready order by job_id").rows
    }

    /// Lets time pass without anybody having looked meanwhile.
    private func pass(seconds: Int) async throws {
        try await database.query(
            """
            update gloss.registered_worker
            set heartbeat_at = heartbeat_at - make_interval(secs => \(seconds)),
                suspected_at = suspected_at - make_interval(secs => \(seconds))
            """)
    }

    @Test func onlyWhatWasBegunIsSuspect() async throws {
        try await enqueue(5)
        let worker = try await register()
        let jobs = try await store.claim(limit: 5, by: worker)
        try await store.begin(Array(jobs.prefix(2)).map(\.lease), by: worker)
        try await database.advance(by: .seconds(60))
        let report = try await database.query("select * from gloss.rescue()")
        #expect(report.rows == [["1", "2", "3", "0"]])
        #expect(
            try await ready() == [
                ["1", "0", "1"], ["2", "0", "1"], ["3", "0", "0"], ["4", "0", "0"], ["5", "0", "0"],
            ])
        let history = try await database.query(
            "select job_id, outcome, cause from gloss.attempt order by job_id")
        #expect(history.rows.map { $0[1] } == ["rescued", "rescued", "released", "released", "released"])
        #expect(history.rows.last?[2] == "lost")
    }

    /// A spot machine is taken away twice: what merely was there is not serialised afterwards.
    @Test func twoPreemptionsMakeNoSuspects() async throws {
        try await enqueue(20)
        for _ in 1...2 {
            let worker = try await register()
            let jobs = try await store.claim(limit: 20, by: worker)
            try await store.begin([jobs[0].lease], by: worker)
            try await database.advance(by: .seconds(60))
            _ = try await store.rescue()
        }
        let suspects = try await database.query("select count(*) from gloss.ready where lane < 0")
        #expect(suspects.scalar == "1")
    }

    @Test func aLongComputationClearsAJobOfEarlierDeaths() async throws {
        try await enqueue(1)
        for round in 1...4 {
            let worker = try await register()
            let job = try #require(try await store.claim(limit: 1, by: worker).first)
            #expect(job.rescueCount == (round == 1 ? 0 : 1))
            try await store.begin([job.lease], by: worker)
            try await database.query("update gloss.leased set begun_at = begun_at - interval '16 minutes'")
            _ = try await store.heartbeat(worker, Heartbeat(holding: [job.lease: .compute]))
            try await database.query("update gloss.leased set begun_at = begun_at - interval '1 minute'")
            try await pass(seconds: 8)
            _ = try await store.rescue()
            try await pass(seconds: 8)
            #expect(try await store.rescue() == RescueReport(lostWorkerCount: 1, rescuedCount: 1))
        }
    }

    /// A look that comes too late has to be followed by another, a whole silence later: the server was down, or its clock stepped.
    @Test func nobodyDiesOfAStepOfTheClock() async throws {
        try await enqueue(1)
        let worker = try await register()
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        try await store.begin([job.lease], by: worker)
        let alive = Heartbeat(holding: [job.lease: .compute])
        for step in [3600, -7200, 3600, 3600] {
            try await pass(seconds: step)
            #expect(try await store.rescue() == RescueReport(), "step by \(step) s")
            #expect(try await store.heartbeat(worker, alive).isRegistered)
            #expect(try await store.rescue() == RescueReport())
        }
        try await pass(seconds: 3600)
        #expect(try await store.rescue() == RescueReport())
        try await pass(seconds: 10)
        #expect(try await store.rescue() == RescueReport(), "10 of 15 s have been seen")
        try await pass(seconds: 6)
        #expect(try await store.rescue() == RescueReport(lostWorkerCount: 1, rescuedCount: 1))
    }

    /// The clock was set back after the last heartbeat: silence is seen, not calculated.
    @Test func aDeathIsSeenThoughTheLastHeartbeatIsInTheFuture() async throws {
        let worker = try await register()
        _ = try await store.heartbeat(worker, Heartbeat())
        try await pass(seconds: -3600)
        #expect(try await store.rescue() == RescueReport())
        try await database.query(
            "update gloss.registered_worker set suspected_at = suspected_at - interval '16 seconds'")
        #expect(try await store.rescue().lostWorkerCount == 1)
    }

    @Test func nobodyDiesRightAfterTheServerHasStarted() async throws {
        _ = try await register()
        try await database.query("update gloss.setting set value = '1 year' where name = 'restart_grace'")
        try await database.advance(by: .seconds(3600))
        #expect(try await store.rescue() == RescueReport())
        try await database.query("select gloss.change_setting('restart_grace', '0')")
        #expect(try await store.rescue().lostWorkerCount == 1)
    }

    @Test func eachWorkerHasItsOwnPatience() async throws {
        let patient = try await store.register(Samples.worker(rescueAfter: .seconds(120)))
        _ = try await register()
        try await database.advance(by: .seconds(60))
        #expect(try await store.rescue().lostWorkerCount == 1)
        let alive = try await database.query("select worker from gloss.worker where alive")
        #expect(alive.rows == [["\(patient)"]])
    }

    /// The answer of a claim, or the commit of a record, was lost: who holds the lease does not know it.
    @Test func aLeaseThatItsWorkerDoesNotNameGoesBack() async throws {
        try await enqueue(2)
        let worker = try await register()
        let known = try #require(try await store.claim(limit: 1, by: worker).first)
        _ = try await store.claim(limit: 1, by: worker)
        let said = Heartbeat(holding: [known.lease: .compute])
        for _ in 1...2 {
            _ = try await store.heartbeat(worker, said)
            #expect(try await ready() == [], "a claim may be under way")
        }
        #expect(try await store.heartbeat(worker, said).lostLeases == [])
        #expect(try await ready() == [["2", "0", "0"]])
        let leased = try await database.query("select job_id from gloss.leased")
        #expect(leased.rows == [["1"]])
    }

    /// A rescue costs the same however much there is to add up.
    @Test func aRescueDoesNotAddUpCounts() async throws {
        try await database.query(
            """
            insert into gloss.tally (batch_id, lane, enqueued)
            select i, (select min(id) from gloss.lane), 1 from generate_series(1, 200000) i
            """)
        // A session shows what it has read since it last told the server.
        let session = database.session()
        try await session.script("begin; select * from gloss.rescue()")
        let read = try await session.query(
            """
            select coalesce(sum(seq_tup_read + idx_tup_fetch), 0), string_agg(relname || ' ' || seq_tup_read + idx_tup_fetch, ', ')
            from pg_stat_xact_user_tables where schemaname = 'gloss'
            """
        ).rows[0]
        #expect(Int(read[0] ?? "") ?? .max <= 100, "\(read[1] ?? "")")
        await session.close()
    }
}
