import Images
import Queue
import Storage
import TestSupport
import Testing

@testable import Daemon

/// What is allowed to all daemons together, for each host.
@Suite struct SharedHostTests {
    @Test(.timeLimit(.minutes(5))) func twoDaemonsKeepAHostsLimitTogether() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            }
        ])
        let database = try await PrivatePostgres.shared.makeDatabase()
        let stores = [database.store(), database.store()]
        var workers: [WorkerID] = []
        for store in stores { workers.append(try await store.register(Samples.worker())) }
        var policy = FetchPolicy()
        policy.allowedNetworks = [CIDR("127.0.0.0/8")].compactMap(\.self)
        policy.allowedPorts = nil
        policy.perHostConcurrency = 4
        let fetchers = try stores.map { _ in try ImageFetcher(policy: policy) }
        for index in stores.indices {
            let reply = try await stores[index].heartbeat(workers[index], Heartbeat())
            fetchers[index].share(among: reply.workerCount)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<40 { group.addTask { _ = try await fetchers[index % 2].fetch(server.url("/a")) } }
            while server.active < 4 { try await Task.sleep(for: .milliseconds(10)) }
            gate.open()
            try await group.waitForAll()
        }
        #expect(server.requests.count == 40)
        #expect(server.mostActive == 4)
        for store in stores { await store.close() }
    }

    /// A host asks one of two daemons for patience: after their next heartbeats both keep to a half.
    @Test(.timeLimit(.minutes(5))) func aHostThatAsksOneForPatienceIsSparedByBoth() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/busy": { $0.answer(429, "") },
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            },
        ])
        let database = try await PrivatePostgres.shared.makeDatabase()
        let stores = [database.store(), database.store()]
        var policy = FetchPolicy()
        policy.allowedNetworks = [CIDR("127.0.0.0/8")].compactMap(\.self)
        policy.allowedPorts = nil
        policy.perHostConcurrency = 8
        let fetchers = try stores.map { _ in try ImageFetcher(policy: policy) }
        let daemons = fetchers.map { WorkDriver.Fetching($0) }
        var workers: [WorkerID] = []
        for store in stores { workers.append(try await store.register(Samples.worker())) }
        func beat(_ index: Int) async throws {
            var heartbeat = Heartbeat()
            heartbeat.cuts = daemons[index].takeCuts()
            let reply = try await stores[index].heartbeat(workers[index], heartbeat)
            daemons[index].share(reply.workerCount)
            daemons[index].learn(reply.allowances)
        }
        // Both are told so at the same time, before either knows of the other: that counts once.
        for fetcher in fetchers {
            let error = await #expect(throws: ImageError.self) { try await fetcher.fetch(server.url("/busy")) }
            #expect(error?.code == .httpStatus(429))
        }
        for index in [0, 1, 0] { try await beat(index) }
        #expect(
            try await database.query("select line, cuts, places from gloss.host_allowance").rows
                == [["http://127.0.0.1:\(server.port)", "1", "4"]])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<40 { group.addTask { _ = try await fetchers[index % 2].fetch(server.url("/a")) } }
            while server.active < 4 { try await Task.sleep(for: .milliseconds(10)) }
            gate.open()
            try await group.waitForAll()
        }
        #expect(server.requests.count == 42)
        #expect((4...6).contains(server.mostActive), "four, and one more each ten seconds on a slow machine")
        for store in stores { await store.close() }
    }
}
