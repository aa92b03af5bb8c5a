import Annotation

/// The number of a job: `gloss.job.id`. It never changes and is never used twice.
public struct JobID: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number as PostgreSQL stores it.
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// Older jobs come first.
    public static func < (left: JobID, right: JobID) -> Bool { left.rawValue < right.rawValue }

    /// The bare number.
    public var description: String { String(rawValue) }
}

/// A worker's claim on a job. `fence` is new for each claim and only ever grows, so that a worker that lost its
/// lease cannot write: its fence matches nothing any more.
public struct Lease: Hashable, Sendable, Codable {
    /// The job that is leased.
    public let job: JobID
    /// The fencing token of this very claim.
    public let fence: Int64

    public init(job: JobID, fence: Int64) {
        self.job = job
        self.fence = fence
    }
}

/// What a job asks of the engine at most.
public struct JobWork: Hashable, Sendable {
    /// Images through the vision tower.
    public var images: Int
    /// Prefixes through the language model.
    public var prefills: Int
    /// Tokens decoded, if every response reaches its limit; beams and options are responses.
    public var tokens: Int

    public init(images: Int = 0, prefills: Int = 0, tokens: Int = 0) {
        self.images = images
        self.prefills = prefills
        self.tokens = tokens
    }

    /// The work of a spec, all its stages.
    public init(_ spec: JobSpec) {
        self.init(
            spec, images: spec.imageURLs.count, prefills: spec.viewCount * (spec.prompts.count + spec.followUps.count))
    }

    fileprivate init(_ spec: JobSpec, images: Int, prefills: Int) {
        let responses = spec.settings.samples * spec.settings.beams * max(1, spec.options.count)
        self.init(images: images, prefills: prefills, tokens: prefills * responses * spec.settings.maxTokens)
    }
}

/// A job that this worker holds, with all it needs to run it.
public struct ClaimedJob: Sendable, Equatable {
    /// The claim, to be given back with every write.
    public let lease: Lease
    /// The user's own name of the job, on which the results join.
    public let key: String?
    /// The batch to which the job belongs.
    public let batch: String?
    /// Lower is earlier, -100...100.
    public let priority: Int
    /// The number of this attempt, from 1. Rescues and releases do not count.
    public let attempt: Int
    /// A retry after this many attempts becomes a death.
    public let maxAttempts: Int
    /// How often a daemon died while its engine worked on this job.
    public let rescueCount: Int
    /// What to do.
    public let spec: JobSpec
    /// The views that an earlier attempt finished, in ascending order of stage and view.
    public let checkpoints: [ViewResponses]

    public init(
        lease: Lease, key: String? = nil, batch: String? = nil, priority: Int = 0, attempt: Int = 1,
        maxAttempts: Int = 5, rescueCount: Int = 0, spec: JobSpec, checkpoints: [ViewResponses] = []
    ) {
        self.lease = lease
        self.key = key
        self.batch = batch
        self.priority = priority
        self.attempt = attempt
        self.maxAttempts = maxAttempts
        self.rescueCount = rescueCount
        self.spec = spec
        self.checkpoints = checkpoints
    }

    /// The job's number.
    public var id: JobID { lease.job }

    /// What is left to do at most: what is finished of a view counts for nothing.
    public var work: JobWork {
        let whole = JobWork(spec)
        guard spec.task.definition.limits.imagesAreViews else { return whole }
        let finished = Dictionary(grouping: checkpoints, by: \.view).mapValues(\.count)
        return JobWork(
            spec, images: whole.images - finished.values.count { $0 > spec.followUps.count },
            prefills: whole.prefills - checkpoints.reduce(0) { $0 + ($1.stage == 1 ? spec.prompts.count : 1) })
    }

    /// The same claim, with only some of the finished views.
    public func keepingViews(_ isKept: (ViewResponses) -> Bool) -> ClaimedJob {
        ClaimedJob(
            lease: lease, key: key, batch: batch, priority: priority, attempt: attempt, maxAttempts: maxAttempts,
            rescueCount: rescueCount, spec: spec, checkpoints: checkpoints.filter(isKept))
    }
}
