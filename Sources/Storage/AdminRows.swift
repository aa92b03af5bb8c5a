import Queue

// What the views for people give, field by field. Times are ISO 8601 texts of the database's clock.

/// A row of `gloss.depth`: how many jobs of a task and model are in which state.
public struct DepthRow: Sendable, Codable, Equatable {
    /// The task.
    public var task: String
    /// The model that the jobs ask for; nil is any.
    public var model: String?
    /// Not started: due, delayed or paused.
    public var waiting: Int
    /// Held by a worker.
    public var running: Int
    /// Finished with a result.
    public var done: Int
    /// Given up or cancelled.
    public var dead: Int
    /// Whether the task is paused.
    public var paused: Bool
    /// How long the first job that is due has waited since it was enqueued, in seconds.
    public var oldest_seconds: Double?
}

/// A row of `gloss.batch_progress`.
public struct BatchRow: Sendable, Codable, Equatable {
    /// The batch's name.
    public var batch: String
    /// Jobs ever enqueued.
    public var total: Int
    /// Finished with a result.
    public var done: Int
    /// Given up or cancelled.
    public var dead: Int
    /// Neither done nor dead.
    public var left: Int
    /// Done, in percent; nil for a batch that has no job: its only ones were duplicates, or are forgotten.
    public var percent: Double?
    /// Whether the batch is paused.
    public var paused: Bool
    /// Finished per second, over the last 15 minutes.
    public var rate: Double?
    /// Seconds until the end at that rate.
    public var eta_seconds: Double?
    /// When it was first named.
    public var created_at: String
}

/// A row of `gloss.worker`.
public struct WorkerRow: Sendable, Codable, Equatable {
    /// The worker's number.
    public var worker: Int64
    /// The machine.
    public var host: String
    /// The process.
    public var pid: Int
    /// The version of gloss.
    public var version: String
    /// The models it serves.
    public var models: [String]
    /// When it registered.
    public var started_at: String
    /// How long it has been silent, in seconds.
    public var silent_seconds: Double
    /// The jobs it holds.
    public var running: Int
    /// Whether it is alive: neither stopped nor silent for 15 seconds.
    public var alive: Bool
    /// Why it claims no jobs; nil: it does.
    public var holdup: String?
}

/// A row of `gloss.stage`: one stage of all workers that are alive, since each of them started.
public struct StageRow: Sendable, Codable, Equatable {
    /// `claim`, `fetch`, `decode`, `vision`, `prefill`, `extend`, `parse` or `record`; `idle` is a model with nothing to do.
    public var stage: String
    /// Workers that said something of it.
    public var workers: Int
    /// Seconds spent; those of fetch and decode add up over what runs side by side.
    public var seconds: Double
    /// What they were spent on: statements, images, prefixes, steps, jobs.
    public var units: Int
    /// Tokens computed by prefill and extend.
    public var rows: Int
}

/// A row of `gloss.host`: a host whose images are not fetched for now.
public struct HostRow: Sendable, Codable, Equatable {
    /// The host's name.
    public var host: String
    /// When it is tried again; `infinity` if a person has paused it.
    public var parked_until: String
    /// Seconds until then; nil if a person has paused it.
    public var seconds_left: Double?
    /// Why.
    public var reason: String
}

/// A row of `gloss.error_frequency`.
public struct ErrorRow: Sendable, Codable, Equatable {
    /// The task.
    public var task: String
    /// The error's code.
    public var code: String
    /// How many of the last 10 000 failed attempts.
    public var count: Int
    /// The last time.
    public var last_at: String
    /// What it said then.
    public var example: String
    /// The job to which it happened then.
    public var job_id: Int64
}

/// A row of `gloss.job_state`: one job.
public struct JobRow: Sendable, Codable, Equatable {
    /// The job.
    public var job_id: Int64
    /// The task.
    public var task: String
    /// The user's name for it.
    public var key: String?
    /// Its batch.
    public var batch: String?
    /// `ready`, `scheduled`, `paused`, `leased`, `done`, `dead` or `pruned`.
    public var state: String
    /// Failed attempts so far.
    public var attempts: Int
    /// Failed attempts allowed.
    public var max_attempts: Int
    /// Its priority; lower is earlier.
    public var priority: Int
    /// When it was enqueued.
    public var created_at: String
    /// When it came into its state, or, if scheduled, when it will be due.
    public var at: String?
    /// Why it is dead, or what its last attempt said.
    public var reason: String?
    /// Its first image.
    public var image_url: String?
}

/// A row of `gloss.attempt`: an attempt that did not end in a result.
public struct AttemptRow: Sendable, Codable, Equatable {
    /// When it ended.
    public var at: String
    /// The attempt's number.
    public var attempt: Int
    /// `failed`, `released`, `rescued` or `cancelled`.
    public var outcome: String
    /// The error's code.
    public var code: String?
    /// What happened.
    public var reason: String?
    /// The worker that had it.
    public var worker: Int64?
}

/// All about one job.
public struct JobDetail: Sendable, Equatable {
    /// Its state.
    public var job: JobRow
    /// All its images.
    public var imageURLs: [String]
    /// Its spec as JSON: style, language, texts, settings.
    public var specJSON: String
    /// Why it is where it is, line by line.
    public var explanation: [String]
    /// Attempts without a result, oldest first.
    public var attempts: [AttemptRow]
}
