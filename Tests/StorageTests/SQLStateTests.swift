import Foundation
import Testing

@testable import Storage

@Suite struct SQLStateTests {
    /// The states in a list of PostgreSQL's, errcodes.txt.
    private static func states(in file: String) throws -> [String] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count >= 3, words[0].count == 5, words[2].hasPrefix("ERRCODE_") else { return nil }
            return String(words[0])
        }
    }

    @Test func everyClassOfPostgreSQLIsDecided() throws {
        let versions = try FileManager.default.contentsOfDirectory(atPath: "/usr/share/postgresql")
        let files = versions.map { "/usr/share/postgresql/\($0)/errcodes.txt" }.filter {
            FileManager.default.fileExists(atPath: $0)
        }
        try #require(!files.isEmpty)
        let decided = Set(SQLStateRule.all.map(\.prefix))
        for file in files {
            let states = try Self.states(in: file)
            #expect(states.count > 200)
            let undecided = Set(states.map { String($0.prefix(2)) }).subtracting(decided)
            #expect(undecided == [], "\(file)")
            let known = Set(states + states.map { String($0.prefix(2)) })
            #expect(decided.subtracting(known) == [], "rules that hold for nothing")
        }
    }

    @Test(
        arguments: [
            // The database is away, busy or full, and the same connection may be used again.
            (["40001", "40P01", "53000", "53100", "53200", "53300", "54000", "55000", "55006", "55P03"], "retry"),
            (["57000", "57014", "58000", "58030", "72000", "XX000"], "retry"),
            // This server, or this session, is of no use.
            (["08000", "08006", "08P01", "25006", "25P01", "25P02", "25P03", "25P04", "26000"], "reconnect"),
            (["57P01", "57P02", "57P03", "57P04", "57P05", "ZZ999"], "reconnect"),
            (["21000", "22021", "22023", "22P02", "23502", "23505", "44000", "P0001", "P0002"], "permanent"),
            (["0A000", "28000", "28P01", "3D000", "3F000", "42501", "42601", "42703", "42883", "42P01"], "fatal"),
            (["55P02", "55P04", "XX001", "XX002"], "fatal"),
        ])
    func statesThatMatterAreDecided(states: [String], decision: String) {
        for state in states {
            let error = StorageError(code: .refused(sqlState: state), context: "claim", message: "no")
            let expected: StorageError.Disposition =
                switch decision {
                case "permanent": .permanent
                case "fatal": .fatal
                default: .retry
                }
            #expect(error.disposition == expected, "\(state)")
            #expect(error.endsConnection == (decision == "reconnect"), "\(state)")
        }
    }

    @Test func whatIsTooLargeIsTriedWithLess() {
        let states = ["53200", "54000", "54001", "53100", "22023"]
        let large = states.filter {
            StorageError(code: .refused(sqlState: $0), context: "claim", message: "no").isTooLarge
        }
        #expect(large == ["53200", "54000", "54001"])
    }
}
