import Foundation
import TestSupport
import Testing

@testable import Images

/// `fetch.hosts`: what differs for certain hosts.
@Suite(.timeLimit(.minutes(1))) struct HostRuleTests {
    private func rule(_ match: String, _ change: (inout HostRule) -> Void = { _ in }) -> HostRule {
        var rule = HostRule(match: match)
        change(&rule)
        return rule
    }

    private func file(_ text: String) throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "gloss-header-\(UUID())").path
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    @Test(arguments: [
        ("*", ["http://a.example/", "https://[::1]:8/", "http://1.2.3.4/"], []),
        (
            "a.example", ["http://a.example/", "https://A.example.:8443/x"],
            ["http://b.a.example/", "http://aa.example/"]
        ),
        (
            "*.example.org", ["http://a.example.org/", "http://a.b.example.org/"],
            ["http://example.org/", "http://xexample.org/"]
        ),
        ("https://a.example", ["https://a.example:8443/"], ["http://a.example/"]),
        ("a.example:8080", ["http://a.example:8080/", "https://a.example:8080/"], ["http://a.example/"]),
        ("[2001:db8::1]", ["http://[2001:db8::1]/", "http://[2001:db8::1]:81/"], ["http://[2001:db8::2]/"]),
        ("[2001:db8::1]:81", ["http://[2001:db8::1]:81/"], ["http://[2001:db8::1]/"]),
        ("xn--bcher-kva.example", ["http://bücher.example/"], ["http://bucher.example/"]),
    ])
    func matching(match: String, urls: [String], others: [String]) throws {
        let pattern = try #require(HostPattern(match))
        let policy = loopbackPolicy()
        for url in urls { #expect(pattern.matches(try FetchURL(url, policy: policy)), "\(url)") }
        for url in others { #expect(!pattern.matches(try FetchURL(url, policy: policy)), "\(url)") }
    }

    @Test(arguments: [
        "", "A.example", "bücher.example", "a.example/", "a.example/x", "ftp://a.example", "*.", "*a.example", "a.*",
        "a b",
        "a.example:0", "a.example:x", "user@a.example", "**", "0x7f.1", "a.example.",
    ])
    func noPatterns(text: String) { #expect(HostPattern(text) == nil) }

    @Test func theFirstRuleCounts() throws {
        var policy = loopbackPolicy()
        policy.hosts = [
            rule("a.example.org") { $0.concurrency = 1 }, rule("*.example.org") { $0.concurrency = 9 }, rule("*"),
        ]
        #expect(policy.concurrency(from: "http://a.example.org") == 1)
        #expect(policy.concurrency(from: "https://b.example.org:8443") == 9)
        #expect(policy.concurrency(from: "http://example.org") == nil)
        #expect(policy.concurrency(from: "") == nil)
    }

    @Test func whatMakesNoSense() {
        let wrong: [(inout HostRule) -> Void] = [
            { $0.concurrency = 0 }, { $0.delay = .seconds(3601) }, { $0.userAgent = "" }, { $0.userAgent = "Gloß" },
            { $0.headers = ["Host": .text("a")] }, { $0.headers = ["A b": .text("a")] },
            { $0.headers = ["": .text("a")] },
            { $0.headers = ["A": .text("a\r\nB: c")] }, { $0.headers = ["A": .text("")] },
            { $0.headers = ["A": .file("token")] },
            { $0.headers = ["A": .credential("../token")] }, { $0.headers = ["content-LENGTH": .text("1")] },
            { $0.match = "http:/a" },
        ]
        for change in wrong {
            let rule = rule("a.example", change)
            #expect(rule.fault != nil, "\(rule)")
            #expect(throws: ImageError.self) { try loopbackPolicy { $0.hosts = [rule] }.validate() }
        }
        #expect(
            rule("a.example") {
                $0.headers = ["Authorization": .credential("token"), "Referer": .text("https://a.example/")]
            }.fault == nil)
    }

    @Test func headersComeFromWhereTheyStand() throws {
        let path = try file("Bearer s3cret\n")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = (path as NSString).deletingLastPathComponent
        let name = (path as NSString).lastPathComponent
        var policy = FetchPolicy()
        policy.hosts = [
            rule("a.example") { $0.headers = ["Authorization": .file(path), "Referer": .text("x")] },
            rule("http://b.example") { $0.headers = ["X-Key": .credential(name)] },
        ]
        let rules = try HostRules(policy, environment: ["CREDENTIALS_DIRECTORY": folder])
        func headers(_ url: String) throws -> [String] {
            rules.terms(for: try FetchURL(url, policy: policy)).headers(for: .image).dropFirst().sorted()
        }
        #expect(try headers("https://a.example/") == ["Authorization: Bearer s3cret", "Referer: x"])
        #expect(try headers("http://a.example/") == [], "nothing without encryption")
        #expect(try headers("http://b.example/") == ["X-Key: Bearer s3cret"], "unless the rule says http")
        #expect(try headers("https://c.example/") == [])
        #expect(!"\(policy)".contains("s3cret"), "a policy may be logged")
    }

    @Test func headersThatCannotBeRead() throws {
        let two = try file("one\ntwo\n")
        let binary = try file("s3cret\u{1}")
        let empty = try file("\n")
        for source: HostRule.HeaderSource in [
            .file("/nonexistent"), .file(two), .file(binary), .file(empty), .credential("token"),
        ] {
            var policy = FetchPolicy()
            policy.hosts = [rule("a.example") { $0.headers = ["X-Key": source] }]
            let error = #expect(throws: ImageError.self) { try HostRules(policy, environment: [:]) }
            #expect(error?.code == .localFailure && error?.message.contains("X-Key") == true)
            #expect(error?.message.contains("s3cret") == false && error?.message.contains("two") == false)
        }
        for path in [two, binary, empty] { try? FileManager.default.removeItem(atPath: path) }
    }

    /// A redirect takes no credentials to another host, nor to another port of the same.
    @Test func aRedirectTakesNoHeadersAlong() async throws {
        let other = try LoopbackServer(host: "127.0.0.2", ["/a": { $0.answer(200, "bytes") }])
        let target = other.url("/a")
        let server = try LoopbackServer(["/a": { $0.redirect(to: target) }])
        let policy = loopbackPolicy { policy in
            policy.hosts = [
                rule("http://127.0.0.1:\(server.port)") {
                    $0.headers = ["Authorization": .text("Bearer s3cret")]
                    $0.userAgent = "Acme/1.0"
                }
            ]
        }
        #expect(try await fetchError(server.url("/a"), policy) == nil)
        #expect(
            server.requests.allSatisfy {
                $0.contains("Authorization: Bearer s3cret\r\n") && $0.contains("User-Agent: Acme/1.0\r\n")
            })
        #expect(server.requests.count == 1 && other.requests.count == 1)
        #expect(other.requests.allSatisfy { !$0.contains("s3cret") && $0.contains("User-Agent: Gloss/") })
    }

    @Test func aRuleHasLimitsOfItsOwn() async throws {
        let gate = Gate()
        let scripts: [String: LoopbackServer.Script] = [
            "/a": {
                gate.pass()
                $0.answer(200, "bytes")
            }
        ]
        let many = try LoopbackServer(host: "127.0.0.1", scripts)
        let few = try LoopbackServer(host: "127.0.0.2", scripts)
        let policy = loopbackPolicy { policy in
            policy.perHostConcurrency = 2
            policy.hosts = [rule("127.0.0.1") { $0.concurrency = 5 }]
        }
        let fetcher = try ImageFetcher(policy: policy)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<20 { group.addTask { _ = try await fetcher.fetch([many, few][index % 2].url("/a")) } }
            while many.active < 5 || few.active < 2 { await Task.yield() }
            gate.open()
            try await group.waitForAll()
        }
        #expect(many.mostActive == 5 && few.mostActive == 2)
    }

    /// A certificate that nobody trusts: for one host an exception, for another its own authority, for others neither.
    @Test func certificatesByHost() async throws {
        let authority = try await PrivateCA()
        let names = ["any", "own", "none"].map { ScriptedName("certificate-\($0)", ["127.0.0.1"]) }
        // For another host than all but one of these.
        let (certificate, key) = try await authority.certificate(for: names[1].name)
        let port = try LoopbackServer([:]).port
        let log = authority.folder + "/server-log"
        let server = try ChildProcess(
            "/usr/bin/openssl",
            ["s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-www", "-quiet"],
            environment: ["PATH": "/usr/bin"], error: log)
        defer { server.signal(SIGKILL) }
        let policy = loopbackPolicy { policy in
            policy.hosts = [
                rule(names[0].name) { $0.certificates = .any },
                rule(names[1].name) { $0.certificates = .authorities(authority.certificate) },
            ]
        }
        let fetcher = try ImageFetcher(policy: policy)
        func failure(_ name: ScriptedName) async -> ImageError.Code? {
            do {
                _ = try await fetcher.fetch("https://\(name.name):\(port)/")
                return nil
            } catch { return error.code }
        }
        var first = await failure(names[2])
        while first == .connectFailed { first = await failure(names[2]) }
        #expect(first == .badCertificate)
        #expect(await failure(names[0]) == nil)
        #expect(await failure(names[2]) == .badCertificate, "the exception is for one host")
        #expect(await failure(names[1]) == nil)
        #expect(await failure(names[2]) == .badCertificate)
    }
}
