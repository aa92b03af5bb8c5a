import Images
import Queue
import Storage
import TestSupport
import Testing

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
}
