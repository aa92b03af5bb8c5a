/// The number of a job: `gloss.job.id`. It never changes and is never used twice.
public struct JobID: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The number as PostgreSQL stores it.
    public let rawValue: Int64

    /// Wraps a number read from the database.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// Older jobs come first.
    public static func < (left: JobID, right: JobID) -> Bool { left.rawValue < right.rawValue }

    /// The bare number.
    public var description: String { String(rawValue) }
}

/// What a job asks of the model. The raw values are those of `gloss.task`.
public enum AnnotationTask: String, Hashable, Sendable, Codable, CaseIterable {
    /// Describe an image.
    case caption
    /// Answer one question about an image.
    case vqa
    /// Find things and give their boxes.
    case detect
    /// Ask several questions of several views of one object and aggregate the answers (ScoreAgg).
    case multiview
}

/// A worker's claim on a job. `fence` is new for each claim and only ever grows, so that a worker that lost its
/// lease cannot write: its fence matches nothing any more.
public struct Lease: Hashable, Sendable, Codable {
    /// The job that is leased.
    public let job: JobID
    /// The fencing token of this very claim.
    public let fence: Int64

    /// A lease as the store gave it.
    public init(job: JobID, fence: Int64) {
        self.job = job
        self.fence = fence
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
    /// The number of this attempt, from 1. Rescues and releases do not count.
    public let attempt: Int
    /// A retry after this many attempts becomes a death.
    public let maxAttempts: Int
    /// How often a daemon died while it held this job.
    public let rescueCount: Int
    /// What to do.
    public let spec: JobSpec
    /// The views of a multiview job that an earlier attempt finished, in ascending order of view.
    public let doneViews: [ViewResponses]

    /// A claim as the store made it.
    public init(
        lease: Lease, key: String? = nil, batch: String? = nil, attempt: Int = 1, maxAttempts: Int = 5,
        rescueCount: Int = 0, spec: JobSpec, doneViews: [ViewResponses] = []
    ) {
        self.lease = lease
        self.key = key
        self.batch = batch
        self.attempt = attempt
        self.maxAttempts = maxAttempts
        self.rescueCount = rescueCount
        self.spec = spec
        self.doneViews = doneViews
    }

    /// The job's number.
    public var id: JobID { lease.job }

    /// The same claim, with only those finished views that this model gave.
    public func keepingViews(ofModel digest: String) -> ClaimedJob {
        ClaimedJob(
            lease: lease, key: key, batch: batch, attempt: attempt, maxAttempts: maxAttempts, rescueCount: rescueCount,
            spec: spec, doneViews: doneViews.filter { $0.modelDigest == digest })
    }
}
