import Images
import Settings
import Storage
import TestSupport
import Testing

@testable import Daemon

/// A code that a job can end or go back with is explained where users look it up.
@Suite struct FailureCodeTests {
    /// Those of the work and of the database.
    private static let others = [
        "held_up", "slow_origin", "surplus", "shutdown", "origin_parked", "no_answer", "no_locations", "not_finite",
        "invalid_request",
        "out_of_memory", "unreadable", "unrecordable", "host_unavailable", "poison", "cancelled", "unknown",
    ]

    @Test func eachCodeHasARow() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let rows = try await database.query("select code, meaning, advice, retried from gloss.failure_code").rows
        let known = Dictionary(uniqueKeysWithValues: rows.map { ($0[0] ?? "", $0) })
        for code in ImageError.Code.known {
            let explanation = code.explanation
            let word = explanation.word == "http_" ? "http_*" : explanation.word
            let isRetried = code == .httpStatus(0) || ImageError(code, "").disposition != .permanent
            #expect(known[word] == [word, explanation.meaning, explanation.advice, isRetried ? "t" : "f"], "\(word)")
        }
        for code in Self.others { #expect(known[code] != nil, "\(code)") }
        let words = Set(ImageError.Code.known.map(\.explanation.word) + Self.others)
        let unknown = known.keys.filter { !words.contains($0) && !$0.hasPrefix("http_") }
        #expect(unknown == [], "codes that nothing gives")
    }

    /// An advice names settings that there are.
    @Test func advicesNameSettings() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let texts = try await database.query("select meaning || ' ' || advice from gloss.failure_code").rows
        let named = texts.flatMap {
            ($0[0] ?? "").matches(of: /\b(?:fetch|images|health)\.[a-z_]+/).map { String($0.output) }
        }
        #expect(named.count > 5)
        for key in named { #expect(DaemonConfiguration.keys.contains(key), "\(key)") }
    }
}
