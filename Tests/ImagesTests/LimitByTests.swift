import TestSupport
import Testing

@testable import Images

/// What limits are counted by.
@Suite(.timeLimit(.minutes(1))) struct LimitByTests {
    @Test(arguments: [
        ("img1.example.co.uk", "example.co.uk"), ("example.co.uk", "example.co.uk"), ("co.uk", "co.uk"),
        ("a.b.example.com.", "example.com"), ("upload.wikimedia.org", "wikimedia.org"),
        ("someone.github.io", "someone.github.io"),
        ("a.someone.github.io", "someone.github.io"), ("a.b.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"),
        ("a.b.nosuchsuffix", "b.nosuchsuffix"),
    ])
    func registeredDomains(host: String, domain: String) { #expect(RegisteredDomains().domain(of: host) == domain) }

    @Test func addresses() {
        #expect(IPAddress("192.0.2.1")?.limitKey == "192.0.2.1")
        #expect(IPAddress("::ffff:192.0.2.1")?.limitKey == "192.0.2.1")
        #expect(IPAddress("2001:db8:1:2:3:4:5:6")?.limitKey == "2001:db8:1:2::/64")
    }

    /// Hosts on one address, such as those of a content delivery network, and one elsewhere: how many are asked at a time at each
    /// address.
    @Test(arguments: [
        (LimitBy.origin, 24), (.domain, 2), (.address, 2),
    ])
    func hostsOnOneAddress(limitBy: LimitBy, most: Int) async throws {
        let gate = Gate()
        let scripts: [String: LoopbackServer.Script] = [
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            }
        ]
        let network = try LoopbackServer(host: "127.0.0.1", scripts)
        let elsewhere = try LoopbackServer(host: "127.0.0.2", scripts)
        // All of them are hosts of one registered domain, scripted.test.
        let names = (0..<12).map { ScriptedName("cdn-\(limitBy)-\($0)", ["127.0.0.1"]) }
        let fetcher = try ImageFetcher(
            policy: loopbackPolicy { policy in
                policy.limitBy = limitBy
                policy.perHostConcurrency = 2
            })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names {
                for _ in 0..<3 {
                    group.addTask { _ = try await fetcher.fetch("http://\(name.name):\(network.port)/a") }
                }
            }
            for _ in 0..<3 { group.addTask { _ = try await fetcher.fetch(elsewhere.url("/a")) } }
            while fetcher.submittedCount < 39 || network.active < most || elsewhere.active < 2 { await Task.yield() }
            gate.open()
            try await group.waitForAll()
        }
        #expect(network.mostActive == most)
        #expect(elsewhere.mostActive == 2, "another address has places of its own")
        #expect(network.requests.count == 36, "nothing is asked for twice")
    }

    /// 2,000 hosts on one address, in the state machine: what waits for it keeps nobody else waiting.
    @Test func twoThousandHostsOnOneAddress() {
        let start = ContinuousClock.now
        var admission = Admission<Int, ContinuousClock.Instant>(
            maxConcurrent: 64, perHostConcurrency: 4, perHostDelay: .zero)
        for id in 0..<2000 { admission.enqueue(id, origin: "host \(id)") }
        var waiting = 0
        for _ in 0..<2000 {
            guard let id = admission.next(now: start) else { break }
            // Its address is found: it goes on there, or waits there.
            if !admission.move(from: "host \(id)", to: "address", now: start) {
                admission.finish(origin: "host \(id)", now: start)
                admission.enqueue(id, origin: "address")
                waiting += 1
            }
        }
        #expect(waiting == 1996, "four have places")
        admission.enqueue(9999, origin: "elsewhere")
        #expect(admission.next(now: start) == 9999)
        for _ in 0..<4 { admission.finish(origin: "address", now: start) }
        #expect((0..<5).map { _ in admission.next(now: start) != nil } == [true, true, true, true, false])
    }
}
