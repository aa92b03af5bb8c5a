import Synchronization

/// The fetches under way, by host: when a host is parked, those that still wait for it are given up, so that their jobs make room.
final class HostFetches: Sendable {
    private struct State {
        var cancels: [String: [Int: @Sendable () -> Void]] = [:]
        var lastID = 0
    }

    private let state = Mutex(State())

    /// Runs `work`, which `cancel` of this host cancels, as the end of the calling task does.
    func run<R: Sendable>(_ host: String, _ work: @escaping @Sendable () async -> R) async -> R {
        let task = Task { await work() }
        let id = state.withLock { state in
            state.lastID += 1
            state.cancels[host, default: [:]][state.lastID] = { task.cancel() }
            return state.lastID
        }
        defer { remove(id, host) }
        return await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
    }

    /// Gives up all fetches of a host.
    func cancel(_ host: String) {
        let cancels = state.withLock { $0.cancels[host] ?? [:] }
        for cancel in cancels.values { cancel() }
    }

    private func remove(_ id: Int, _ host: String) {
        state.withLock { state in
            state.cancels[host]?[id] = nil
            if state.cancels[host]?.isEmpty == true { state.cancels[host] = nil }
        }
    }
}
