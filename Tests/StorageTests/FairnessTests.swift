import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// The order in which batches are served.
@Suite struct FairnessTests {
    /// Enqueues a bulk; keys are the batch's name and a number.
    private func fill(_ database: TestDatabase, _ batch: String, _ count: Int, priority: Int = 0) async throws {
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, key, batch, priority)
            select 'caption', array['https://example.org/' || i], $1 || i, nullif($1, ''), $3
            from generate_series(1, $2) i
            """, [SQLValue(batch), SQLValue(count), SQLValue(priority)], as: .producer)
    }

    private func keys(_ count: Int, _ store: PostgresJobStore, _ worker: WorkerID) async throws -> [String] {
        try await store.claim(limit: count, by: worker).map { $0.key ?? "" }
    }

    @Test(arguments: ["big", ""]) func aSmallBatchDoesNotWaitForABigOne(big: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await fill(database, big, 20_000)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for _ in 0..<5 { _ = try await keys(100, store, worker) }
        try await database.advance(by: .seconds(2))  // the next claim moves the lane's turn on
        #expect(try await keys(100, store, worker).count == 100)
        for number in 1...10 {
            let options = EnqueueOptions(key: "small\(number)", batch: "small")
            _ = try await database.administration(as: .producer).enqueue(Samples.caption(), options)
        }
        let next = try await keys(30, store, worker)
        let small = next.filter { $0.hasPrefix("small") }
        #expect(small == (1...10).map { "small\($0)" }, "\(next)")
        #expect(next.first?.hasPrefix("small") == false, "what comes later has no lead: \(next)")
    }

    @Test func batchesTakeTurnsWhateverTheyCameIn() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for _ in 0..<2 { try await fill(database, "a", 50) }  // the second one is the same jobs again
        try await fill(database, "b", 25)
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, key, batch)
            select 'caption', array['https://example.org/' || i], 'b/late' || i, 'b' from generate_series(1, 25) i
            """, as: .producer)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for _ in 0..<5 {
            let next = try await keys(20, store, worker)
            #expect(next.filter { $0.hasPrefix("a") }.count == 10)
        }
        #expect(try await store.claim(limit: 1, by: worker) == [])
    }

    @Test func priorityComesFirstAndHasTurnsOfItsOwn() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await fill(database, "late", 10, priority: 5)
        try await fill(database, "a", 10)
        try await fill(database, "b", 10, priority: -5)
        try await fill(database, "c", 10, priority: -5)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let order = try await keys(40, store, worker).map { $0.filter(\.isLetter) }
        #expect(order.prefix(4) == ["b", "c", "b", "c"])
        #expect(order.dropFirst(20) == ArraySlice(repeating: "a", count: 10) + Array(repeating: "late", count: 10))
    }

    /// A transaction that began long ago may bring jobs whose turn has passed.
    @Test func aJobThatComesInLateIsFound() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let slow = database.session(as: .producer)
        try await slow.script("begin; select gloss.enqueue_caption('https://e.org/a', key => 'slow', batch => 'slow')")
        try await fill(database, "quick", 30)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        for _ in 0..<3 {
            try await database.advance(by: .seconds(2))
            _ = try await store.heartbeat(worker, Heartbeat())
            #expect(try await keys(10, store, worker).count == 10)
        }
        try await fill(database, "later", 10)
        #expect(try await database.query("select turn > 0 from gloss.lane").scalar == "t")
        try await slow.script("commit")
        try await database.advance(by: .seconds(11))
        _ = try await store.heartbeat(worker, Heartbeat())
        _ = try await store.rescue()
        #expect(try await keys(1, store, worker) == ["slow"])
        await slow.close()
    }

    @Test func aRetryGoesToTheHeadAndAJobOfTonightToTheEnd() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration()
        _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: "tonight", batch: "a", delay: .seconds(60)))
        try await fill(database, "a", 20)
        let store = database.store(retryPolicy: RetryPolicy(base: .seconds(1)))
        let worker = try await store.register(Samples.worker())
        let first = try await store.claim(limit: 5, by: worker)
        _ = try await store.record([JobReport(first[2], Samples.failed(.retry(after: nil)))], by: worker)
        try await database.advance(by: .seconds(61))
        _ = try await store.heartbeat(
            worker, Heartbeat(holding: Dictionary(uniqueKeysWithValues: first.map { ($0.lease, .compute) })))
        let rest = try await keys(100, store, worker)
        #expect(rest.first == "a3" && rest.last == "tonight", "\(rest)")
        #expect(try await database.misplacedJobs() == [])
    }
}
