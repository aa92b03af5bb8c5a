import Queue
import Synchronization

/// The leases that this daemon holds now, how far each job is, and which of them the store has taken back.
final class HeldLeases: Sendable {
    private struct State {
        var held: [Lease: JobPhase] = [:]
        var lost: Set<Lease> = []
    }

    private let state = Mutex(State())
    private let onLoss: @Sendable ([Lease]) -> Void
    /// Says that there are fewer than before. For one reader.
    let removals: AsyncStream<Void>
    private let removal: AsyncStream<Void>.Continuation

    /// `onLoss` gets the leases that are lost, and must not block.
    init(onLoss: @escaping @Sendable ([Lease]) -> Void = { _ in }) {
        self.onLoss = onLoss
        (removals, removal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var all: [Lease] { Array(phases.keys) }

    var phases: [Lease: JobPhase] { state.withLock { $0.held } }

    var count: Int { state.withLock { $0.held.count } }

    func add(_ leases: [Lease]) {
        state.withLock { state in for lease in leases { state.held[lease] = .fetch } }
    }

    /// Says how far these are now; those that are not held are none of our business.
    func move(_ leases: [Lease], to phase: JobPhase) {
        state.withLock { state in for lease in leases where state.held[lease] != nil { state.held[lease] = phase } }
    }

    func remove(_ leases: [Lease]) {
        state.withLock { state in
            for lease in leases { state.held[lease] = nil }
            state.lost.subtract(leases)
        }
        removal.yield()
    }

    /// Takes note that these are gone; those that were news. What is being recorded may be gone because it is recorded, and else
    /// the record finds out.
    @discardableResult
    func lose(_ leases: [Lease]) -> [Lease] {
        let lost = state.withLock { state in
            let lost = leases.filter { state.held[$0] != nil && state.held[$0] != .record }
            state.lost.formUnion(lost)
            return lost
        }
        if !lost.isEmpty { onLoss(lost) }
        return lost
    }

    func isLost(_ lease: Lease) -> Bool { state.withLock { $0.lost.contains(lease) } }
}
