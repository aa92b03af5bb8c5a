/// The number of a daemon's incarnation: a restart is another worker.
public struct WorkerID: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The number as PostgreSQL stores it.
    public let rawValue: Int64

    /// Wraps a number read from the database.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// The bare number.
    public var description: String { String(rawValue) }
}

/// What a daemon says of itself when it registers.
public struct WorkerDescription: Hashable, Sendable {
    /// The machine's name.
    public var host: String
    /// The process.
    public var pid: Int32
    /// The version of gloss.
    public var version: String
    /// The names and digests by which a job may ask for the model that this daemon runs.
    public var models: [String]
    /// The tasks it takes; empty is all.
    public var tasks: [AnnotationTask]

    /// A daemon's description.
    public init(host: String, pid: Int32, version: String, models: [String], tasks: [AnnotationTask] = []) {
        self.host = host
        self.pid = pid
        self.version = version
        self.models = models
        self.tasks = tasks
    }
}

/// How far a job is that a daemon holds.
public enum JobPhase: String, Hashable, Sendable, Codable {
    /// Its images are being fetched and decoded, or wait for room.
    case fetch
    /// It is with the model.
    case compute
    /// Its outcome is on the way to the store.
    case record
}

/// What a daemon says with each heartbeat.
public struct SignOfLife: Hashable, Sendable {
    /// The leases that it holds, and how far each job is.
    public var leases: [Lease: JobPhase]
    /// What it has done since it started, by stage; none leaves what was said before.
    public var stages: [String: StageTotals]
    /// Why it claims nothing at the moment, as the end of a sentence; nil: it claims.
    public var holdup: String?

    /// A sign of life.
    public init(
        holding leases: [Lease: JobPhase] = [:], stages: [String: StageTotals] = [:], holdup: String? = nil
    ) {
        self.leases = leases
        self.stages = stages
        self.holdup = holdup
    }
}

/// What the store answers to a heartbeat.
public struct HeartbeatReply: Hashable, Sendable {
    /// False when the worker was taken for dead: its leases are gone and it must register again.
    public var isRegistered: Bool
    /// Of the leases said to be held, those that are no longer this worker's (rescued or cancelled). Drop their work.
    public var lostLeases: [Lease]
    /// The workers that live. What is allowed to all of them together, each may use a share of.
    public var workerCount: Int

    /// An answer.
    public init(isRegistered: Bool, lostLeases: [Lease] = [], workerCount: Int = 1) {
        self.isRegistered = isRegistered
        self.lostLeases = lostLeases
        self.workerCount = workerCount
    }
}

/// What a rescue did.
public struct RescueReport: Hashable, Sendable {
    /// Workers that were silent for too long.
    public var lostWorkerCount: Int
    /// Jobs that went back to the queue.
    public var rescuedCount: Int
    /// Jobs that were quarantined: the third daemon in a row died with them.
    public var poisonedCount: Int

    /// A report.
    public init(lostWorkerCount: Int = 0, rescuedCount: Int = 0, poisonedCount: Int = 0) {
        self.lostWorkerCount = lostWorkerCount
        self.rescuedCount = rescuedCount
        self.poisonedCount = poisonedCount
    }
}

/// Where jobs come from and results go. PostgreSQL for real, memory for the tests of what lies above.
///
/// Every method may be repeated after an error that is worth a retry.
public protocol JobStore: Sendable {
    /// Makes this daemon known; the number goes with all further calls.
    func register(_ worker: WorkerDescription) async throws -> WorkerID

    /// Leases up to `limit` jobs that are due, in order of priority and age. Empty when there is nothing to do, when
    /// the queue is paused, or when the worker is not registered any more (the next heartbeat says so).
    func claim(limit: Int, by worker: WorkerID) async throws -> [ClaimedJob]

    /// Says that the worker lives, and what it does.
    func heartbeat(_ worker: WorkerID, _ sign: SignOfLife) async throws -> HeartbeatReply

    /// Keeps a finished view of a multiview job, so that a crash does not repeat it.
    /// - Returns: whether the lease still holds; if not, nothing was written.
    func checkpoint(_ view: ViewResponses, under lease: Lease) async throws -> Bool

    /// Ends leases. Each report is written whole or not at all, and at most once.
    /// - Returns: one receipt per report, in the same order.
    func record(_ reports: [JobReport]) async throws -> [Receipt]

    /// Takes back the jobs of workers that have been silent for longer than `silence`.
    func rescue(silentFor silence: Duration) async throws -> RescueReport

    /// Gives back the leases of this worker that are not among `leases`. After a claim that failed, they may be those of an answer
    /// that never arrived; no other claim of this worker may be under way.
    /// - Returns: how many.
    func releaseUnheld(_ worker: WorkerID, holding leases: [Lease]) async throws -> Int

    /// Says goodbye; jobs still held go back without burning an attempt.
    func deregister(_ worker: WorkerID) async throws

    /// Gives out no job of `host` for a while, on any worker.
    func park(host: String, for pause: Duration, reason: String) async throws

    /// Returns when there may be work, or after `timeout`, whichever comes first.
    func waitForWork(timeout: Duration) async throws
}
