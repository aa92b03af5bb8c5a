import Logging
import ServiceLifecycle
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

/// Pings systemd's watchdog as long as everything moves.
struct WatchdogPing: Service {
    let watchdog: Watchdog
    let metrics: Metrics
    let interval: Duration
    let logger: Logger

    /// Standing still for longer is worth a line. One product, statement or image takes seconds at the most.
    private static let patience = Duration.seconds(30)

    func run() async throws {
        var movedAt = ContinuousClock.now
        while !Task.isShuttingDownGracefully && !Task.isCancelled {
            ping(&movedAt)
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
        }
    }

    /// A ping says that everything has moved since the last one, so that WatchdogSec= is how long something may stand still.
    private func ping(_ movedAt: inout ContinuousClock.Instant) {
        let standing = watchdog.standing()
        if standing.isEmpty {
            movedAt = .now
            return Systemd.notify(["WATCHDOG=1"], status: metrics.statusLine)
        }
        guard .now - movedAt > Self.patience else { return Systemd.notify(status: metrics.statusLine) }
        let names = standing.joined(separator: ", ")
        Systemd.notify(status: "standing still: \(names); \(metrics.statusLine)")
        logger.error("standing still; systemd's watchdog is not pinged", metadata: ["what": "\(names)"])
    }
}
