import Annotation

/// A run of a daemon: a restart is another worker.
public struct WorkerID: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The number as PostgreSQL stores it.
    public let number: Int64
    /// A random UUID that the daemon chose. After a restore the database may give a number out again; the identity
    /// tells who is who.
    public let identity: String

    public init(number: Int64, identity: String) {
        self.number = number
        self.identity = identity
    }

    /// The bare number.
    public var description: String { String(number) }
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
    /// The digests of the adapters among them, by name.
    public var adapters: [String: String]
    /// The tasks that it knows; it gets no others.
    public var tasks: [TaskName]
    /// After so long without a heartbeat others take its jobs.
    public var rescueAfter: Duration

    /// A daemon's description; by default it knows all tasks of this version.
    public init(
        host: String, pid: Int32, version: String, models: [String], adapters: [String: String] = [:],
        tasks: [TaskName] = TaskName.allCases, rescueAfter: Duration = .seconds(15)
    ) {
        self.host = host
        self.pid = pid
        self.version = version
        self.models = models
        self.adapters = adapters
        self.tasks = tasks
        self.rescueAfter = rescueAfter
    }
}

/// How far a job is that a daemon holds.
public enum JobPhase: String, Hashable, Sendable, Codable {
    /// Its images are being fetched and decoded, or wait for room.
    case fetch
    /// It is with the engine.
    case compute
    /// Its outcome is on the way to the store.
    case record
}

/// What a daemon says with each heartbeat.
public struct Heartbeat: Hashable, Sendable {
    /// The leases that it holds, and how far each job is.
    public var leases: [Lease: JobPhase]
    /// What it has done since it started, by stage; none leaves what was said before.
    public var stages: [String: StageTotals]
    /// Why it claims nothing at the moment, as the end of a sentence; nil: it claims.
    public var holdup: String?
    /// The hosts that asked for patience since the last heartbeat.
    public var cuts: [HostCut] = []

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
    /// What hosts that asked for patience allow to all workers together, as far as that is news.
    public var allowances: [HostAllowance] = []

    public init(isRegistered: Bool, lostLeases: [Lease] = [], workerCount: Int = 1) {
        self.isRegistered = isRegistered
        self.lostLeases = lostLeases
        self.workerCount = workerCount
    }
}

/// A host asked for patience: what it allows is halved, unless another worker said so first.
public struct HostCut: Hashable, Sendable, Codable {
    /// What requests are counted by, such as an origin.
    public var line: String
    /// How often it had been halved, as far as was known when the request started.
    public var cuts: Int
    /// The most requests at a time before it was halved at all.
    public var places: Int

    public init(line: String, cuts: Int, places: Int) {
        self.line = line
        self.cuts = cuts
        self.places = places
    }
}

/// What a host that asked for patience allows to all workers together.
public struct HostAllowance: Hashable, Sendable, Codable {
    /// As ``HostCut/line``.
    public var line: String
    /// How often it was halved.
    public var cuts: Int
    /// The most requests at a time, right after the last time. There is one more each ten seconds.
    public var places: Int
    /// Seconds since then.
    public var age: Double

    public init(line: String, cuts: Int, places: Int, age: Double) {
        self.line = line
        self.cuts = cuts
        self.places = places
        self.age = age
    }
}

/// What a rescue did.
public struct RescueReport: Hashable, Sendable {
    /// Workers that were silent for too long.
    public var lostWorkerCount: Int
    /// Jobs that went back to the queue.
    public var rescuedCount: Int
    /// Jobs that were quarantined: the third daemon died while its engine worked on them.
    public var poisonedCount: Int

    public init(lostWorkerCount: Int = 0, rescuedCount: Int = 0, poisonedCount: Int = 0) {
        self.lostWorkerCount = lostWorkerCount
        self.rescuedCount = rescuedCount
        self.poisonedCount = poisonedCount
    }
}

/// What work costs on this machine, in seconds.
public struct WorkWeights: Hashable, Sendable, Codable {
    /// Of an image through the vision tower.
    public var image: Double
    /// Of a prefix through the language model.
    public var prefill: Double
    /// Of a decoded token.
    public var token: Double
    /// By task, the share of a job's tokens that is really decoded, 0...1; 1 for a task that is missing.
    public var tasks: [String: Double]

    public init(image: Double = 0, prefill: Double = 0, token: Double = 0, tasks: [String: Double] = [:]) {
        self.image = image
        self.prefill = prefill
        self.token = token
        self.tasks = tasks
    }

    /// Seconds that a job's work takes.
    public func seconds(_ work: JobWork, of task: TaskName) -> Double {
        Double(work.images) * image + Double(work.prefills) * prefill
            + Double(work.tokens) * token * (tasks[task.rawValue] ?? 1)
    }
}

/// How much a claim may take. The first job is taken whatever it costs.
public struct ClaimBudget: Hashable, Sendable {
    /// Jobs.
    public var jobs: Int
    /// Bytes of the jobs' image URLs.
    public var bytes: Int
    /// Seconds of work, by `weights`.
    public var seconds: Double
    /// What work costs.
    public var weights: WorkWeights

    /// A budget; by default only the number of jobs counts.
    public init(jobs: Int, bytes: Int = 8 << 20, seconds: Double = .infinity, weights: WorkWeights = WorkWeights()) {
        self.jobs = jobs
        self.bytes = bytes
        self.seconds = seconds
        self.weights = weights
    }
}

/// Where jobs come from and results go. PostgreSQL for real, memory for the tests of what lies above.
///
/// Every method may be repeated after an error that is worth a retry.
public protocol JobStore: Sendable {
    /// Makes this daemon known; the worker goes with all further calls.
    func register(_ worker: WorkerDescription) async throws -> WorkerID

    /// Leases jobs that are due, in order of priority and age, as far as the budget goes. Empty when there is nothing
    /// to do, when the queue is paused, or when the worker is not registered any more (the next heartbeat says so).
    func claim(_ budget: ClaimBudget, by worker: WorkerID) async throws -> [ClaimedJob]

    /// Says that the engine begins these jobs: should the daemon die from now on, they are suspects.
    func begin(_ leases: [Lease], by worker: WorkerID) async throws

    /// Says that the worker lives, and what it does.
    func heartbeat(_ worker: WorkerID, _ heartbeat: Heartbeat) async throws -> HeartbeatReply

    /// Keeps a finished view, so that a crash does not repeat it.
    /// - Returns: whether the lease still holds; if not, nothing was written.
    func checkpoint(_ view: ViewResponses, under lease: Lease, by worker: WorkerID) async throws -> Bool

    /// Ends leases. Each report is written whole or not at all, and at most once.
    /// - Returns: one receipt per report, in the same order.
    func record(_ reports: [JobReport], by worker: WorkerID) async throws -> [Receipt]

    /// Takes back the jobs of workers that have been silent for longer than they said when they registered.
    func rescue() async throws -> RescueReport

    /// Gives back the leases of this worker that are not among `leases`. After a claim that failed, they may be those
    /// of an answer that never arrived; no other claim of this worker may be under way.
    /// - Returns: how many.
    func releaseUnheld(_ worker: WorkerID, holding leases: [Lease]) async throws -> Int

    /// Says goodbye; jobs still held go back without burning an attempt.
    func deregister(_ worker: WorkerID) async throws

    /// Gives out no job with an image of `origin` (`scheme://host[:port]`) for a while, on any worker.
    func park(origin: String, for pause: Duration, reason: String) async throws

    /// Returns when there may be work, or after `timeout`, whichever comes first.
    func waitForWork(timeout: Duration) async throws
}
