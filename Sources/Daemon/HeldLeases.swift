import Queue
import Synchronization

/// The leases that this daemon holds now, and which of them the store has taken back.
final class HeldLeases: Sendable {
    private struct State {
        var held: Set<Lease> = []
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

    var all: [Lease] { state.withLock { Array($0.held) } }

    var count: Int { state.withLock { $0.held.count } }

    func add(_ leases: [Lease]) { state.withLock { $0.held.formUnion(leases) } }

    func remove(_ leases: [Lease]) {
        state.withLock {
            $0.held.subtract(leases)
            $0.lost.subtract(leases)
        }
        removal.yield()
    }

    func lose(_ leases: [Lease]) {
        let lost = state.withLock { state in
            let lost = state.held.intersection(leases)
            state.lost.formUnion(lost)
            return lost
        }
        if !lost.isEmpty { onLoss(Array(lost)) }
    }

    func isLost(_ lease: Lease) -> Bool { state.withLock { $0.lost.contains(lease) } }
}
