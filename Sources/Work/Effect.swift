import Annotation
import Queue

/// What to do next: the only output of ``WorkState``. Whoever carries an effect out feeds the answer back as an ``Event``, however
/// late, and decides nothing.
public enum Effect: Sendable {
    // Statements. Each is answered by its event or by `storeFailed`.

    case register
    case claim(ClaimBudget, by: WorkerID)
    /// Give back the leases that a lost answer may have made.
    case releaseUnheld(holding: [Lease], by: WorkerID)
    /// Answered by `wokenUp` when there may be work, or after this time.
    case waitForWork(Duration)
    case begin([Lease], by: WorkerID)
    case checkpoint(ViewResponses, Lease, by: WorkerID)
    case record([JobReport], by: WorkerID)
    case heartbeat(Heartbeat, by: WorkerID)
    case rescue
    case park(origin: String, pause: Duration, reason: String)
    case deregister(WorkerID)

    // Files and images. `fetch` and `decode` are answered by one event each, which ends them.

    /// Fetch a URL.
    case fetch(FileID, url: String)
    /// Give up a fetch.
    case cancelFetch(FileID)
    /// Forget the file: no image wants it any more.
    case discardFile(FileID)
    /// Have a decoder read the header of a fetched file, say `imageMeasured`, and wait. The colour is that under transparent pixels.
    case decode(ImageID, of: FileID, background: UInt32?, drawnBox: Box?)
    /// There is memory: the decoder goes on.
    case proceed(ImageID)
    /// The image is not wanted any more: the decoder gives it up.
    case refuse(ImageID)
    /// Forget the pixels.
    case discard(ImageID)
    /// Fetches follow no redirect to this origin for so long.
    case avoid(String, for: Duration)
    /// They do again.
    case allow(String)
    /// From now on so many daemons share what a host allows.
    case share(among: Int)

    // The engine.

    case submit([EngineQuery])
    case cancelQueries([Int])
    /// This holder asks no more about its images.
    case letGo(Int64)
    /// Answered by `waiting`.
    case askWaiting

    // The process.

    /// Answered by `memory`.
    case measureMemory
    /// The one timer: what was set before is off. Answered by `timer`.
    case setTimer(Instant)
    /// What the daemon says of itself has changed.
    case status(WorkStatus)
    /// For the log and the metrics.
    case note(Note)
    /// The end. No effect follows.
    case stop(StopReason)
}

/// A query for the engine.
public struct EngineQuery: Hashable, Sendable {
    /// Its number, used once.
    public var id: Int
    /// Its images, in order.
    public var images: [ImageID]
    /// The prompt, without newline.
    public var prompt: String
    /// How to answer.
    public var settings: DecodeSettings
    /// Responses to score instead of drawing any; empty: responses are drawn.
    public var options: [String]
    /// Lower is earlier: twice its job's, and 1 less where the job asks on.
    public var priority: Int
    /// The name of the adapter that its job asks for; nil: the model alone answers.
    public var adapter: String?
    /// Who will ask about these images again, by its lease's fence: the engine keeps them until `letGo`. Nil: nobody.
    public var holder: Int64?
}

/// Why the work ended.
public enum StopReason: Hashable, Sendable {
    /// It was told to stop.
    case asTold
    /// The database refuses for good.
    case refused(String)
}

/// What a daemon is at, and what keeps it from working.
public struct WorkStatus: Hashable, Sendable {
    /// What it is at.
    public enum Phase: Hashable, Sendable {
        case registering, working, draining, stopped
    }

    /// What it is at.
    public var phase = Phase.registering
    /// The statements that fail and are tried again, with what the database says.
    public var failing: [Statement: String] = [:]
    /// Why it claims nothing, as the end of a sentence.
    public var holdup: String?

    /// A daemon that registers.
    public init() {}
}

/// What is worth a line in the log or a count in the metrics.
public enum Note: Sendable {
    case registered(WorkerID, isAgain: Bool)
    case claimed(Int)
    case ended(JobReport, Receipt)
    /// These leases are gone: cancelled, or another daemon's.
    case lost([Lease])
    /// A claim whose answer was lost had leased so many jobs.
    case gaveBack(count: Int)
    /// Results that could not be recorded before the end; the jobs run again.
    case unrecorded([Lease])
    case checkpointFailed(JobID, view: Int, String)
    case storeFailed(Statement, StoreProblem)
    case rescued(RescueReport)
    case parked(origin: String, pause: Duration, reason: String)
    /// Somebody has taken up an origin again that was parked here.
    case takenUp(origin: String)
    case heldUp(String)
    case resumed
    case answered(tokens: Int)
}
