import Synchronization
import TestSupport
import Testing

@testable import Images

/// Server-side request forgery: what a URL, a name or a redirect may not reach.
@Suite struct GuardTests {
    @Test(arguments: [
        "http://127.0.0.1/", "http://localhost/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/",
        "http://0177.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
        "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[fe80::1]/",
        "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://017700000001/", "http://127.0.1/",
        "http://0x7f000001/", "http://0x7F.0x0.0x0.0x1/", "http://0177.0x0.1/", "http://[::127.0.0.1]/",
        "http://[0:0:0:0:0:ffff:7f00:1]/", "http://[64:ff9b:1::7f00:1]/", "http://[2001:0:7f00:1::]/",
        "http://[fe80::1%25lo]/", "http://[::]/", "http://0/", "http://%31%32%37.0.0.1/", "http://LOCALHOST/",
        "http://１２７.０.０.１/", "http://127。0。0。1/", "http://①②⑦.⓪.⓪.①/", "http://ｌｏｃａｌｈｏｓｔ/",
        "http://foo.localhost/", "http:///127.0.0.1/", "http:/127.0.0.1/",
    ])
    func refusesInnerAddresses(_ url: String) async throws {
        let error = try await fetchError(url, FetchPolicy())
        #expect(error?.code == .addressNotAllowed)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains("not allowed") == true)
    }

    /// Not a number any more, and no name that anybody has.
    @Test func refusesANumberWithADotBehind() async throws {
        let error = try await fetchError("http://127.0.0.1./", loopbackPolicy())
        #expect(error?.code == .hostNotFound)
    }

    @Test func saysWhichAddressAndWhy() async throws {
        let error = try await fetchError("http://169.254.169.254/latest", FetchPolicy())
        #expect(error?.message == "address 169.254.169.254 is link-local; not allowed (http://169.254.169.254)")
    }

    @Test func keepsThePortsInAllowedNetworks() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let error = try await fetchError(server.url("/a"), loopbackPolicy { $0.allowedPorts = [80] })
        #expect(error?.code == .portNotAllowed)
        #expect(try await fetchError(server.url("/a"), loopbackPolicy { $0.allowedPorts = [server.port] }) == nil)
        #expect(server.requests.count == 1)
    }

    @Test func followsRedirects() async throws {
        let server = try LoopbackServer([
            "/1": { $0.redirect(to: "/2", status: 301) }, "/2": { $0.redirect(to: "three", status: 307) },
            "/three": { $0.redirect(to: "/4", status: 308) }, "/4": { $0.answer(200, "bytes") },
        ])
        let fetched = try await ImageFetcher(policy: loopbackPolicy()).fetch(server.url("/1"))
        #expect(fetched.finalURL == server.url("/4"))
        #expect(server.requests.count == 4)
    }

    @Test func namesTheOriginThatFailed() async throws {
        let last = try LoopbackServer(host: "127.0.0.5", ["/a": { $0.answer(503, "", headers: ["Retry-After: 7"]) }])
        let target = last.url("/a")
        let first = try LoopbackServer(["/a": { $0.redirect(to: target) }])
        let error = try await fetchError(first.url("/a"))
        #expect(error?.origin == "http://127.0.0.5:\(last.port)")
        #expect(error?.disposition == .release(after: .seconds(7)))
    }

    @Test func countsRedirects() async throws {
        let server = try LoopbackServer([
            "/1": { $0.redirect(to: "/2") }, "/2": { $0.redirect(to: "/3") }, "/3": { $0.redirect(to: "/4") },
            "/4": { $0.redirect(to: "/5") }, "/5": { $0.answer(200, "bytes") },
        ])
        let error = try await fetchError(server.url("/1"))
        #expect(error?.code == .tooManyRedirects)
        #expect(error?.disposition == .permanent)
        #expect(server.requests.count == 4)
    }

    @Test func refusesRedirectsToInnerAddresses() async throws {
        let server = try LoopbackServer(["/a": { $0.redirect(to: "http://169.254.169.254/latest") }])
        let error = try await fetchError(server.url("/a"))
        #expect(error?.code == .addressNotAllowed)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains("169.254.169.254 is link-local") == true)
        #expect(error?.message.contains("by redirect from http://127.0.0.1") == true)
    }

    @Test(
        arguments: [
            ("file:///etc/passwd", .schemeNotAllowed), ("gopher://127.0.0.1/x", .schemeNotAllowed),
            ("data:image/png;base64,AAAA", .schemeNotAllowed), ("ftp://127.0.0.1/", .schemeNotAllowed),
            ("s3://images/a", .schemeNotAllowed), ("gs://images/a", .schemeNotAllowed),
            ("az://images/a", .schemeNotAllowed),
            ("S3://images/a", .schemeNotAllowed), ("http://user:secret@127.0.0.1/", .userinfo),
            ("http://127.0.0.1:6379/", .portNotAllowed),
        ] as [(String, ImageError.Code)])
    func judgesRedirectsLikeRequests(_ target: String, _ code: ImageError.Code) async throws {
        let server = try LoopbackServer(["/a": { $0.redirect(to: target) }])
        var policy = loopbackPolicy { $0.allowedPorts = [80, server.port] }
        policy.localRoots = ["/"]
        policy.allowDataURLs = true
        policy.s3.buckets = ["*"]
        policy.s3.credentials = .none
        policy.azureAccount = "account"
        let error = try await fetchError(server.url("/a"), policy)
        #expect(error?.code == code)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains("redirect") == true)
        #expect(error?.message.contains("secret") == false)
    }

    @Test func takesARedirectWithoutTargetForAnAnswer() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(302, "nowhere") }, "/b": { $0.answer(304, "") }])
        #expect(try await fetchError(server.url("/a"))?.code == .httpStatus(302))
        #expect(try await fetchError(server.url("/b"))?.code == .httpStatus(304))
    }

    /// A deadline of its own would give the second server three seconds; of the shared one a second is left.
    @Test func sharesOneDeadlineAmongRedirects() async throws {
        let hungUp = Mutex(false)
        let server = try LoopbackServer([
            "/1": {
                $0.waitForHangUp(milliseconds: 2000)
                $0.redirect(to: "/2")
            },
            "/2": { exchange in
                let early = exchange.waitForHangUp(milliseconds: 2600)
                hungUp.withLock { $0 = early }
            },
        ])
        let error = try await fetchError(server.url("/1"), loopbackPolicy { $0.totalTimeout = .seconds(3) })
        #expect(error?.code == .timeout)
        while server.active > 0 { await Task.yield() }
        #expect(hungUp.withLock { $0 })
    }
}
