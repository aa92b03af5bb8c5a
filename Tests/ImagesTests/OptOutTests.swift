import Foundation
import TestSupport
import Testing

@testable import Images

/// What sites wish, asked of real servers. They stand on loopback addresses, where nobody asks unless a rule says so.
@Suite(.timeLimit(.minutes(1))) struct OptOutTests {
    private func policy(
        _ optOuts: OptOuts? = .named, _ change: (inout FetchPolicy) -> Void = { _ in }
    ) -> FetchPolicy {
        loopbackPolicy { policy in
            var rule = HostRule(match: "*")
            rule.optOuts = optOuts
            policy.hosts = [rule]
            change(&policy)
        }
    }

    private func server(
        host: String = "127.0.0.1", _ robots: @escaping LoopbackServer.Script
    ) throws -> LoopbackServer {
        try LoopbackServer(
            host: host,
            ["/robots.txt": robots, "/a.png": { $0.answer(200, "bytes") }, "/b/c.png?d": { $0.answer(200, "bytes") }])
    }

    private func paths(_ server: LoopbackServer) -> [String] {
        server.requests.compactMap { $0.split(separator: " ").dropFirst().first.map(String.init) }
    }

    @Test func robotsAreAskedForOnceForAllThatWait() async throws {
        let gate = Gate()
        let server = try server {
            gate.pass()
            $0.answer(200, "User-agent: gloss\nDisallow: /b")
        }
        let fetcher = try ImageFetcher(policy: policy { $0.perHostConcurrency = 2 })
        let (image, forbidden) = (server.url("/a.png"), server.url("/b/c.png?d"))
        let fetches = [image, image, forbidden].map { url in Task { try await fetcher.fetch(url) } }
        while fetcher.submittedCount < 3 || server.active < 1 { await Task.yield() }
        gate.open()
        for fetch in fetches.prefix(2) { #expect(try await fetch.value.bytes.count == 5) }
        let error = await #expect(throws: ImageError.self) { try await fetches[2].value }
        #expect(error?.code == .optedOut && error?.disposition == .permanent && error?.blame == .url)
        let rule = "robots.txt says \"Disallow: /b\" for user agent gloss (line 2)"
        #expect(error?.message == "http://127.0.0.1 does not want this image used: \(rule)")
        #expect(paths(server).filter { $0 == "/robots.txt" }.count == 1)
        #expect(server.requests.count == 3)
        #expect(server.mostActive <= 2)
        let head = try #require(server.requests.first)
        #expect(head.contains("GET /robots.txt HTTP/1.1") && head.contains("User-Agent: Gloss/"))
    }

    @Test(arguments: [
        // status, headers, what becomes of the image, where * is for everybody
        (200, "User-agent: *\nDisallow: /", OptOuts.named, "fetched"),
        (200, "User-agent: *\nDisallow: /", .strict, "opted_out"),
        (200, "User-agent: gloss\nDisallow: /", .off, "fetched"),
        (200, "User-agent: *\nDisallow: /\n\nUser-agent: Gloss\nAllow: /", .strict, "fetched"),
        (200, "", .strict, "fetched"),
        (404, "User-agent: *\nDisallow: /", .strict, "fetched"), (403, "", .strict, "fetched"),
        (500, "", .named, "robots_unreachable"), (503, "", .named, "robots_unreachable"),
        (429, "", .named, "robots_unreachable"),
    ])
    func whatRobotsMean(status: Int, text: String, optOuts: OptOuts, outcome: String) async throws {
        let server = try server { $0.answer(status, text) }
        let error = try await fetchError(server.url("/a.png"), policy(optOuts))
        #expect(error?.code.word ?? "fetched" == outcome, "\(error?.message ?? "")")
        #expect(paths(server).contains("/robots.txt") == (optOuts != .off))
        if outcome == "robots_unreachable" {
            #expect(error?.disposition == .release(after: .seconds(60)), "it costs no attempt")
            #expect(error?.message.contains("HTTP \(status)") == true)
            #expect(!paths(server).contains("/a.png"))
        }
    }

    @Test func aBrokenRobotsIsNoBrokenServer() async throws {
        let scripts: [LoopbackServer.Script] = [
            {
                $0.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nUser")
                $0.end()
            }, { $0.reset() },
        ]
        for script in scripts {
            let server = try server(script)
            let error = try await fetchError(server.url("/a.png"), policy())
            #expect(error?.code == .robotsUnreachable, "\(error?.message ?? "")")
            #expect(error?.origin == "http://127.0.0.1:\(server.port)")
        }
    }

    /// A server that cannot be reached at all: the error is that of the image.
    @Test func aDeadServerIsNotBlamedOnItsRobots() async throws {
        let port = try LoopbackServer([:]).port
        let error = try await fetchError("http://127.0.0.1:\(port)/a.png", policy())
        #expect(error?.code == .connectFailed)
        let name = ScriptedName("robots-of-nobody", [])
        #expect(try await fetchError("http://\(name.name)/a.png", policy())?.code == .hostNotFound)
    }

    @Test func robotsMayRedirectFiveTimes() async throws {
        for count in [5, 6] {
            var scripts: [String: LoopbackServer.Script] = [
                "/r\(count)": { $0.answer(200, "User-agent: gloss\nDisallow: /") },
                "/a.png": { $0.answer(200, "bytes") },
            ]
            for index in 0..<count {
                scripts[index == 0 ? "/robots.txt" : "/r\(index)"] = { $0.redirect(to: "/r\(index + 1)") }
            }
            let server = try LoopbackServer(scripts)
            let error = try await fetchError(server.url("/a.png"), policy { $0.maxRedirects = 0 })
            #expect(
                error?.code == (count == 5 ? .optedOut : nil), "beyond five there are no rules: \(error?.message ?? "")"
            )
        }
    }

    @Test func robotsMayStandElsewhere() async throws {
        let other = try server(host: "127.0.0.2") { $0.answer(200, "User-agent: gloss\nDisallow: /a") }
        let target = other.url("/robots.txt")
        let server = try server { $0.redirect(to: target) }
        #expect(try await fetchError(server.url("/a.png"), policy())?.code == .optedOut)
        let forbidden = try self.server { $0.redirect(to: "http://10.0.0.1/robots.txt") }
        #expect(
            try await fetchError(forbidden.url("/a.png"), policy()) == nil,
            "where nothing may be fetched there are no rules")
        let file = try self.server { $0.redirect(to: "file:///etc/passwd") }
        #expect(try await fetchError(file.url("/a.png"), policy()) == nil)
    }

    /// A redirect leads to a site that does not want it.
    @Test func aRedirectsTargetIsAskedToo() async throws {
        let other = try server(host: "127.0.0.2") { $0.answer(200, "User-agent: gloss\nDisallow: /a") }
        let target = other.url("/a.png")
        let server = try LoopbackServer(["/a.png": { $0.redirect(to: target) }])
        let error = try await fetchError(server.url("/a.png"), policy())
        #expect(error?.code == .optedOut && error?.origin == "http://127.0.0.2:\(other.port)")
        #expect(!paths(other).contains("/a.png"))
    }

    @Test func aLongRobotsIsReadInPart() async throws {
        let filler = Array(String(repeating: "# filler\n", count: 100_000).utf8)
        let server = try server { exchange in
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: \(100_000_000)\r\n\r\nUser-agent: gloss\nDisallow: /a\n")
            while exchange.send(filler) {}
        }
        #expect(try await fetchError(server.url("/a.png"), policy { $0.maxBytes = 1000 })?.code == .optedOut)
        #expect(try await fetchError(server.url("/b/c.png?d"), policy { $0.maxBytes = 1000 }) == nil)
    }

    @Test(arguments: [
        ("X-Robots-Tag: noai", OptOuts.named, true), ("X-Robots-Tag: otherbot: noai", .named, false),
        ("X-Robots-Tag: noindex", .named, false), ("X-Robots-Tag: noindex", .strict, true),
        ("TDM-Reservation: 1", .named, true), ("TDM-Reservation: 1", .off, false),
    ])
    func headersOfTheImage(header: String, optOuts: OptOuts, isRefused: Bool) async throws {
        let server = try LoopbackServer(["/a.png": { $0.answer(200, "bytes", headers: [header]) }])
        let error = try await fetchError(server.url("/a.png"), policy(optOuts))
        #expect(error?.code == (isRefused ? .optedOut : nil))
        if isRefused { #expect(error?.message == "http://127.0.0.1 does not want this image used: it says \(header)") }
    }

    /// What counts are the headers of the answer that has the image.
    @Test func headersOfOtherAnswersDoNotCount() async throws {
        let server = try LoopbackServer([
            "/a.png": { $0.answer(302, "", headers: ["Location: /b.png", "X-Robots-Tag: noai"]) },
            "/b.png": {
                $0.send("HTTP/1.1 103 Early Hints\r\nX-Robots-Tag: noai\r\n\r\n")
                $0.answer(200, "bytes")
            },
        ])
        #expect(try await fetchError(server.url("/a.png"), policy()) == nil)
    }

    /// In an allowed network nobody is asked: not a byte is sent for robots.txt.
    @Test func allowedNetworksAreNotAsked() async throws {
        let server = try LoopbackServer([
            "/robots.txt": { $0.answer(200, "User-agent: gloss\nDisallow: /") },
            "/a.png": { $0.answer(200, "bytes", headers: ["X-Robots-Tag: noai"]) },
        ])
        #expect(try await fetchError(server.url("/a.png"), policy(nil) { $0.optOuts = .strict }) == nil)
        #expect(paths(server) == ["/a.png"])
    }

    @Test func cancellingDoesNotStopTheOthers() async throws {
        let gate = Gate()
        let server = try server {
            gate.pass()
            $0.answer(404, "")
        }
        let fetcher = try ImageFetcher(policy: policy())
        let first = Task { try await fetcher.fetch(server.url("/a.png")) }
        while server.active < 1 { await Task.yield() }
        let second = Task { try await fetcher.fetch(server.url("/a.png")) }
        while fetcher.submittedCount < 2 { await Task.yield() }
        first.cancel()
        let error = await #expect(throws: ImageError.self) { try await first.value }
        #expect(error?.code == .cancelled)
        gate.open()
        #expect(try await second.value.bytes.count == 5)
        #expect(paths(server) == ["/robots.txt", "/a.png"])
    }

    @Test func parkingAndTheEndReachWhoWaits() async throws {
        let gate = Gate()
        let server = try server {
            gate.pass()
            $0.answer(404, "")
        }
        let fetcher = try ImageFetcher(policy: policy())
        let first = Task { try await fetcher.fetch(server.url("/a.png")) }
        while server.active < 1 { await Task.yield() }
        fetcher.park("http://127.0.0.1:\(server.port)", for: .seconds(60))
        let parked = await #expect(throws: ImageError.self) { try await first.value }
        #expect(parked?.code == .originParked)
        fetcher.unpark("http://127.0.0.1:\(server.port)")
        let second = Task { try await fetcher.fetch(server.url("/a.png")) }
        while fetcher.submittedCount < 2 { await Task.yield() }
        fetcher.shutdown()
        let ended = await #expect(throws: ImageError.self) { try await second.value }
        #expect(ended?.code == .cancelled)
        gate.open()
    }
}
