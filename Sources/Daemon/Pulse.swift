import Images
import Logging
import Queue
import ServiceLifecycle
import Storage
import Synchronization

/// This daemon's registration. A daemon that was taken for dead registers again, as another worker.
final class Incarnation: Sendable {
    private let current: Mutex<WorkerID>

    init(_ worker: WorkerID) { current = Mutex(worker) }

    var worker: WorkerID {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}

/// For how long a heart has beaten without a pause. A database that stands still makes nothing fail, but all hearts pause. No I/O.
struct Rhythm {
    let longestPause: Duration
    private var steadySince: ContinuousClock.Instant?
    private var lastBeat: ContinuousClock.Instant?

    init(longestPause: Duration) { self.longestPause = longestPause }

    /// Counts a beat; for how long the rhythm has been steady.
    mutating func beat(at now: ContinuousClock.Instant = .now) -> Duration {
        if let lastBeat, now - lastBeat > longestPause { steadySince = nil }
        lastBeat = now
        let since = steadySince ?? now
        steadySince = since
        return now - since
    }

    /// A beat failed.
    mutating func miss() { steadySince = nil }
}

/// The daemon's heartbeat: says that it lives, learns which leases it lost, takes back the jobs of daemons that died, and pings
/// systemd's watchdog as long as everything moves.
struct Pulse: Service {
    let store: any JobStore
    let incarnation: Incarnation
    let description: WorkerDescription
    let leases: HeldLeases
    /// Fetches from each host what is this daemon's share.
    let fetcher: ImageFetcher
    let watchdog: Watchdog
    let metrics: Metrics
    let drain: Drain
    let interval: Duration
    let rescueAfter: Duration
    let logger: Logger

    /// Standing still for longer is worth a line. One product, statement or image takes seconds at the most.
    private static let patience = Duration.seconds(30)

    func run() async throws {
        // Rescuing is only for one whose own heart has beaten for a while: after an outage of the database every daemon has been silent.
        var rhythm = Rhythm(longestPause: rescueAfter / 2)
        var movedAt = ContinuousClock.now
        while !Task.isShuttingDownGracefully && !Task.isCancelled {
            do {
                try await beat()
                metrics.condition.succeeded(.heartbeat)
                if rhythm.beat() > rescueAfter { try await rescue() }
            } catch let error as StorageError {
                guard error.disposition != .fatal else { throw error }
                rhythm.miss()
                metrics.databaseFailed(.heartbeat, error)
                logger.warning("no heartbeat", metadata: ["error": "\(error)"])
            }
            ping(&movedAt)
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
        }
    }

    /// A ping says that everything has moved since the last one, so that WatchdogSec= is how long something may stand still.
    private func ping(_ movedAt: inout ContinuousClock.Instant) {
        let standing = watchdog.standing()
        if standing.isEmpty {
            movedAt = .now
            return Systemd.notify("WATCHDOG=1", status: metrics.statusLine)
        }
        guard .now - movedAt > Self.patience else { return Systemd.notify(status: metrics.statusLine) }
        let names = standing.joined(separator: ", ")
        Systemd.notify(status: "standing still: \(names); \(metrics.statusLine)")
        logger.error("standing still; systemd's watchdog is not pinged", metadata: ["what": "\(names)"])
    }

    private func beat() async throws {
        let holdup =
            drain.hasBegun ? "it was told to stop, and finishes what it has begun" : metrics.condition.holdup?.reason
        let sign = SignOfLife(holding: leases.phases, stages: metrics.stages, holdup: holdup)
        let reply = try await store.heartbeat(incarnation.worker, sign)
        fetcher.share(among: reply.workerCount)
        let lost = leases.lose(reply.lostLeases)
        if !lost.isEmpty {
            logger.warning(
                "leases lost: cancelled, or taken by another daemon", metadata: ["jobs": "\(lost.map(\.job))"])
        }
        if !reply.isRegistered {
            let held = leases.all
            leases.lose(held)
            incarnation.worker = try await store.register(description)
            logger.warning(
                "this daemon was taken for dead and registered again",
                metadata: ["worker": "\(incarnation.worker)", "lost": "\(held.count)"])
        }
    }

    private func rescue() async throws {
        let report = try await store.rescue(silentFor: rescueAfter)
        guard report.lostWorkerCount + report.rescuedCount + report.poisonedCount > 0 else { return }
        metrics.rescued(report.rescuedCount, poisoned: report.poisonedCount)
        logger.notice(
            "took back the jobs of silent daemons",
            metadata: [
                "daemons": "\(report.lostWorkerCount)", "jobs": "\(report.rescuedCount)",
                "poisoned": "\(report.poisonedCount)",
            ])
    }
}
