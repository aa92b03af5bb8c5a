import Foundation
import TestSupport
import Testing

/// What two sessions do to each other, for all pairs of calls. A sample of the meetings runs by default;
/// GLOSS_TEST_INTERLEAVINGS=all runs them all.
@Suite(.timeLimit(.minutes(30))) struct InterleavingTests {
    private static let isThorough = ProcessInfo.processInfo.environment["GLOSS_TEST_INTERLEAVINGS"] == "all"
    private static let tables = [
        "ready", "scheduled", "paused_job", "leased", "dead_job", "annotation", "checkpoint", "attempt", "tally",
        "batch",
        "parked_origin", "job", "image", "finding", "total", "lane",
    ]

    /// Each pair meets in two worlds, in one way each; or in all worlds and all ways.
    @Test(arguments: InterleavingWorld.allCases.indices) func nothingIsLostBetweenTwoTransactions(
        number: Int
    ) async throws {
        let world = InterleavingWorld.allCases[number]
        let interleaving = try await Interleaving(PrivatePostgres.shared.makeDatabase())
        try await interleaving.build(world)
        for (n, one) in InterleavedCall.allCases.enumerated() {
            for (m, other) in InterleavedCall.allCases.enumerated() {
                guard Self.isThorough || (n + m + number).isMultiple(of: 2) else { continue }
                let way = Meeting.allCases[(n + m / 2 + number / 2) % Meeting.allCases.count]
                for meeting in Self.isThorough ? Meeting.allCases : [way] {
                    let faults = try await interleaving.meet(one, other, meeting)
                    #expect(faults == [], "\(world.rawValue): \(one), then \(other), \(meeting.rawValue)")
                }
            }
            if n.isMultiple(of: 4) { try await interleaving.tidy() }
        }
    }

    /// The second call comes while the first one is half done: at one table in one world, or at each table in each world.
    @Test(arguments: InterleavingWorld.allCases.indices) func nothingIsLostWithinACall(number: Int) async throws {
        let worlds = InterleavingWorld.allCases
        let interleaving = try await Interleaving(PrivatePostgres.shared.makeDatabase())
        try await interleaving.build(worlds[number])
        for (n, one) in InterleavedCall.allCases.enumerated() {
            guard Self.isThorough || n % worlds.count == number else { continue }
            var stops: [String] = []
            for table in Self.tables where try await interleaving.writes(one, to: table) { stops.append(table) }
            #expect(!stops.isEmpty, "\(worlds[number].rawValue): \(one) writes nothing")
            for (m, other) in InterleavedCall.allCases.enumerated() where !stops.isEmpty {
                for table in Self.isThorough ? stops : [stops[m % stops.count]] {
                    let faults = try await interleaving.meet(one, at: table, other)
                    #expect(faults == [], "\(worlds[number].rawValue): \(other) while \(one) stands at \(table)")
                }
            }
            try await interleaving.tidy()
        }
    }
}
