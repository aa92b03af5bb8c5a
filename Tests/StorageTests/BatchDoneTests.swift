import Foundation
import Queue
import TestSupport
import Testing

@testable import Storage

/// `gloss_batch_done` is sent once each time that a batch's last job ends, whatever others do to the batch meanwhile.
@Suite(.timeLimit(.minutes(10))) struct BatchDoneTests {
    private static let isThorough = ProcessInfo.processInfo.environment["GLOSS_TEST_INTERLEAVINGS"] == "all"

    /// What a session does to a batch of three jobs: `one` and `two` are held, and `three` is dead.
    enum Call: String, CaseIterable {
        case recordOne, recordTwo, recordBoth, giveBack, cancel, cancelOne, retry, rerun, enqueue, prune, forget

        func sql(_ batch: String) -> String {
            switch self {
            case .recordOne: record([("one", "completed")], batch)
            case .recordTwo: record([("two", "failed")], batch)
            case .recordBoth: record([("one", "failed"), ("two", "completed")], batch)
            case .giveBack: record([("one", "released")], batch)
            case .cancel: "select gloss.cancel(batch => '\(batch)')"
            case .cancelOne: "select gloss.cancel(key => 'one-\(batch)')"
            case .retry: "select gloss.retry(batch => '\(batch)', code => 'corrupt')"
            case .rerun: "select gloss.rerun(batch => '\(batch)')"
            case .enqueue: "select interleaving.add('four-\(batch)', '\(batch)')"
            case .prune: "select gloss.prune('0', '0', '0', '0')"
            case .forget: "select gloss.forget(batch => '\(batch)')"
            }
        }

        private func record(_ outcomes: [(key: String, outcome: String)], _ batch: String) -> String {
            let reports = outcomes.map { key, outcome in
                """
                "\(key)-\(batch)": {"outcome": "\(outcome)", "permanent": true, "code": "corrupt", "reason": "no",
                    "cause": "shutdown"}
                """
            }
            return """
                select receipts from interleaving.fact f, gloss.record(f.number, f.identity,
                    interleaving.reports('{\(reports.joined(separator: ","))}')) where f.name = 'alive'
                """
        }
    }

    private static let setUp = """
        create function interleaving.open_batch(batch text) returns void language plpgsql as $$
        begin
            perform gloss.cancel(everything => true);
            perform interleaving.add(k || '-' || batch, batch) from unnest(array['one', 'two', 'three']) k;
            perform interleaving.claim('alive', 3);
            perform gloss.record(f.number, f.identity, interleaving.reports(jsonb_build_object('three-' || batch,
                '{"outcome": "failed", "permanent": true, "code": "corrupt", "reason": "no"}'::jsonb)))
            from interleaving.fact f where f.name = 'alive';
        end $$;
        listen gloss_batch_done
        """

    /// Each call beside each: after every commit by which nothing is left, and only then, there is a notification.
    @Test func whatIsDoneToABatchAtTheSameTime() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let interleaving = try await Interleaving(database)
        try await interleaving.build(.plain)
        let ear = database.session()
        try await ear.script(Self.setUp)
        for (n, one) in Call.allCases.enumerated() {
            for (m, other) in Call.allCases.enumerated() {
                let drawn = (n + 2 * m) % 3
                for way in Self.isThorough ? [0, 1, 2] : [drawn] {
                    let name = "\(one)-\(other)-\(way)"
                    _ = try await ear.query("select interleaving.open_batch('\(name)')")
                    _ = try await ear.notifications()
                    var (left, isDone, told) = (2, 0, 0)
                    try await interleaving.meet(
                        one.sql(name), other.sql(name), latterFirst: way == 1, rollingBack: way == 2
                    ) {
                        told += try await Self.payloads(ear, of: name).count
                        let now = try await Self.left(ear, of: name)
                        if now == 0 && left > 0 { isDone += 1 }
                        left = now
                        #expect(told == isDone, "\(name): \(left) left")
                    }
                }
            }
        }
        #expect(try await database.misplacedJobs() == [])
    }

    /// The counts are those of the moment, and the notification goes with the transaction.
    @Test func theNotificationSaysHowItEnded() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let ear = database.session(as: .reader)
        try await ear.script("listen gloss_batch_done")
        let admin = database.session(as: .admin)
        for sql in [
            """
            select gloss.enqueue_caption(format('https://a.example/%s.jpg', g), batch => 'a "b"')
            from generate_series(1, 3) g
            """,
            "select gloss.enqueue_caption('https://a.example/x.jpg')",
            "begin; select gloss.cancel(batch => 'a \"b\"'); rollback", "select gloss.cancel(job => 2)",
            "select gloss.cancel(job => 4)",
        ] { try await admin.script(sql) }
        #expect(try await ear.notifications() == [])
        try await admin.script("select gloss.cancel(batch => 'a \"b\"')")
        let said = try await ear.notifications()
        #expect(
            said == [
                Notification(
                    channel: "gloss_batch_done",
                    payload: #"{"batch" : "a \"b\"", "total" : 3, "done" : 0, "dead" : 3}"#)
            ])
        try await admin.script("select gloss.retry(code => 'cancelled')")
        #expect(try await ear.notifications() == [])
        try await admin.script("select gloss.cancel(everything => true)")
        #expect(try await ear.notifications().count == 1, "it ran again, and ended again")
        try await admin.script("select gloss.prune('0', '0', '0', '0'); select gloss.maintain(true)")
        #expect(try await ear.notifications() == [])
    }

    /// Those who end the last jobs of a batch stand side by side in their commits: the last one of them says so.
    @Test(arguments: ["pg_advisory_lock", "pg_advisory_lock_shared"])
    func commitsSideBySide(lock: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let interleaving = try await Interleaving(database)
        try await interleaving.build(.plain)
        let ear = database.session()
        try await ear.script(Self.setUp)
        _ = try await ear.query("select interleaving.open_batch('x')")
        _ = try await ear.notifications()
        let holder = database.session()
        _ = try await holder.query(
            "select \(lock)(hashtext('gloss.batch_done'), (select id from gloss.batch where name = 'x'))")
        let sessions = [database.session(), database.session()]
        async let first = sessions[0].query(Call.recordOne.sql("x"))
        async let second = sessions[1].query(Call.recordTwo.sql("x"))
        let waiting = """
            select count(*) from pg_locks l join pg_database d on d.oid = l.database
            where l.locktype = 'advisory' and not l.granted and d.datname = current_database()
            """
        while try await database.query(waiting).scalar != "2" { await Task.yield() }
        #expect(try await ear.notifications() == [])
        await holder.close()
        _ = try await (first, second)
        #expect(try await Self.payloads(ear, of: "x").count == 1)
    }

    /// Many sessions and many small batches: each batch is told once.
    @Test func manyRecordersAndBatches() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (batchCount, jobCount) = (60, 300)
        let ear = database.session()
        try await ear.script(
            """
            listen gloss_batch_done;
            insert into gloss.inbox (task, image_url, batch)
            select 'caption', format('https://a.example/%s.jpg', g), 'b' || g % \(batchCount)
            from generate_series(1, \(jobCount)) g
            """)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<6 {
                group.addTask {
                    let store = database.store()
                    let worker = try await store.register(Samples.worker())
                    while case let jobs = try await store.claim(limit: 1 + number, by: worker), !jobs.isEmpty {
                        let reports = jobs.map { JobReport($0, Samples.failed(.permanent)) }
                        let receipts = try await store.record(reports, by: worker)
                        #expect(receipts.allSatisfy { $0 == .recorded })
                    }
                }
            }
            try await group.waitForAll()
        }
        let told = try await ear.notifications().map(\.payload)
        #expect(told.count == batchCount && Set(told).count == batchCount, "\(told.count)")
        #expect(told.allSatisfy { $0.contains("\"dead\" : \(jobCount / batchCount)}") })
    }

    private static func payloads(_ ear: Session, of batch: String) async throws -> [String] {
        try await ear.notifications().map(\.payload).filter { $0.contains("\"\(batch)\"") }
    }

    private static func left(_ session: Session, of batch: String) async throws -> Int {
        let answer = try await session.query(
            "select \"left\" from gloss.batch_progress where batch = $1", [SQLValue(batch)])
        return answer.scalar.flatMap { Int($0) } ?? 0
    }
}
