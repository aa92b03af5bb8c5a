import Synchronization
import TestSupport
import Testing

@testable import Images

/// Origins that are left alone, or asked for patience.
@Suite(.timeLimit(.minutes(5))) struct ParkTests {
    private func failure(_ fetcher: ImageFetcher, _ url: String) async -> ImageError? {
        await #expect(throws: ImageError.self) { try await fetcher.fetch(url) }
    }

    @Test func asksNothingOfAParkedOrigin() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        let origin = try #require(ImageFetcher.origin(of: server.url("/a")))
        fetcher.park(origin, for: .seconds(60))
        let error = try #require(await failure(fetcher, server.url("/a")))
        #expect(error.code == .originParked && error.origin == origin)
        #expect(error.blame == .origin && error.isHostFailure)
        guard case .release(let after?) = error.disposition else { throw error }
        #expect(after > .seconds(50) && after <= .seconds(60))
        #expect(server.requests.isEmpty)
        fetcher.unpark(origin)
        _ = try await fetcher.fetch(server.url("/a"))
        fetcher.park(origin, for: .zero)
        _ = try await fetcher.fetch(server.url("/a"))
    }

    /// All URLs of A redirect to B, which is parked: B sees none of them.
    @Test func asksNothingOfAParkedRedirectTarget() async throws {
        let target = try LoopbackServer(host: "127.0.0.5", [:])
        let url = target.url("/b")
        let first = try LoopbackServer(["/a": { $0.redirect(to: url) }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        let origin = try #require(ImageFetcher.origin(of: url))
        fetcher.park(origin, for: .seconds(60))
        for _ in 0..<20 {
            let error = try #require(await failure(fetcher, first.url("/a")))
            #expect(error.code == .originParked && error.origin == origin)
        }
        #expect(first.requests.count == 20)
        #expect(target.requests.isEmpty)
    }

    /// What waits for the origin's turn fails at once; what is under way ends as it would.
    @Test func givesUpWhatWaitsForAParkedOrigin() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            }
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.perHostConcurrency = 1 })
        let tasks = (0..<5).map { _ in Task { try await fetcher.fetch(server.url("/a")) } }
        while fetcher.submittedCount < 5 || server.active < 1 { await Task.yield() }
        fetcher.park(try #require(ImageFetcher.origin(of: server.url("/a"))), for: .seconds(60))
        _ = await failure(fetcher, server.url("/a"))
        gate.open()
        var codes: [ImageError.Code?] = []
        for task in tasks {
            if case .failure(let error) = await task.result { codes.append((error as? ImageError)?.code) }
        }
        #expect(codes == [.originParked, .originParked, .originParked, .originParked])
        #expect(server.requests.count == 1)
    }

    /// Two requests at a time, until the server says 429: then one.
    @Test func asksLessOfAnOriginThatSaysTooMany() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/429": { $0.answer(429, "", headers: ["Retry-After: 1"]) },
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            },
        ])
        let other = try LoopbackServer(host: "127.0.0.2", ["/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.perHostConcurrency = 2 })
        let error = try #require(await failure(fetcher, server.url("/429")))
        #expect(error.isThrottled && error.disposition == .release(after: .seconds(1)))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { _ = try await fetcher.fetch(server.url("/a")) } }
            while fetcher.submittedCount < 7 || server.active < 1 { await Task.yield() }
            _ = try await fetcher.fetch(other.url("/a"))
            #expect(server.active == 1)
            gate.open()
            try await group.waitForAll()
        }
        #expect(server.mostActive == 1)
    }

    @Test(arguments: [
        (429, [], true), (429, ["Retry-After: 7"], true), (503, ["Retry-After: 7"], true), (503, [], false),
        (403, ["Retry-After: 7"], true), (500, ["Retry-After: 7"], false),
    ])
    func onlyPatienceCostsNoAttempt(_ status: Int, _ headers: [String], _ isThrottled: Bool) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(status, "", headers: headers) }])
        let error = try #require(try await fetchError(server.url("/a")))
        #expect(error.isThrottled == isThrottled)
        let after: Duration? = headers.isEmpty ? nil : .seconds(7)
        #expect(error.disposition == (isThrottled ? .release(after: after) : .retry(after: after)))
    }

    /// What is said of one fetch's bytes, in order.
    private final class Account: Sendable {
        let counts = Mutex<[Int]>([])
        func note(_ count: Int) { counts.withLock { $0.append(count) } }
    }

    @Test func saysHowManyBytesAFetchMayTake() async throws {
        let server = try LoopbackServer([
            "/announced": { $0.answer(200, "some bytes") },
            "/unannounced": {
                $0.send("HTTP/1.1 200 OK\r\n\r\nbytes")
                $0.end()
            },
            "/moved": { $0.redirect(to: "/announced") }, "/404": { $0.answer(404, "not found") },
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.maxBytes = 1000 })
        let cases: [(path: String, counts: [Int])] = [
            ("/announced", [1000, 10, 10]), ("/unannounced", [1000, 5]), ("/moved", [1000, 1000, 10, 10]),
            ("/404", [1000, 0]),
        ]
        for (path, counts) in cases {
            let account = Account()
            _ = try? await fetcher.fetch(server.url(path), onBytes: account.note)
            #expect(account.counts.withLock { $0 } == counts, "\(path)")
        }
    }

    /// Four requests at a time would be allowed, but the bytes are there for one.
    @Test func startsNoMoreThanTheBytesAllow() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            }
        ])
        let other = try LoopbackServer(host: "127.0.0.2", ["/missing": { $0.answer(404, "") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.maxBytes = 1000 })
        fetcher.limitBytes(1999)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { _ = try await fetcher.fetch(server.url("/a")) } }
            while fetcher.submittedCount < 6 || server.active < 1 { await Task.yield() }
            fetcher.park("http://127.0.0.2:\(other.port)", for: .seconds(60))
            _ = await failure(fetcher, other.url("/missing"))  // it came last: the others had their chance to start
            #expect(server.active == 1)
            gate.open()
            try await group.waitForAll()
        }
        #expect(server.mostActive == 1)
    }
}
