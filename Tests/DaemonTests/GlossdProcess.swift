import Foundation
import Storage
import TestSupport

/// The built glossd, run from outside as systemd would.
final class GlossdProcess: Sendable {
    private let process: ChildProcess
    private let log: String

    /// Where the fixtures lie.
    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures")

    /// The binary beside the test bundle.
    static let binary: URL = {
        let bundle = Bundle.allBundles.map(\.bundleURL).first { $0.pathExtension == "xctest" }
        let folder =
            bundle?.deletingLastPathComponent() ?? URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        return folder.appending(path: "glossd")
    }()

    /// Starts it, with GLOSS_ variables of these settings.
    init(_ settings: [String: String], arguments: [String] = []) throws {
        log = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID()).log").path
        process = try ChildProcess(
            Self.binary.path, arguments, environment: Self.environment.merging(settings) { $1 }, error: log)
    }

    /// Proxies that nobody serves: every image that a test's daemon fetches shows that it goes past them.
    private static let environment = ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"].reduce(
        into: ["PATH": "/usr/bin:/bin"]
    ) { $0[$1] = "http://127.0.0.1:9" }

    /// Settings for a database and the tiny model: quick polls and heartbeats, this loopback server allowed.
    static func settings(_ database: TestDatabase, ports: [Int], networks: String = "127.0.0.0/8") -> [String: String] {
        [
            "GLOSS_DATABASE": database.conninfo(as: .worker),
            "GLOSS_MODEL": fixtures.appending(path: "tiny/model").path,
            "GLOSS_POLL_SECONDS": "0.2", "GLOSS_HEARTBEAT_SECONDS": "0.2", "GLOSS_RESCUE_SECONDS": "1.5",
            "GLOSS_FETCH_NETWORKS": networks, "GLOSS_FETCH_PORTS": ports.map(String.init).joined(separator: ","),
            "GLOSS_HEALTH_PORT": "0", "GLOSS_THREADS": "2",
        ]
    }

    func signal(_ number: Int32) { process.signal(number) }

    /// Waits for the end; its exit status, or the signal that killed it, negated.
    func wait() async -> Int32 { await process.wait() }

    var output: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    deinit { try? FileManager.default.removeItem(atPath: log) }
}

/// Asks the database until it says `t`; throws what the daemon's log says when it takes too long.
func eventually(
    _ condition: String, in database: TestDatabase, _ daemons: [GlossdProcess], within limit: Duration = .seconds(120)
) async throws {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if let answer = try? await database.query("select (\(condition))"), answer.scalar == "t" { return }
        try await Task.sleep(for: .milliseconds(50))
    }
    throw Timeout(
        description:
            "not within \(limit): \(condition)\n\(daemons.map { $0.output.suffix(3000) }.joined(separator: "\n---\n"))")
}

struct Timeout: Error, CustomStringConvertible {
    let description: String
}
