import Synchronization

/// Whether everything moves: the threads, which turn every second even without work, and the calls under way, which all end.
final class Watchdog: Sendable {
    /// A thread, and a number that grows as long as it turns.
    typealias Thread = (name: String, turns: @Sendable () -> Int)

    private struct State {
        /// The calls under way, by their number.
        var calls: [Int: String] = [:]
        var lastCall = 0
        var seen: [String: Int] = [:]
    }

    private let threads: [Thread]
    private let state = Mutex(State())

    init(threads: [Thread]) { self.threads = threads }

    /// Says that a call begins which may take seconds; its number, for its end.
    func began(_ name: String) -> Int {
        state.withLock { state in
            state.lastCall += 1
            state.calls[state.lastCall] = name
            return state.lastCall
        }
    }

    func ended(_ call: Int) { state.withLock { _ = $0.calls.removeValue(forKey: call) } }

    /// The names of what has not moved since this last was empty. Of the calls the oldest is looked at: one that hangs becomes it.
    func standing() -> [String] {
        var now = Dictionary(uniqueKeysWithValues: threads.map { ($0.name, $0.turns()) })
        return state.withLock { state in
            if let oldest = state.calls.min(by: { $0.key < $1.key }) { now[oldest.value] = oldest.key }
            let standing = now.filter { state.seen[$0.key] == $0.value }.keys.sorted()
            if standing.isEmpty { state.seen = now }
            return standing
        }
    }
}
