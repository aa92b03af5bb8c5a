import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Images

/// `s3:`, `gs:` and `az:` URLs: where they lead, what signs them, and that all that holds for other URLs holds for them.
@Suite(.timeLimit(.minutes(5))) struct ObjectStoreTests {
    private static let key = ["AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "geheim/Key+EXAMPLE"]

    private func policy(_ server: LoopbackServer?, _ change: (inout FetchPolicy) -> Void = { _ in }) -> FetchPolicy {
        loopbackPolicy {
            $0.s3.buckets = ["*"]
            $0.s3.endpoint = server.map { "http://\($0.host):\($0.port)" }
            change(&$0)
        }
    }

    private func failure(_ fetcher: ImageFetcher, _ url: String) async -> ImageError? {
        await #expect(throws: ImageError.self) { try await fetcher.fetch(url) }
    }

    // MARK: Where they lead

    @Test(arguments: [
        ("s3://images/a/b.jpg", "https://images.s3.us-east-1.amazonaws.com/a/b.jpg"),
        ("S3://images/a", "https://images.s3.us-east-1.amazonaws.com/a"),
        ("s3://my.images/a", "https://s3.us-east-1.amazonaws.com/my.images/a"),
        ("s3://my_images/a", "https://s3.us-east-1.amazonaws.com/my_images/a"),
        (
            "s3://images/a b+c&d=e?f#g%20h~(1)'*!.jpg",
            "https://images.s3.us-east-1.amazonaws.com/a%20b%2Bc%26d%3De%3Ff%23g%2520h~%281%29%27%2A%21.jpg"
        ),
        ("s3://images/é/日本", "https://images.s3.us-east-1.amazonaws.com/%C3%A9/%E6%97%A5%E6%9C%AC"),
        ("s3://images//a//b", "https://images.s3.us-east-1.amazonaws.com//a//b"),
        ("s3://images/a\\b@c:d", "https://images.s3.us-east-1.amazonaws.com/a%5Cb%40c%3Ad"),
        ("gs://images/a b", "https://storage.googleapis.com/images/a%20b"),
        ("az://images/a b", "https://account.blob.core.windows.net/images/a%20b"),
    ])
    func leadsToItsStore(_ text: String, _ place: String) throws {
        var policy = FetchPolicy()
        policy.s3.buckets = ["*"]
        policy.azureAccount = "account"
        let url = try FetchURL(text, policy: policy)
        #expect(url.text == place)
        #expect(url.origin == ImageFetcher.origin(of: text) && url.name == url.origin)
        #expect(url.written.lowercased() == text.lowercased())
    }

    @Test func takesTheStoreFromThePolicy() throws {
        var policy = FetchPolicy()
        policy.allowedPorts = nil
        policy.s3.buckets = ["images"]
        func place() throws -> String { try FetchURL("s3://images/a", policy: policy).text }
        policy.s3.region = "eu-central-1"
        #expect(try place() == "https://images.s3.eu-central-1.amazonaws.com/a")
        policy.s3.usesPathStyle = true
        #expect(try place() == "https://s3.eu-central-1.amazonaws.com/images/a")
        policy.s3.region = "cn-north-1"
        #expect(try place() == "https://s3.cn-north-1.amazonaws.com.cn/images/a")
        policy.s3.endpoint = "http://minio.example:9000/"
        policy.s3.usesPathStyle = nil
        #expect(try place() == "http://minio.example:9000/images/a")
        policy.s3.usesPathStyle = false
        #expect(try place() == "http://images.minio.example:9000/a")
        policy.allowedPorts = [443]
        #expect(imageError { try place() }?.code == .portNotAllowed)
    }

    @Test(
        arguments: [
            ("s3://Images/a", .invalidURL), ("s3://ab/a", .invalidURL), ("s3:///a", .invalidURL),
            ("s3://images", .invalidURL),
            ("s3://images/", .invalidURL), ("s3://images/../b", .invalidURL), ("s3://images/a/./b", .invalidURL),
            ("s3://images/a/..", .invalidURL), ("s3://images/a\nb", .invalidURL), ("s3://user@images/a", .invalidURL),
            ("s3://images:443/a", .invalidURL), ("s3://[::1]/a", .invalidURL),
            ("s3://images\\@127.0.0.1/a", .invalidURL),
            ("s3://other/a", .schemeNotAllowed), ("az://images/a", .schemeNotAllowed),
            ("s3n://images/a", .schemeNotAllowed), ("gcs://images/a", .schemeNotAllowed),
        ] as [(String, ImageError.Code)])
    func refuses(_ text: String, _ code: ImageError.Code) {
        var policy = FetchPolicy()
        policy.s3.buckets = ["images"]
        let error = imageError { try FetchURL(text, policy: policy) }
        #expect(error?.code == code && error?.disposition == .permanent, "\(String(describing: error))")
    }

    @Test func hasNoBucketsByDefault() async throws {
        #expect(try await fetchError("s3://images/a", FetchPolicy())?.code == .schemeNotAllowed)
        #expect(try await fetchError("az://images/a", FetchPolicy())?.code == .schemeNotAllowed)
    }

    @Test func refusesStoresThatMakeNoSense() {
        let mistakes: [(inout FetchPolicy) -> Void] = [
            { $0.s3.endpoint = "minio:9000" }, { $0.s3.endpoint = "ftp://minio" },
            { $0.s3.endpoint = "http://a:b@minio" },
            { $0.s3.region = "us east" }, { $0.s3.buckets = ["Images"] }, { $0.azureAccount = "a.b" },
        ]
        for mistake in mistakes {
            var policy = FetchPolicy()
            mistake(&policy)
            #expect(imageError { try ImageFetcher(policy: policy, environment: [:]) }?.disposition == .fatal)
        }
    }

    // MARK: Signatures

    /// AWS's own example: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.
    @Test func theVerifierKnowsTheExample() throws {
        let head = """
            GET /test.txt HTTP/1.1\r
            Host: examplebucket.s3.amazonaws.com\r
            Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=x\r
            Range: bytes=0-9\r
            x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r
            x-amz-date: 20130524T000000Z\r
            \r
            """
        let request = try #require(SigV4(head: head))
        #expect(
            request.signature(secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    /// Keys with every kind of byte, with a token and without.
    @Test(arguments: ["a/b.jpg", "a b+c&d=e?f#g%20h~(1)'*!,;:@$.jpg", "é/日本/\u{1F600}", "/a//b/"])
    func signsWhatTheStoreReads(_ name: String) async throws {
        let path = try FetchURL("s3://images/\(name)", policy: policy(try LoopbackServer([:]))).text
        let target = String(path[(path.range(of: "/images")?.lowerBound ?? path.startIndex)...])
        let server = try LoopbackServer([target: { $0.answer(200, "bytes") }])
        for token in [nil, "FwoGZXIvYXdzEXAMPLE//" + String(repeating: "token+/=", count: 120)] {
            var environment = Self.key
            environment["AWS_SESSION_TOKEN"] = token
            environment["AWS_REGION"] = "eu-central-1"
            let fetched = try await ImageFetcher(policy: policy(server), environment: environment).fetch(
                "s3://images/\(name)")
            #expect(fetched.finalURL == "s3://images/\(name)")
            let head = try #require(server.requests.last)
            let request = try #require(SigV4(head: head))
            #expect(request.path == target && request.value("host") == "127.0.0.1:\(server.port)")
            #expect(request.authorization["Credential"]?.hasSuffix("/eu-central-1/s3/aws4_request") == true)
            #expect(request.authorization["Signature"] == request.signature(secretKey: "geheim/Key+EXAMPLE"), "\(head)")
            #expect(request.value("x-amz-security-token") == token)
            let signed = request.authorization["SignedHeaders"]?.split(separator: ";").map(String.init) ?? []
            let wanted =
                ["host", "x-amz-content-sha256", "x-amz-date"] + (token == nil ? [] : ["x-amz-security-token"])
            #expect(Set(wanted).isSubset(of: signed))
            #expect(!head.contains("geheim"))
        }
    }

    /// Neither another host nor another URL of the same one gets a signature.
    @Test func aRedirectIsNotSigned() async throws {
        let other = try LoopbackServer(host: "127.0.0.2", ["/b": { $0.answer(200, "bytes") }])
        let target = other.url("/b")
        let server = try LoopbackServer([
            "/images/a": { $0.redirect(to: target, status: 307) }, "/images/here": { $0.redirect(to: "/images/b") },
            "/images/b": { $0.answer(200, "bytes") }, "/c": { $0.redirect(to: "s3://images/b") },
        ])
        let fetcher = try ImageFetcher(policy: policy(server), environment: Self.key)
        let fetched = try await fetcher.fetch("s3://images/a")
        #expect(fetched.finalURL == target)
        _ = try await fetcher.fetch("s3://images/here")
        let (first, last) = (try #require(server.requests.first), try #require(server.requests.last))
        #expect(first.contains("Authorization: AWS4") && last.hasPrefix("GET /images/b"))
        for head in other.requests + [last] {
            #expect(!head.lowercased().contains("authorization") && !head.lowercased().contains("x-amz"))
        }
        let error = try #require(await failure(fetcher, server.url("/c")))
        #expect(error.code == .schemeNotAllowed && error.message.contains("by redirect"))
        #expect(error.origin == "http://127.0.0.1:\(server.port)")
        #expect(server.requests.last?.hasPrefix("GET /c") == true)
    }

    @Test func asksWithoutAKeyWhereBucketsArePublic() async throws {
        let server = try LoopbackServer(["/images/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: policy(server) { $0.s3.credentials = .none }, environment: Self.key)
        _ = try await fetcher.fetch("s3://images/a")
        #expect(server.requests.allSatisfy { !$0.contains("Authorization") && !$0.contains("x-amz") })
    }

    // MARK: Answers

    @Test(
        arguments: [
            (403, "AccessDenied", .credentials, .permanent), (401, "", .credentials, .permanent),
            (403, "ExpiredToken", .credentials, .retry(after: nil)),
            (400, "ExpiredToken", .credentials, .retry(after: nil)),
            (403, "RequestTimeTooSkewed", .credentials, .retry(after: nil)),
            (404, "NoSuchKey", .httpStatus(404), .permanent), (404, "", .httpStatus(404), .permanent),
            (503, "SlowDown", .httpStatus(503), .release(after: .seconds(1))),
            (503, "", .httpStatus(503), .retry(after: nil)),
            (500, "InternalError", .httpStatus(500), .retry(after: nil)),
        ] as [(Int, String, ImageError.Code, ImageError.Disposition)])
    func readsWhatTheStoreSays(
        _ status: Int, _ word: String, _ code: ImageError.Code, _ disposition: ImageError.Disposition
    ) async throws {
        let body = word.isEmpty ? "" : "<?xml version=\"1.0\"?><Error><Code>\(word)</Code><Key>geheim</Key></Error>"
        let server = try LoopbackServer(["/images/a": { $0.answer(status, body) }])
        let error = try #require(
            await failure(try ImageFetcher(policy: policy(server), environment: Self.key), "s3://images/a"))
        #expect(error.code == code && error.disposition == disposition)
        #expect(error.origin == "s3://images" && error.message.hasPrefix("s3://images "))
        #expect(error.message.hasSuffix(word.isEmpty ? "\(status)" : word) && !error.message.contains("geheim"))
    }

    @Test func saysWhereTheBucketIs() async throws {
        let server = try LoopbackServer([
            "/images/a": {
                $0.answer(301, "<Code>PermanentRedirect</Code>", headers: ["x-amz-bucket-region: eu-west-1"])
            }
        ])
        let error = await failure(try ImageFetcher(policy: policy(server), environment: Self.key), "s3://images/a")
        #expect(error?.code == .httpStatus(301) && error?.message.contains("eu-west-1, see fetch.s3.region") == true)
    }

    // MARK: What holds for all URLs

    /// The store's address is judged when the socket opens, whatever the policy's endpoint is called.
    @Test(arguments: [
        "http://127.0.0.1", "http://localhost", "http://0x7f.1", "http://[::1]", "http://169.254.169.254",
        "http://10.0.0.1",
        "http://[::ffff:127.0.0.1]", "http://[64:ff9b::7f00:1]", "http://2130706433", "https://192.168.1.1",
    ])
    func keepsTheAddressRules(_ endpoint: String) async throws {
        var policy = FetchPolicy()
        policy.s3.buckets = ["*"]
        policy.s3.endpoint = endpoint
        let error = try #require(
            await failure(try ImageFetcher(policy: policy, environment: Self.key), "s3://images/a"))
        #expect(error.code == .addressNotAllowed && error.disposition == .permanent)
        #expect(error.message.contains("(s3://images)"))
    }

    /// A store's name that is bound anew to an inner address: the second request does not go there.
    @Test func judgesAStoreThatWasBoundAnew() async throws {
        let outer = try LoopbackServer(host: "127.0.0.5", ["/images/a": { $0.answer(200, "outer") }])
        let name = ScriptedName("store-rebound", ["127.0.0.5"], ["127.0.0.1"])
        func policy(_ port: Int) -> FetchPolicy {
            loopbackPolicy {
                $0.allowedNetworks = [CIDR("127.0.0.5")].compactMap(\.self)
                $0.s3.buckets = ["*"]
                $0.s3.endpoint = "http://\(name.name):\(port)"
            }
        }
        _ = try await ImageFetcher(policy: policy(outer.port), environment: Self.key).fetch("s3://images/a")
        let inner = try LoopbackServer(["/images/a": { $0.answer(200, "inner") }])
        let error = await failure(
            try ImageFetcher(policy: policy(inner.port), environment: Self.key), "s3://images/a")
        #expect(error?.code == .addressNotAllowed && inner.requests.isEmpty)
    }

    /// One of two buckets of a store is parked; limits go by bucket.
    @Test func parksABucket() async throws {
        let gate = Gate()
        let server = try LoopbackServer([
            "/images/a": { $0.answer(200, "bytes") },
            "/other/a": {
                gate.pass()
                $0.answer(200, "bytes")
            },
        ])
        let fetcher = try ImageFetcher(policy: policy(server) { $0.perHostConcurrency = 2 }, environment: Self.key)
        fetcher.park("s3://images", for: .seconds(60))
        let error = try #require(await failure(fetcher, "s3://images/a"))
        #expect(error.code == .originParked && error.origin == "s3://images" && server.requests.isEmpty)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { _ = try await fetcher.fetch("s3://other/a") } }
            while server.active < 2 { await Task.yield() }
            fetcher.unpark("s3://images")
            _ = try await fetcher.fetch("s3://images/a")
            gate.open()
            try await group.waitForAll()
        }
        #expect(server.mostActive <= 3)
    }
}
