import Synchronization
import Work

/// What the daemon is at, and what keeps it from working: for `systemctl status`, /healthz and /metrics.
final class DaemonStatus: Sendable {
    /// Nil while the model is loaded.
    private let state = Mutex<WorkStatus?>(nil)

    var work: WorkStatus? {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    var isDatabaseUp: Bool { work?.failing.isEmpty ?? true }

    var holdup: String? { work?.holdup }

    /// What stands at `status` in /healthz; `ok` when it works.
    var word: String {
        guard let work else { return "loading the model" }
        switch work.phase {
        case .draining, .stopped: return "draining"
        case .registering: return work.failing.isEmpty ? "registering" : "waiting for the database"
        case .working:
            if !work.failing.isEmpty { return "waiting for the database" }
            return work.holdup == nil ? "ok" : "held up"
        }
    }

    /// The same with its reason, for a person; nil when it works.
    var sentence: String? {
        switch word {
        case "ok": nil
        case "held up": holdup.map { "claiming nothing: \($0)" }
        case "draining": "finishing what is being computed"
        default: failure.map { "\(word): \($0)" } ?? word
        }
    }

    private var failure: String? {
        work?.failing.min { $0.key.rawValue < $1.key.rawValue }?.value
    }
}
