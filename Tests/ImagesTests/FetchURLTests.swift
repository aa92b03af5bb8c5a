import Testing

@testable import Images

@Suite struct FetchURLTests {
    @Test(arguments: [
        ("http://example.org/a.jpg", "example.org", 80), ("https://example.org/a.jpg", "example.org", 443),
        ("HTTPS://Example.ORG:443/a", "example.org", 443), ("http://[2001:db8::1]/", "[2001:db8::1]", 80),
        ("http://example.org?x=1", "example.org", 80), ("http://Bücher.example/a", "xn--bcher-kva.example", 80),
        ("http://%31%32%37/", "0.0.0.127", 80), ("http://ｅxample。org/", "example.org", 80),
        ("http://EXAMPLE.org./", "example.org.", 80), ("http://0x7f.1/", "127.0.0.1", 80),
    ])
    func readsURLs(_ text: String, _ host: String, _ port: Int) throws {
        let url = try FetchURL(text, policy: FetchPolicy())
        #expect(url.host == host && url.port == port)
    }

    @Test func encodesWhatMustBe() throws {
        let url = try FetchURL("http://example.org/a b/é.jpg#part", policy: FetchPolicy())
        #expect(url.text.lowercased() == "http://example.org/a%20b/%c3%a9.jpg")
    }

    @Test(
        arguments: [
            ("", .invalidURL), ("example.org/a.jpg", .invalidURL), ("http://", .invalidURL),
            ("http://example.org:99999/", .invalidURL), ("http://example.org/\0.jpg", .invalidURL),
            ("http://example.org/\r\nHost: x", .invalidURL), ("http://exa mple.org/", .invalidURL),
            ("http://example.org/" + String(repeating: "a", count: 8192), .invalidURL),
            ("ftp://example.org/a.jpg", .schemeNotAllowed), ("gopher://example.org/", .schemeNotAllowed),
            ("file:///etc/passwd", .schemeNotAllowed), ("dict://example.org:80/", .schemeNotAllowed),
            ("http://user@example.org/", .userinfo), ("http://user:secret@example.org/", .userinfo),
            ("http://:secret@example.org/", .userinfo), ("http://example.org:8080/", .portNotAllowed),
            ("https://example.org:22/", .portNotAllowed), ("http://example.org:0/", .portNotAllowed),
            ("http://example.org:443x/", .invalidURL), ("http://example.org:-80/", .invalidURL),
            ("http://example.org:65616/", .invalidURL), ("https://example.org@[::1]/", .userinfo),
            ("http://@example.org/", .userinfo), ("http://user%40x:a@example.org/", .userinfo),
            ("http://127.0.0.1\\@example.org/", .userinfo), ("http://example.org%2f@127.0.0.1/", .userinfo),
            ("ws://example.org/", .schemeNotAllowed), ("ldap://example.org/", .schemeNotAllowed),
            ("smb://example.org/a", .schemeNotAllowed), ("tftp://example.org/a", .schemeNotAllowed),
            ("telnet://example.org/", .schemeNotAllowed), ("jar:http://example.org/a!/b", .invalidURL),
            ("javascript:alert(1)", .invalidURL), ("view-source:http://example.org/", .invalidURL),
            ("//example.org/a", .invalidURL), ("\\\\example.org\\a", .invalidURL), ("http:example.org", .invalidURL),
            ("http://[::1", .invalidURL), ("http://[::1]x/", .invalidURL), ("http://exa%00mple.org/", .invalidURL),
            ("http://a%20b/", .invalidURL), ("http://a%zz/", .invalidURL), ("http://%31%32%h/", .invalidURL),
        ] as [(String, ImageError.Code)])
    func refusesURLs(_ text: String, _ code: ImageError.Code) {
        let error = imageError { try FetchURL(text, policy: FetchPolicy()) }
        #expect(error?.code == code)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains("secret") != true)
    }

    @Test func takesPortsAndSchemesFromThePolicy() throws {
        var policy = FetchPolicy()
        policy.allowedPorts = [8080]
        #expect(imageError { try FetchURL("http://example.org/", policy: policy) }?.code == .portNotAllowed)
        #expect(try FetchURL("http://example.org:8080/", policy: policy).port == 8080)
        policy.allowedPorts = nil
        #expect(try FetchURL("http://example.org:6379/", policy: policy).port == 6379)
        policy.allowedSchemes = ["https"]
        #expect(imageError { try FetchURL("http://example.org/", policy: policy) }?.code == .schemeNotAllowed)
    }

    @Test func refusesPoliciesThatMakeNoSense() {
        let mistakes: [(inout FetchPolicy) -> Void] = [
            { $0.maxBytes = 0 }, { $0.allowedPorts = [0] }, { $0.allowedSchemes = ["ftp"] },
            { $0.minimumThroughput = -1 },
            { $0.perHostConcurrency = 0 }, { $0.userAgent = "a\r\nHost: b" }, { $0.localRoots = ["images"] },
            { $0.throughputWindow = .milliseconds(10) }, { $0.totalTimeout = .zero },
            { $0.certificateAuthorities = "/nowhere/ca.pem" },
        ]
        for mistake in mistakes {
            var policy = FetchPolicy()
            mistake(&policy)
            #expect(imageError { try ImageFetcher(policy: policy) }?.disposition == .fatal)
        }
        #expect(imageError { try FetchPolicy().validate() } == nil)
    }

    @Test func neverFollowsRedirectsToFiles() {
        var policy = FetchPolicy()
        policy.localRoots = ["/"]
        let error = imageError { try FetchURL("file:///etc/passwd", policy: policy, redirectedFrom: "http://a.org") }
        #expect(error?.code == .schemeNotAllowed)
        #expect(error?.message.contains("by redirect from http://a.org") == true)
    }
}
