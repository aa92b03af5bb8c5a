import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Images

/// Where the key for `s3:` URLs comes from.
@Suite(.timeLimit(.minutes(5))) struct S3CredentialTests {
    private final class Folder {
        let path = NSTemporaryDirectory() + "gloss-aws-" + UUID().uuidString

        init() throws {
            try FileManager.default.createDirectory(atPath: path + "/.aws", withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
        }
    }

    private static let file = """
        # a comment
        [default]
        aws_access_key_id = FILEKEY
        aws_secret_access_key=filesecret/a=b

        [ other ]
        AWS_ACCESS_KEY_ID=OTHERKEY
        aws_secret_access_key = othersecret
        aws_session_token = othertoken
        """

    private func keys(_ environment: [String: String], profile: String? = nil) throws -> [String?] {
        let found = try AWSFiles(environment: environment, profile: profile).credentials()
        return [found?.accessKey, found?.secretKey, found?.sessionToken]
    }

    @Test func readsWhatAWSToolsRead() throws {
        let folder = try Folder()
        try folder.write(".aws/credentials", Self.file)
        try folder.write(
            ".aws/config",
            "[default]\nregion = eu-west-1\n[profile third]\nregion=us-west-2\naws_access_key_id=THIRD\naws_secret_access_key=thirdsecret"
        )
        let home = ["HOME": folder.path]
        #expect(try keys(home) == ["FILEKEY", "filesecret/a=b", nil])
        #expect(try keys(home.merging(["AWS_PROFILE": "other"]) { $1 }) == ["OTHERKEY", "othersecret", "othertoken"])
        #expect(try keys(home, profile: "third") == ["THIRD", "thirdsecret", nil])
        #expect(try keys(home, profile: "fourth") == [nil, nil, nil])
        let variables = home.merging(["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "envsecret"]) { $1 }
        #expect(try keys(variables) == ["ENV", "envsecret", nil])
        #expect(try keys(variables, profile: "other") == ["OTHERKEY", "othersecret", "othertoken"])
        #expect(try keys(["HOME": folder.path, "AWS_ACCESS_KEY_ID": ""]) == ["FILEKEY", "filesecret/a=b", nil])
        #expect(AWSFiles(environment: home, profile: nil).region == "eu-west-1")
        #expect(AWSFiles(environment: home, profile: "third").region == "us-west-2")
        #expect(AWSFiles(environment: home.merging(["AWS_REGION": "x"]) { $1 }, profile: nil).region == "x")
    }

    @Test func systemdsCredentialGoesBeforeOtherFiles() throws {
        let folder = try Folder()
        try folder.write("named", "[default]\naws_access_key_id=NAMED\naws_secret_access_key=x")
        let named = ["HOME": folder.path, "AWS_SHARED_CREDENTIALS_FILE": folder.path + "/named"]
        #expect(try keys(named)[0] == "NAMED")
        let both = named.merging(["CREDENTIALS_DIRECTORY": folder.path]) { $1 }
        #expect(try keys(both)[0] == "NAMED")
        try folder.write("aws-credentials", "[default]\naws_access_key_id=SYSTEMD\naws_secret_access_key=x")
        #expect(try keys(both)[0] == "SYSTEMD")
    }

    @Test func refusesKeysThatNoRequestCanCarry() throws {
        let error = imageError {
            try keys(["AWS_ACCESS_KEY_ID": "A\r\nHost: x", "AWS_SECRET_ACCESS_KEY": "geheim"])
        }
        #expect(error?.code == .credentials && error?.message.contains("Host") == false)
    }

    @Test func keysAreNeverPrinted() throws {
        let credentials = try S3Credentials(accessKey: "AKID", secretKey: "geheim", sessionToken: "geheimer")
        let signature = S3Signature(credentials: credentials, region: "us-east-1")
        var text = "\(credentials) \(signature) \(String(reflecting: signature))"
        dump(signature, to: &text)
        #expect(!text.contains("geheim") && !text.contains("AKID"), "\(text)")
    }

    /// Without a key nothing is asked, and it may come: the error does not last. At start it is one of the configuration.
    @Test func asksNothingWithoutAKey() async throws {
        let server = try LoopbackServer(["/images/a": { $0.answer(200, "bytes") }])
        let folder = try Folder()
        let policy = loopbackPolicy {
            $0.s3.buckets = ["images"]
            $0.s3.endpoint = "http://127.0.0.1:\(server.port)"
        }
        let environment = ["HOME": folder.path]
        let fetcher = try ImageFetcher(policy: policy, environment: environment)
        let error = await #expect(throws: ImageError.self) { try await fetcher.fetch("s3://images/a") }
        #expect(
            error?.code == .credentials && error?.disposition == .retry(after: nil) && error?.origin == "s3://images")
        #expect(server.requests.isEmpty)
        #expect(
            imageErrorOf { () throws(ImageError) in try policy.checkCredentials(environment: environment) }?.code
                == .credentials)
        try folder.write(".aws/credentials", Self.file)
        _ = try await fetcher.fetch("s3://images/a")
        #expect(server.requests.first?.contains("Credential=FILEKEY/") == true)
        #expect(imageErrorOf { () throws(ImageError) in try policy.checkCredentials(environment: environment) } == nil)
    }

    /// The store says that the key has expired, and the file has a new one.
    @Test func looksForANewKeyWhenTheStoreSaysSo() async throws {
        let folder = try Folder()
        try folder.write(".aws/credentials", "[default]\naws_access_key_id=OLD\naws_secret_access_key=x")
        let (expired, good) = ("<Error><Code>ExpiredToken</Code></Error>", "bytes")
        let isNew = Mutex(false)
        let server = try LoopbackServer([
            "/images/a": { exchange in isNew.withLock { exchange.answer($0 ? 200 : 400, $0 ? good : expired) } }
        ])
        let policy = loopbackPolicy {
            $0.s3.buckets = ["images"]
            $0.s3.endpoint = "http://127.0.0.1:\(server.port)"
        }
        let fetcher = try ImageFetcher(policy: policy, environment: ["HOME": folder.path])
        let error = await #expect(throws: ImageError.self) { try await fetcher.fetch("s3://images/a") }
        #expect(error?.code == .credentials && error?.disposition == .retry(after: nil))
        try folder.write(".aws/credentials", "[default]\naws_access_key_id=NEW\naws_secret_access_key=x")
        isNew.withLock { $0 = true }
        _ = try await fetcher.fetch("s3://images/a")
        let users = server.requests.compactMap { $0.firstMatch(of: /Credential=([A-Z]+)/).map { String($0.1) } }
        #expect(users == ["OLD", "NEW"])
    }

    /// The role of a machine, by version 2 of the service: a token first. Only where the policy says so.
    @Test func asksTheMetadataServiceWhereAllowed() async throws {
        let end = Date(timeIntervalSinceNow: 3600).formatted(.iso8601)
        let store = try LoopbackServer(["/images/a": { $0.answer(200, "bytes") }])
        let roles = "/latest/meta-data/iam/security-credentials/"
        let service = try LoopbackServer(
            host: "127.0.0.6",
            [
                "/latest/api/token": { $0.answer(200, "proof") }, roles: { $0.answer(200, "reader") },
                roles + "reader": {
                    $0.answer(
                        200,
                        #"{"Code":"Success","AccessKeyId":"ROLE","SecretAccessKey":"x","Token":"tok","Expiration":"\#(end)"}"#
                    )
                },
            ])
        var policy = loopbackPolicy {
            $0.s3.buckets = ["images"]
            $0.s3.endpoint = "http://127.0.0.1:\(store.port)"
            $0.s3.metadataEndpoint = "http://127.0.0.6:\(service.port)"
        }
        let refused = try ImageFetcher(policy: policy, environment: [:])
        await #expect(throws: ImageError.self) { try await refused.fetch("s3://images/a") }
        #expect(service.requests.isEmpty)
        policy.s3.credentials = .instance
        let fetcher = try ImageFetcher(policy: policy, environment: [:])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { _ = try await fetcher.fetch("s3://images/a") } }
            try await group.waitForAll()
        }
        #expect(service.requests.count == 3, "once for all")
        #expect(service.requests.first?.hasPrefix("PUT /latest/api/token") == true)
        #expect(service.requests.dropFirst().allSatisfy { $0.contains("X-aws-ec2-metadata-token: proof") })
        #expect(
            store.requests.allSatisfy { $0.contains("Credential=ROLE/") && $0.contains("x-amz-security-token: tok") })
    }

    @Test func aMetadataServiceThatIsNotThereMayComeBack() async throws {
        let port = try LoopbackServer([:]).port  // gone again
        let policy = loopbackPolicy {
            $0.s3.buckets = ["images"]
            $0.s3.credentials = .instance
            $0.s3.metadataEndpoint = "http://127.0.0.6:\(port)"
        }
        let fetcher = try ImageFetcher(policy: policy, environment: [:])
        let error = await #expect(throws: ImageError.self) { try await fetcher.fetch("s3://images/a") }
        #expect(error?.code == .credentials && error?.disposition == .retry(after: nil))
    }
}

/// The error that `work` throws; nil when it throws none.
private func imageErrorOf(_ work: () throws(ImageError) -> Void) -> ImageError? {
    do throws(ImageError) {
        try work()
        return nil
    } catch {
        return error
    }
}
