import Storage
import Synchronization

/// What the daemon is at, and what keeps it from working: for `systemctl status`, /healthz, /metrics and gloss.worker. No I/O.
final class Condition: Sendable {
    enum Phase { case loading, registering, working, draining }

    /// What is said to the database again and again until it succeeds.
    enum Statement: Int { case register, heartbeat, claim, record }

    /// Why no jobs are claimed.
    struct Holdup {
        let reason: String
        let until: ContinuousClock.Instant
        /// Bytes that must be free; nil: it is not for want of memory.
        let memory: Int?

        var left: Duration { until - .now }
    }

    private struct State {
        var phase = Phase.loading
        var failures: [Statement: String] = [:]
        var holdup: Holdup?
    }

    private let state = Mutex(State())

    var phase: Phase {
        get { state.withLock { $0.phase } }
        set { state.withLock { $0.phase = newValue } }
    }

    func failed(_ statement: Statement, _ error: StorageError) {
        state.withLock { $0.failures[statement] = "\(error)" }
    }

    func succeeded(_ statement: Statement) { state.withLock { $0.failures[statement] = nil } }

    var isDatabaseUp: Bool { state.withLock { $0.failures.isEmpty } }

    /// Says that this machine can't fetch or decode: no jobs are claimed for `pause`, until an image arrives, or until so much memory
    /// is free.
    func holdUp(_ reason: String, for pause: Duration = .seconds(30), memory: Int? = nil) {
        state.withLock { $0.holdup = Holdup(reason: reason, until: .now + pause, memory: memory) }
    }

    func resume() { state.withLock { $0.holdup = nil } }

    /// Nil: jobs are claimed.
    var holdup: Holdup? { state.withLock { $0.holdup.flatMap { $0.until > .now ? $0 : nil } } }

    /// What stands at `status` in /healthz; `ok` when it works.
    var word: String {
        switch phase {
        case .draining: return "draining"
        case .loading: return "loading the model"
        case .registering: return isDatabaseUp ? "registering" : "waiting for the database"
        case .working:
            if !isDatabaseUp { return "waiting for the database" }
            return holdup == nil ? "ok" : "held up"
        }
    }

    /// The same with its reason, for a person; nil when it works.
    var sentence: String? {
        switch phase {
        case .draining: "finishing what is being computed"
        case .working where isDatabaseUp: holdup.map { "claiming nothing: \($0.reason)" }
        default: failure.map { "\(word): \($0)" } ?? word
        }
    }

    private var failure: String? {
        state.withLock { state in state.failures.min { $0.key.rawValue < $1.key.rawValue }?.value }
    }
}
