import Synchronization

/// The fetches under way, by what may end them early: a host that is parked, a lease that is lost.
final class Fetches<Key: Hashable & Sendable>: Sendable {
    private struct State {
        var cancels: [Key: [Int: @Sendable () -> Void]] = [:]
        var lastID = 0
    }

    private let state = Mutex(State())

    /// Runs `work`, which `cancel` of this key cancels, as the end of the calling task does.
    func run<R: Sendable>(_ key: Key, _ work: @escaping @Sendable () async -> R) async -> R {
        // Known before it does anything: whoever cancels because of what it does waits for the lock.
        let (task, id) = state.withLock { state in
            let task = Task { await work() }
            state.lastID += 1
            state.cancels[key, default: [:]][state.lastID] = { task.cancel() }
            return (task, state.lastID)
        }
        defer { remove(id, key) }
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Gives up all fetches of a key.
    func cancel(_ key: Key) {
        let cancels = state.withLock { $0.cancels[key] ?? [:] }
        for cancel in cancels.values { cancel() }
    }

    private func remove(_ id: Int, _ key: Key) {
        state.withLock { state in
            state.cancels[key]?[id] = nil
            if state.cancels[key]?.isEmpty == true { state.cancels[key] = nil }
        }
    }
}
