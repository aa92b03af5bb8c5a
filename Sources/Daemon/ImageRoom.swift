import Synchronization

/// Bounds what is held at a time, images or bytes: who needs some waits here, in order, until there is room for all of it. Who needs
/// more than there is room at all waits until it is alone.
final class ImageRoom: Sendable {
    private struct Waiter {
        let id: Int
        let count: Int
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var used = 0
        var line: [Waiter] = []
        var lastID = 0

        func fits(_ count: Int, limit: Int) -> Bool { used == 0 || used + count <= limit }
    }

    private let limit: @Sendable () -> Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = { limit } }

    /// A limit that changes.
    init(limit: @escaping @Sendable () -> Int) { self.limit = limit }

    /// Waits for room for `count` images. False, and nothing taken, if the task is cancelled first.
    func enter(_ count: Int) async -> Bool {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { line(Waiter(id: id, count: count, continuation: $0)) }
        } onCancel: {
            let waiter = state.withLock { state in
                state.line.firstIndex { $0.id == id }.map { state.line.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: false)
            admit()
        }
    }

    /// Gives room back.
    func leave(_ count: Int) {
        state.withLock { $0.used -= count }
        admit()
    }

    private func line(_ waiter: Waiter) {
        // A cancellation from here on finds the waiter in line: it needs the same lock.
        let isCancelled = state.withLock { state in
            if !Task.isCancelled { state.line.append(waiter) }
            return Task.isCancelled
        }
        isCancelled ? waiter.continuation.resume(returning: false) : admit()
    }

    private func admit() {
        let admitted = state.withLock { state in
            var admitted: [Waiter] = []
            while let first = state.line.first, state.fits(first.count, limit: limit()) {
                state.used += first.count
                admitted.append(state.line.removeFirst())
            }
            return admitted
        }
        for waiter in admitted { waiter.continuation.resume(returning: true) }
    }
}
