import Annotation
import Queue

/// When, how often and for whom a job runs; the same for every task.
public struct EnqueueOptions: Sendable, Equatable {
    /// The user's own name of the job; nil is none.
    public var key: String?
    /// The batch that the job belongs to.
    public var batch: String?
    /// -100...100; lower is earlier.
    public var priority: Int
    /// The job is not due before this many seconds.
    public var delay: Duration
    /// 1...100.
    public var maxAttempts: Int

    /// Options; the defaults are those of the SQL functions.
    public init(
        key: String? = nil, batch: String? = nil, priority: Int = 0, delay: Duration = .zero, maxAttempts: Int = 5
    ) {
        self.key = key
        self.batch = batch
        self.priority = priority
        self.delay = delay
        self.maxAttempts = maxAttempts
    }
}

/// What an enqueue did.
public struct Enqueued: Sendable, Equatable, Codable {
    /// What became of the call.
    public enum Outcome: String, Sendable, Codable {
        /// There is a new job.
        case inserted
        /// The key already names the same job.
        case duplicate
        /// The key already names another job; nothing was changed.
        case conflict
    }

    /// The job, new or old.
    public var job: JobID
    /// Whether it is new.
    public var outcome: Outcome

    public init(job: JobID, outcome: Outcome) {
        self.job = job
        self.outcome = outcome
    }
}

/// Which jobs, batch or task a command is for.
public enum JobSelection: Sendable, Equatable {
    /// One job.
    case job(JobID)
    /// All jobs of a batch.
    case batch(String)
    /// All jobs of a task.
    case task(TaskName)
    /// All jobs with an image of a host; for `pause` and `resume` only.
    case host(String)
    /// All jobs.
    case everything
}

/// What `prune` deletes: all that is older, as intervals that PostgreSQL reads, such as `90 days`.
public struct Retention: Sendable, Equatable {
    /// Attempts; nil keeps them.
    public var history: String?
    /// Results, with their jobs; nil keeps them.
    public var results: String?
    /// Dead jobs; nil keeps them.
    public var dead: String?
    /// Keys of jobs that were pruned, by the age of the job; nil keeps them.
    public var keys: String?

    public init(history: String? = nil, results: String? = nil, dead: String? = nil, keys: String? = nil) {
        self.history = history
        self.results = results
        self.dead = dead
        self.keys = keys
    }
}

/// What `prune` deleted.
public struct Pruned: Sendable, Codable, Equatable {
    /// Attempts.
    public var attempts = 0
    /// Results.
    public var results = 0
    /// Dead jobs.
    public var dead = 0
    /// Keys of jobs that were pruned.
    public var keys = 0

    public init() {}
}

/// A filter of jobs; nil is any.
public struct JobFilter: Sendable, Equatable {
    /// The state, as in `JobRow.state`.
    public var state: String?
    /// The batch.
    public var batch: String?
    /// The task.
    public var task: TaskName?
    /// The key.
    public var key: String?

    public init(state: String? = nil, batch: String? = nil, task: TaskName? = nil, key: String? = nil) {
        self.state = state
        self.batch = batch
        self.task = task
        self.key = key
    }
}

/// A view of results.
public struct ResultView: RawRepresentable, CaseIterable, Hashable, Sendable {
    /// One row a job of any task, with all that is needed to run it again.
    public static let result = ResultView("result")
    /// One row a thing that a job of any task found.
    public static let found = ResultView("found")
    /// One row a stage of an object.
    public static let multiviewStage = ResultView("multiview_stage")
    /// One row a response whose tokens' log-probabilities were asked for.
    public static let tokenScore = ResultView("token_score")
    /// The views of each task, then those of all tasks.
    public static let allCases =
        TaskName.all.flatMap(\.resultViews).map { ResultView($0) } + [found, tokenScore, result]

    /// Its name in the schema `gloss`.
    public let rawValue: String

    /// A view by its name; nil if there is no such view.
    public init?(rawValue: String) {
        guard let view = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = view
    }

    private init(_ name: String) { rawValue = name }
}

/// What a person does with the queue: each method is one statement, possible in psql as well.
public struct Administration: Sendable {
    let session: Session

    public init(_ settings: ConnectionSettings) { session = Session(settings) }

    public init(session: Session) { self.session = session }

    /// Enqueues one job.
    /// - Throws: `refused` with SQLSTATE 22023 when the spec or the options are no good; the message says why.
    public func enqueue(_ spec: JobSpec, _ options: EnqueueOptions = EnqueueOptions()) async throws -> Enqueued {
        let answer = try await session.transact(
            "select job_id, outcome from gloss.enqueue_json($1::jsonb)",
            [try JSON.encode(WireSubmission(spec, options), replacingNull: false, context: "enqueue")],
            context: "enqueue")
        guard let row = answer.rows.first, row.count == 2, let id = row[0].flatMap({ Int64($0) }),
            let outcome = row[1].flatMap({ Enqueued.Outcome(rawValue: $0) })
        else { throw StorageError.unexpected("enqueue") }
        return Enqueued(job: JobID(rawValue: id), outcome: outcome)
    }

    /// How many jobs are in which state.
    public func depth() async throws -> [DepthRow] {
        try await session.rows(DepthRow.self, "select * from gloss.depth", context: "depth")
    }

    /// Batches, newest first, or one by its name.
    public func batches(named name: String? = nil, limit: Int = 100) async throws -> [BatchRow] {
        try await session.rows(
            BatchRow.self,
            "select * from gloss.batch_progress where $1::text is null or batch = $1 order by created_at desc limit $2::int",
            [SQLValue(name), SQLValue(limit)], context: "batches")
    }

    /// Workers: those alive, or all that ever registered, newest first.
    public func workers(all: Bool = false, limit: Int = 100) async throws -> [WorkerRow] {
        try await session.rows(
            WorkerRow.self, "select * from gloss.worker where alive or $1::bool order by worker desc limit $2::int",
            [SQLValue(all), SQLValue(limit)], context: "workers")
    }

    /// Where the workers' time went: the stages in the order of a job's way, then `idle`.
    public func stages() async throws -> [StageRow] {
        try await session.rows(
            StageRow.self,
            """
            select * from gloss.stage order by array_position(array['claim', 'fetch', 'decode', 'vision', 'prefill', \
            'extend', 'decide', 'record', 'idle'], stage)
            """, context: "stages")
    }

    /// Parked hosts.
    public func hosts() async throws -> [HostRow] {
        try await session.rows(HostRow.self, "select * from gloss.host order by host", context: "hosts")
    }

    /// The most frequent errors.
    public func errors(limit: Int = 20) async throws -> [ErrorRow] {
        try await session.rows(
            ErrorRow.self, "select * from gloss.error_frequency order by count desc limit $1::int", [SQLValue(limit)],
            context: "errors")
    }
}
