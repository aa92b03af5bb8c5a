import Queue
import Storage
import TestSupport
import Testing

/// What hosts that ask for patience allow to all daemons together: by the heartbeat.
@Suite(.timeLimit(.minutes(5))) struct AllowanceTests {
    private func beat(_ store: PostgresJobStore, _ worker: WorkerID, _ cuts: [HostCut] = []) async throws -> [String] {
        var heartbeat = Heartbeat()
        heartbeat.cuts = cuts
        let reply = try await store.heartbeat(worker, heartbeat)
        #expect(reply.allowances.allSatisfy { (0..<3600).contains($0.age) })
        return reply.allowances.map { "\($0.line) \($0.cuts) \($0.places)" }.sorted()
    }

    @Test func twoDaemonsHalveOnceTogether() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (one, two) = (database.store(), database.store())
        let (first, second) = (try await one.register(Samples.worker()), try await two.register(Samples.worker()))
        #expect(try await beat(one, first) == [])
        // Both were told to be patient before either knew of the other.
        let cut = HostCut(line: "http://a.example", cuts: 0, places: 8)
        #expect(try await beat(one, first, [cut]) == ["http://a.example 1 4"])
        #expect(try await beat(two, second, [cut]) == ["http://a.example 1 4"])
        #expect(
            try await beat(one, first, [cut]) == ["http://a.example 1 4"], "said once more, since the answer was lost")
        // Two more, one after the other; and another host.
        let more = [
            HostCut(line: "http://b.example", cuts: 0, places: 1),
            HostCut(line: "http://a.example", cuts: 2, places: 8),
            HostCut(line: "http://a.example", cuts: 1, places: 8),
        ]
        #expect(try await beat(two, second, more) == ["http://a.example 3 1", "http://b.example 1 1"])
        #expect(try await beat(one, first) == ["http://a.example 3 1", "http://b.example 1 1"])
        await one.close()
        await two.close()
    }

    @Test func placesComeBack() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let line = "http://a.example"
        _ = try await beat(store, worker, [HostCut(line: line, cuts: 0, places: 8)])
        try await database.query("update gloss.host_allowance set cut_at = cut_at - interval '25 seconds'")
        #expect(
            try await beat(store, worker, [HostCut(line: line, cuts: 1, places: 8)]) == ["\(line) 2 3"],
            "half of 4 and 2")
        try await database.query("update gloss.host_allowance set cut_at = cut_at - interval '1 hour'")
        #expect(
            try await beat(store, worker, [HostCut(line: line, cuts: 2, places: 8)]) == ["\(line) 3 4"], "half of all")
        await store.close()
    }

    /// News is what happened since the heartbeat before the last one, and a minute; a daemon that comes hears of all.
    @Test func whatIsNews() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        _ = try await beat(store, worker, [HostCut(line: "old", cuts: 0, places: 8)])
        try await database.query("update gloss.host_allowance set cut_at = cut_at - interval '2 minutes'")
        #expect(try await beat(store, worker) == ["old 1 4"], "it is new")
        #expect(try await beat(store, worker) == [])
        #expect(
            try await beat(store, worker, [HostCut(line: "old", cuts: 0, places: 8)]) == ["old 1 4"], "it asks for it")
        let newcomer = try await store.register(Samples.worker())
        #expect(try await beat(store, newcomer) == ["old 1 4"])
        // What is of no use any more goes with the next cut.
        try await database.query("update gloss.host_allowance set cut_at = cut_at - interval '3 hours'")
        #expect(try await beat(store, worker, [HostCut(line: "new", cuts: 0, places: 8)]) == ["new 1 4"])
        #expect(try await database.query("select count(*) from gloss.host_allowance").scalar == "1")
        await store.close()
    }

    /// Two daemons tell of the same hosts, in other orders, at the same time.
    @Test func nobodyWaitsForEver() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let stores = (0..<4).map { _ in database.store() }
        let lines = (0..<50).map { "http://\($0).example" }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, store) in stores.enumerated() {
                let worker = try await store.register(Samples.worker())
                group.addTask {
                    for round in 0..<10 {
                        let cuts = lines.map { HostCut(line: $0, cuts: round, places: 1024) }
                        var heartbeat = Heartbeat()
                        heartbeat.cuts = index % 2 == 0 ? cuts : cuts.reversed()
                        _ = try await store.heartbeat(worker, heartbeat)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(
            try await database.query("select distinct cuts, places from gloss.host_allowance").rows == [["10", "1"]])
        for store in stores { await store.close() }
    }

    @Test func nonsenseIsNotKept() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let cuts = [
            HostCut(line: "", cuts: 0, places: 8), HostCut(line: "a", cuts: -1, places: 8),
            HostCut(line: "b", cuts: 0, places: 0),
            HostCut(line: "c", cuts: 0, places: 1025),
        ]
        #expect(try await beat(store, worker, cuts) == [])
        await store.close()
    }
}
