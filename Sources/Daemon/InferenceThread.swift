import Dispatch
import Foundation
import Synchronization

/// The one thread that computes: blocking, and away from the cooperative pool.
final class InferenceThread: Sendable {
    private let queue = DispatchQueue(label: "gloss.inference", qos: .userInitiated)
    private let startedAt = Mutex<ContinuousClock.Instant?>(nil)

    /// Runs `work` after what was handed in before.
    func run<R: Sendable>(_ work: @escaping @Sendable () -> R) async -> R {
        await withCheckedContinuation { continuation in
            queue.async {
                self.startedAt.withLock { $0 = .now }
                let result = work()
                self.startedAt.withLock { $0 = nil }
                continuation.resume(returning: result)
            }
        }
    }

    /// How long the present piece of work has been running.
    var busyFor: Duration { startedAt.withLock { $0.map { .now - $0 } ?? .zero } }
}
