import TestSupport
import Testing

@testable import Images

@Suite struct ConcurrencyTests {
    /// The server answers nobody before all have asked, so that whoever may be under way is.
    @Test func limitsRequestsToOneHost() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            }
        ])
        let other = try LoopbackServer(host: "127.0.0.2", ["/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.perHostConcurrency = 3 })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<24 { group.addTask { _ = try await fetcher.fetch(server.url("/a")) } }
            while fetcher.submittedCount < 24 || server.active < 3 { await Task.yield() }
            _ = try await fetcher.fetch(other.url("/a"))  // it came last: the others had their chance to start
            #expect(server.active == 3)
            gate.open()
            try await group.waitForAll()
        }
        #expect(server.requests.count == 24)
        #expect(server.mostActive == 3)
    }

    /// A slow origin's requests came first, and more of them than there are places in all: the quick one's all pass.
    @Test func aSlowOriginAtTheHeadKeepsNoOtherWaiting() async throws {
        let gate = Gate()
        let slow = try LoopbackServer(
            host: "127.0.0.2",
            [
                "/a": {
                    gate.pass()
                    $0.answer(200, "slow")
                }
            ])
        let quick = try LoopbackServer(host: "127.0.0.3", ["/a": { $0.answer(200, "quick") }])
        let fetcher = try ImageFetcher(
            policy: loopbackPolicy {
                $0.maxConcurrent = 4
                $0.perHostConcurrency = 3
            })
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<30 { group.addTask { _ = try await fetcher.fetch(slow.url("/a")) } }
            while fetcher.submittedCount < 30 { await Task.yield() }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<30 { group.addTask { _ = try await fetcher.fetch(quick.url("/a")) } }
                try await group.waitForAll()
            }
            #expect(quick.requests.count == 30)
            gate.open()
            try await group.waitForAll()
        }
        #expect(slow.requests.count == 30)
        #expect(slow.mostActive <= 3)
    }

    @Test func aStuckHostBlocksNoOther() async throws {
        let stuck = try LoopbackServer(host: "127.0.0.2", ["/hang": { $0.waitForHangUp() }])
        let quick = try LoopbackServer(host: "127.0.0.3", ["/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.perHostConcurrency = 1 })
        let hanging = (0..<3).map { _ in Task { try await fetcher.fetch(stuck.url("/hang")) } }
        for _ in 0..<5 { _ = try await fetcher.fetch(quick.url("/a")) }
        #expect(quick.requests.count == 5)
        #expect(stuck.requests.count <= 1)
        hanging.forEach { $0.cancel() }
        for task in hanging { #expect(await code(of: task) == .cancelled) }
    }

    @Test func cancellingAbortsTheTransfer() async throws {
        let (arrivals, arrive) = AsyncStream.makeStream(of: Bool.self)
        let server = try LoopbackServer([
            "/hang": {
                arrive.yield(true)
                arrive.yield($0.waitForHangUp())
            }
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        let task = Task { try await fetcher.fetch(server.url("/hang")) }
        var events = arrivals.makeAsyncIterator()
        #expect(await events.next() == true)
        task.cancel()
        #expect(await code(of: task) == .cancelled)
        #expect(await events.next() == true, "the client did not hang up")
    }

    @Test func aCancelledTaskEnds() async throws {
        let server = try LoopbackServer(["/hang": { $0.waitForHangUp() }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for _ in 0..<50 {
            let task = Task { try await fetcher.fetch(server.url("/hang")) }
            task.cancel()
            #expect(await code(of: task) == .cancelled)
        }
    }

    @Test func shutdownEndsEverything() async throws {
        let (arrivals, arrive) = AsyncStream.makeStream(of: Void.self)
        let server = try LoopbackServer([
            "/hang": {
                arrive.yield()
                $0.waitForHangUp()
            }
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.perHostConcurrency = 1 })
        let tasks = (0..<3).map { _ in Task { try await fetcher.fetch(server.url("/hang")) } }
        var events = arrivals.makeAsyncIterator()
        await events.next()
        fetcher.shutdown()
        for task in tasks { #expect(await code(of: task) == .cancelled) }
        #expect(await code(of: Task { try await fetcher.fetch(server.url("/hang")) }) == .cancelled)
    }

    @Test func keepsTheDelayBetweenRequests() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.perHostDelay = .milliseconds(60) })
        let clock = ContinuousClock()
        let start = clock.now
        for _ in 0..<4 { _ = try await fetcher.fetch(server.url("/a")) }
        #expect(clock.now - start >= .milliseconds(180))
    }

    private func code(of task: Task<FetchedImage, any Error>) async -> ImageError.Code? {
        switch await task.result {
        case .success: nil
        case .failure(let error): (error as? ImageError)?.code
        }
    }
}
