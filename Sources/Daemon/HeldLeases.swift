import Queue
import Synchronization

/// The leases that this daemon holds now, and which of them the store has taken back.
final class HeldLeases: Sendable {
    private struct State {
        var held: Set<Lease> = []
        var lost: Set<Lease> = []
    }

    private let state = Mutex(State())

    var all: [Lease] { state.withLock { Array($0.held) } }

    func add(_ leases: [Lease]) { state.withLock { $0.held.formUnion(leases) } }

    func remove(_ leases: [Lease]) {
        state.withLock {
            $0.held.subtract(leases)
            $0.lost.subtract(leases)
        }
    }

    func lose(_ leases: [Lease]) { state.withLock { $0.lost.formUnion($0.held.intersection(leases)) } }

    func isLost(_ lease: Lease) -> Bool { state.withLock { $0.lost.contains(lease) } }
}
