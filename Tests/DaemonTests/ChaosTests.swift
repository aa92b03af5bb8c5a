import Foundation
import TestSupport
import Testing

/// The short form of scripts/chaos: each kind of fault that takes little time, once.
@Suite struct ChaosTests {
    @Test(.timeLimit(.minutes(11))) func nothingIsLostWhenEverythingBreaks() async throws {
        let log = FileManager.default.temporaryDirectory.appending(path: "chaos-\(UUID()).log").path
        let script = GlossdProcess.fixtures.deletingLastPathComponent().appending(path: "Chaos/chaos.py").path
        let chaos = try ChildProcess(
            "/usr/bin/env",
            [
                "python3", script, "--binaries", GlossdProcess.binary.deletingLastPathComponent().path, "--short",
                "--rescue", "4", "--delay", "0.3", "--seed", "4", "--faults", "12",
            ], environment: ["PATH": "/usr/bin:/bin"], output: log)
        let status = await chaos.wait()
        let said = (try? String(contentsOfFile: log, encoding: .utf8)) ?? "no log"
        // The reasons first: whoever prints the failure may cut it.
        let reasons = said.components(separatedBy: "\n").filter { $0.contains("VIOLATION") || $0.hasPrefix("chaos: ") }
        #expect(status == 0, "\(reasons.joined(separator: "\n"))\n\(said)")
        try FileManager.default.removeItem(atPath: log)
    }
}
