import Foundation
import TestSupport
import Testing

/// What two sessions do to each other, for all pairs of calls. A sample of the meetings runs by default;
/// GLOSS_TEST_INTERLEAVINGS=all runs them all.
@Suite(.timeLimit(.minutes(30))) struct InterleavingTests {
    private static let isThorough = ProcessInfo.processInfo.environment["GLOSS_TEST_INTERLEAVINGS"] == "all"
    private static let pairs = InterleavedCall.allCases.flatMap { one in
        InterleavedCall.allCases.map { (one, $0) }
    }
    private static let tables = [
        "ready", "scheduled", "paused_job", "leased", "dead_job", "annotation", "checkpoint", "attempt", "tally",
        "batch",
        "parked_origin", "job", "image", "finding", "total", "lane",
    ]

    /// Each pair meets in each world: in one way each, or in all ways.
    @Test(arguments: InterleavingWorld.allCases) func nothingIsLostBetweenTwoTransactions(
        world: InterleavingWorld
    ) async throws {
        let interleaving = try await Interleaving(PrivatePostgres.shared.makeDatabase())
        try await interleaving.build(world)
        let start = InterleavingWorld.allCases.firstIndex(of: world) ?? 0
        for (index, (one, other)) in Self.pairs.enumerated() {
            if index % 100 == 99 { try await interleaving.tidy() }
            // The second call changes with the index, so the way does not depend on it alone.
            let way = (index + index / InterleavedCall.allCases.count + start) % Meeting.allCases.count
            for meeting in Self.isThorough ? Meeting.allCases : [Meeting.allCases[way]] {
                let faults = try await interleaving.meet(one, other, meeting)
                #expect(faults == [], "\(world.rawValue): \(one), then \(other), \(meeting.rawValue)")
            }
        }
    }

    /// The second call comes while the first one is half done. By default, each pair meets once.
    @Test(arguments: InterleavingWorld.allCases) func nothingIsLostWithinACall(world: InterleavingWorld) async throws {
        let interleaving = try await Interleaving(PrivatePostgres.shared.makeDatabase())
        try await interleaving.build(world)
        let worlds = InterleavingWorld.allCases
        var count = 0
        for one in InterleavedCall.allCases {
            var stops: [String] = []
            for table in Self.tables where try await interleaving.meet(one, at: table, one) != nil {
                stops.append(table)
            }
            for (index, other) in InterleavedCall.allCases.enumerated() {
                guard Self.isThorough || worlds[index % worlds.count] == world, !stops.isEmpty else { continue }
                for table in Self.isThorough ? stops : [stops[index / worlds.count % stops.count]] {
                    let faults = try await interleaving.meet(one, at: table, other)
                    #expect(faults == [], "\(world.rawValue): \(other) while \(one) stands at \(table)")
                    count += 1
                }
            }
            try await interleaving.tidy()
        }
        #expect(count >= 80, "\(world.rawValue): calls do not stop")
    }
}
