import Foundation
import Testing

@testable import Images

/// Drawn files against Google's parser: reference/check_robots.py writes the cases, and `scripts/check-all robots` runs both.
@Suite struct RobotsOracleTests {
    private struct Case: Decodable {
        let file: String
        let path: String
        /// Whether the path is allowed where groups for everybody count, and where they do not.
        let strict: Bool
        let named: Bool
    }

    private static let cases = ProcessInfo.processInfo.environment["GLOSS_TEST_ROBOTS"]

    @Test(.enabled(if: cases != nil)) func drawnFiles() throws {
        let lines = try String(contentsOfFile: try #require(Self.cases), encoding: .utf8).split(separator: "\n")
        #expect(lines.count >= 2000)
        for line in lines {
            let drawn = try JSONDecoder().decode(Case.self, from: Data(line.utf8))
            for (obeysOthers, isAllowed) in [(true, drawn.strict), (false, drawn.named)] {
                let rules = RobotsRules(Array(drawn.file.utf8), agent: "gloss", obeysOthers: obeysOthers)
                #expect((rules.refusal(of: drawn.path) == nil) == isAllowed, "\(line)")
            }
        }
        print("check-robots: \(lines.count) drawn files, each read as Google's parser reads it")
    }
}
