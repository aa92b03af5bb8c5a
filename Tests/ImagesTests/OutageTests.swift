import Glibc
import TestSupport
import Testing

@testable import Images

/// Our own outage, and that of one host: a name server that knows nothing, one that does not answer, and lookups that hang.
@Suite(.timeLimit(.minutes(5))) struct OutageTests {
    private func failure(_ fetcher: ImageFetcher, _ url: String) async -> ImageError? {
        await #expect(throws: ImageError.self) { try await fetcher.fetch(url) }
    }

    /// Beside a name that is known, one that is not does not exist. Before any was known, nobody can tell.
    @Test func believesANameServerThatKnowsOtherNames() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let known = ScriptedName("outage-known", ["127.0.0.1"])
        let unknown = ScriptedName("outage-unknown", [])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        let early = try #require(await failure(fetcher, "http://\(unknown.name)/a"))
        #expect(early.code == .hostNotFound && early.disposition == .retry(after: nil))
        #expect(early.blame == .origin && early.origin == "http://\(unknown.name)")
        _ = try await fetcher.fetch("http://\(known.name):\(server.port)/a")
        let late = try #require(await failure(fetcher, "http://\(unknown.name)/a"))
        #expect(late.code == .hostNotFound && late.disposition == .permanent)
    }

    /// A name server that says of every name that it does not exist: no image is lost by it.
    @Test func aNameServerThatKnowsNothingIsOurOwnOutage() async throws {
        let names = (1...40).map { ScriptedName("outage-nothing-\($0)", []) }
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        var codes: [ImageError.Code] = []
        for name in names {
            let error = try #require(await failure(fetcher, "http://\(name.name)/a"))
            #expect(error.disposition != .permanent)
            #expect((error.code == .outage) == (error.blame == .ourselves))
            if error.code == .outage { #expect(error.disposition == .fatal && error.origin == nil) }
            codes.append(error.code)
        }
        #expect(codes == [.hostNotFound, .hostNotFound] + Array(repeating: .outage, count: 38))
    }

    /// It knew a name, and now it knows none, not even that: the very first failure shows it.
    @Test(arguments: [[], ScriptedName.silence])
    func aNameServerThatForgetsIsOurOwnOutage(_ answer: [String]) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let known = ScriptedName("outage-forgotten-\(answer.count)", ["127.0.0.1"], answer)
        let other = ScriptedName("outage-other-\(answer.count)", answer)
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        _ = try await fetcher.fetch("http://\(known.name):\(server.port)/a")
        let error = try #require(await failure(fetcher, "http://\(other.name)/a"))
        #expect(error.code == .outage && error.blame == .ourselves)
    }

    /// The name server of one domain does not answer; that is the domain's.
    @Test func oneSilentDomainIsItsOwnFault() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let known = ScriptedName("outage-spoken", ["127.0.0.1"])
        let silent = ScriptedName("outage-silent", ScriptedName.silence)
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        _ = try await fetcher.fetch("http://\(known.name):\(server.port)/a")
        for _ in 0..<5 {
            let error = try #require(await failure(fetcher, "http://\(silent.name)/a"))
            #expect(error.code == .nameServerFailure && error.isHostFailure)
        }
    }

    /// A host's certificate is bad for good where another's was good; before any was, it may be our clock or our authorities.
    @Test func onlyATrustedServerShowsThatACertificateIsBad() async throws {
        let authority = try await PrivateCA()
        let (good, bad) = (ScriptedName("tls-good", ["127.0.0.1"]), ScriptedName("tls-bad", ["127.0.0.1"]))
        let (certificate, key) = try await authority.certificate(for: good.name)
        let port = try LoopbackServer([:]).port  // free: it was just given up
        let server = try ChildProcess(
            "/usr/bin/openssl",
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-www", "-quiet"],
            environment: ["PATH": "/usr/bin"])
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.certificateAuthorities = authority.certificate })
        var early = await failure(fetcher, "https://\(bad.name):\(port)/")
        while early?.code == .connectFailed { early = await failure(fetcher, "https://\(bad.name):\(port)/") }
        #expect(
            early?.code == .badCertificate && early?.disposition == .retry(after: nil), "\(String(describing: early))")
        #expect(!(try await fetcher.fetch("https://\(good.name):\(port)/")).bytes.isEmpty)
        let late = await failure(fetcher, "https://\(bad.name):\(port)/")
        #expect(late?.code == .badCertificate && late?.disposition == .permanent)
        #expect(late?.blame == .origin && late?.origin == "https://\(bad.name):\(port)")
        server.signal(SIGKILL)
    }

    /// TCP has no way to a multicast address, so the kernel answers as it does where there is no route.
    @Test func noRouteIsOurOwnOutageUnlessOthersAnswer() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let networks = ["127.0.0.0/8", "224.0.0.0/4"].compactMap { CIDR($0) }
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.allowedNetworks = networks })
        let alone = try #require(await failure(fetcher, "http://224.0.0.1/a"))
        #expect(alone.code == .outage && alone.disposition == .fatal && alone.origin == nil)
        _ = try await fetcher.fetch(server.url("/a"))
        let beside = try #require(await failure(fetcher, "http://224.0.0.1/a"))
        #expect(beside.code == .connectFailed && beside.origin == "http://224.0.0.1")
    }

    /// Lookups that hang keep neither the other fetches nor a cancelled one nor the end waiting.
    @Test func nobodyWaitsForALookup() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let hanging = ScriptedName("outage-hanging", ["127.0.0.1"])
        hanging.hold(true)
        defer { hanging.hold(false) }
        let policy = loopbackPolicy {
            $0.connectTimeout = .milliseconds(200)
            $0.optOuts = .off  // each image looks the name up for itself
        }
        let fetcher = try ImageFetcher(policy: policy)
        let late = try #require(await failure(fetcher, "http://\(hanging.name)/a"))
        #expect(late.code == .timeout)
        let cancelled = Task { try await fetcher.fetch("http://\(hanging.name)/b") }
        while hanging.lookupCount < 2 { await Task.yield() }
        cancelled.cancel()
        _ = await cancelled.result
        _ = try await fetcher.fetch(server.url("/a"))
        let last = Task { try await fetcher.fetch("http://\(hanging.name)/c") }
        while hanging.lookupCount < 3 { await Task.yield() }
        fetcher.shutdown()
        _ = await last.result
    }

    /// Four threads find out why names do not resolve, whatever their number; and of a name that nobody waits for any more they do not ask.
    @Test func findingOutWhyIsBounded() async throws {
        let wanted = (1...6).map { ScriptedName("outage-wanted-\($0)", ["127.0.0.1"]) }
        let unwanted = (1...6).map { ScriptedName("outage-unwanted-\($0)", ["127.0.0.1"]) }
        let lookup = NameLookup()
        for name in wanted {
            name.hold(true)
            lookup.ask(name.name, knownNames: [], by: .now + .seconds(600)) { _ in }
        }
        while wanted.map(\.lookupCount).reduce(0, +) < 4 { await Task.yield() }
        for name in unwanted { lookup.ask(name.name, knownNames: [], by: .now) { _ in } }
        #expect(lookup.threadCount == 4)
        wanted.forEach { $0.hold(false) }
        while lookup.threadCount > 0 { await Task.yield() }
        #expect(wanted.allSatisfy { $0.lookupCount == 1 } && unwanted.allSatisfy { $0.lookupCount == 0 })
    }
}
