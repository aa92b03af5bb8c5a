import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

/// Passwords and signatures do not come into anything that glossd says: logs at their most talkative, systemd's status, /metrics,
/// /healthz, and the reasons that stand in the database.
@Suite(.timeLimit(.minutes(5))) struct SecretTests {
    private static let password = "geheim-4711"

    /// A server that asks for passwords over TCP, and not on its socket.
    private func strictServer() async throws -> (PrivatePostgres, TestDatabase, port: Int, folder: String) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gloss-hba-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        try Data(rules.utf8).write(to: URL(filePath: "\(folder)/hba"))
        let port = try LoopbackServer([:]).port
        let postgres = PrivatePostgres(port: port, options: ["hba_file=\(folder)/hba"])
        let database = try await postgres.makeDatabase()
        try await database.query("alter role test_worker password '\(Self.password)'")
        return (postgres, database, port, folder)
    }

    @Test func passwordsAreNeverSaid() async throws {
        let (postgres, database, port, folder) = try await strictServer()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let place = "host=127.0.0.1 port=\(port) dbname=\(database.name) user=test_worker"
        let uri = "postgresql://test_worker:PASSWORD@127.0.0.1:\(port)/\(database.name)"
        let forms: [(conninfo: String, environment: [String: String], isRight: Bool)] = [
            ("\(place) password=\(Self.password)", [:], true),
            (uri.replacing("PASSWORD", with: Self.password), [:], true),
            (place, ["PGPASSWORD": Self.password], true),
            ("\(place) password=wrong-\(Self.password)", [:], false),
            (uri.replacing("PASSWORD", with: "wrong-\(Self.password)"), [:], false),
            (place, ["PGPASSWORD": "wrong-\(Self.password)"], false),
            ("\(place) passwort=\(Self.password)", [:], false),
            ("\(uri.replacing("PASSWORD", with: Self.password))?nonsense=1", [:], false),
        ]
        for (conninfo, environment, isRight) in forms {
            let systemd = try NotifySocket()
            var settings = GlossdProcess.settings(database, ports: [80]).merging(environment) { $1 }
            settings["GLOSS_DATABASE"] = conninfo
            settings["GLOSS_LOG_LEVEL"] = "trace"
            settings["NOTIFY_SOCKET"] = systemd.path
            let daemon = try GlossdProcess(settings)
            let sign =
                isRight
                ? "WATCHDOG=1" : conninfo.contains("wrong") || !environment.isEmpty ? "waiting for the database" : nil
            if let sign { try #require(await systemd.waits(for: sign), "\(daemon.output)") }
            if sign != nil { daemon.signal(SIGTERM) }
            let status = await daemon.wait()
            #expect(status == (sign == nil ? 78 : 0), "\(daemon.output)")
            let said = daemon.output + systemd.messages.joined(separator: "\n")
            #expect(!said.contains(Self.password), "\(said)")
            if sign != nil, !isRight {
                #expect(said.contains("password authentication failed for user"), "and it says why")
            }
        }
        try await postgres.stop()
    }

    /// A presigned URL is as good as a password while it lasts. It stands with the job, which needs it, and nowhere else; keys of
    /// object stores stand nowhere.
    @Test func signaturesOfURLsStayWithTheJob() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let image = try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/rgb.png"))
        let signature = "?X-Amz-Signature=geheim-signature#geheim-fragment"
        let server = try LoopbackServer([
            "/good.png?X-Amz-Signature=geheim-signature": { $0.answer(200, image) },
            "/moved?X-Amz-Signature=geheim-signature": {
                $0.redirect(to: "/good.png?X-Amz-Signature=geheim-signature")
            },
            "/inward?X-Amz-Signature=geheim-signature": {
                $0.redirect(to: "http://user:geheim-pass@127.0.0.9/x?geheim-target")
            },
            "/private?X-Amz-Signature=geheim-signature": { $0.redirect(to: "http://10.0.0.1/x?geheim-target") },
            "/busy?X-Amz-Signature=geheim-signature": { $0.answer(500, "busy") },
            "/page?X-Amz-Signature=geheim-signature": { $0.answer(200, "<!doctype html><title>no image</title>") },
            "/cut?X-Amz-Signature=geheim-signature": { $0.answer(200, image.prefix(40)) },
            "/reset?X-Amz-Signature=geheim-signature": { $0.reset() },
            "/slow?X-Amz-Signature=geheim-signature": { $0.answer(503, "later") },
            "/images/geheim-object.png": { $0.answer(200, image) },
            "/images/geheim-refused.png": {
                $0.answer(403, "<Error><Code>AccessDenied</Code><Key>geheim-refused.png</Key></Error>")
            },
        ])
        let paths = ["good.png", "moved", "inward", "private", "busy", "page", "cut", "reset", "missing", "slow"]
        for path in paths {
            _ = try await database.query(
                "select gloss.enqueue_caption($1, key => $2, batch => 'all', max_attempts => 1, max_tokens => 3)",
                [SQLValue(server.url("/\(path)\(signature)")), SQLValue(path)])
        }
        for name in ["object", "refused"] {
            _ = try await database.query(
                "select gloss.enqueue_caption($1, key => $2, batch => 'all', max_attempts => 1, max_tokens => 3)",
                [SQLValue("s3://images/geheim-\(name).png"), SQLValue(name)])
        }
        let (systemd, health) = (try NotifySocket(), try LoopbackServer([:]).port)
        var settings = GlossdProcess.settings(database, ports: [server.port], networks: "127.0.0.1/32")
        settings["GLOSS_LOG_LEVEL"] = "trace"
        settings["NOTIFY_SOCKET"] = systemd.path
        settings["GLOSS_HEALTH_PORT"] = "\(health)"
        settings["GLOSS_FETCH_S3_BUCKETS"] = "images"
        settings["GLOSS_FETCH_S3_ENDPOINT"] = "http://127.0.0.1:\(server.port)"
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            settings[name] = "geheim-\(name)"
        }
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select done = 3 and dead = 9 from gloss.batch_progress where batch = 'all'", in: database, [daemon])
        try await database.query("select gloss.enqueue_caption($1)", [SQLValue("http://127.0.0.1:9\(signature)")])
        try await eventually("select count(*) > 8 from gloss.attempt", in: database, [daemon])
        let pages =
            try await Self.get("http://127.0.0.1:\(health)/metrics") + Self.get("http://127.0.0.1:\(health)/healthz")
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        let reasons =
            try await database.query(
                """
                select concat_ws(' ', (select string_agg(d::text, ' ') from gloss.dead_job d),
                    (select string_agg(a::text, ' ') from gloss.attempt a), (select string_agg(p::text, ' ') from gloss.parked_origin p),
                    (select string_agg(e::text, ' ') from gloss.error_frequency e), (select string_agg(i::text, ' ') from gloss.registered_worker i))
                """
            ).scalar ?? ""
        #expect(reasons.contains("s3://images answered HTTP 403: AccessDenied"))
        #expect(server.requests.filter { $0.contains("Credential=geheim-AWS_ACCESS_KEY_ID/") }.count == 2)
        #expect(reasons.contains("http_404") && pages.contains("gloss_failures_total{code=\"http_404\"} 1.0"))
        #expect(daemon.output.contains("dead"))
        for said in [daemon.output, systemd.messages.joined(separator: "\n"), pages, reasons] {
            let secrets = said.split(separator: "\n").filter { $0.contains("geheim") }
            #expect(secrets == [], "\(secrets)")
        }
        #expect(systemd.messages.contains { $0.contains("READY=1") } && pages.contains("\"status\":\"ok\""))
    }

    private static func get(_ url: String) async throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let curl = try ChildProcess(
            "/usr/bin/curl", ["--silent", "--max-time", "10", url], environment: [:], output: file)
        #expect(await curl.wait() == 0)
        return try String(contentsOfFile: file, encoding: .utf8)
    }
}

/// The socket on which a service talks to systemd. It is read all the time: a full one would halt the service.
final class NotifySocket: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "n\(UUID().uuidString.prefix(8))").path
    private let descriptor: Int32
    private let received = Log()

    private final class Log: Sendable {
        let messages = Mutex<[String]>([])
    }

    init() throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let (fd, size) = (descriptor, socklen_t(MemoryLayout<sockaddr_un>.size))
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(fd, $0, size) }
        }
        guard code == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        Thread.detachNewThread { [received] in
            var buffer = [UInt8](repeating: 0, count: 65536)
            while case let count = recv(fd, &buffer, buffer.count, 0), count > 0 {
                let message = String(decoding: buffer[..<count], as: UTF8.self)
                received.messages.withLock { $0.append(message) }
            }
            close(fd)
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        unlink(path)
    }

    /// All that was said so far.
    var messages: [String] { received.messages.withLock { $0 } }

    /// Whether a message with this text comes within a minute.
    func waits(for text: String) async -> Bool {
        for _ in 0..<1200 {
            if messages.contains(where: { $0.contains(text) }) { return true }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return false
    }
}
