import Images
import Synchronization

/// What files did to decoders, by their SHA-256: what may happen once by accident is final when it happens again.
final class Offences: Sendable {
    private struct State {
        var counts: [String: Int] = [:]
        /// The oldest first.
        var order: [String] = []
    }

    /// So many files are remembered.
    private static let limit = 1024
    private let state = Mutex(State())

    /// Counts one more; how many there are of this file.
    func add(_ file: String) -> Int {
        state.withLock { state in
            if state.counts[file] == nil { state.order.append(file) }
            state.counts[file, default: 0] += 1
            if state.order.count > Self.limit { state.counts[state.order.removeFirst()] = nil }
            return state.counts[file] ?? 1
        }
    }
}
