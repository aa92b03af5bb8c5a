import Annotation

/// What to do about a failed attempt.
public enum FailureDisposition: Hashable, Sendable {
    /// Another attempt would fail in the same way: the job is dead.
    case permanent
    /// Try again after the given time, or after the retry policy's own if nil. Burns an attempt.
    case retry(after: Duration?)
}

/// A failed attempt. The disposition decides; the texts are for people.
public struct Failure: Hashable, Sendable {
    /// A short, stable word to count by, such as `http_404` or `not_an_image`.
    public var code: String
    /// One sentence with what happened, for the person who enqueued the job.
    public var reason: String
    /// What to do.
    public var disposition: FailureDisposition

    public init(code: String, reason: String, disposition: FailureDisposition) {
        self.code = code
        self.reason = reason
        self.disposition = disposition
    }
}

/// A job that goes back to the queue without burning an attempt.
public struct Release: Hashable, Sendable {
    /// Why jobs go back. The raw values are those of `gloss.attempt`.
    public enum Cause: String, Hashable, Sendable, Codable {
        /// The daemon stops.
        case shutdown
        /// The host of an image fails as a whole or asks for patience. A job that waits for its host for too long dies.
        case host
        /// This machine or its network fails.
        case outage
        /// Another daemon may do better: this one holds more than it can do.
        case surplus
    }

    /// Why.
    public var cause: Cause
    /// One sentence, for the person who enqueued the job.
    public var reason: String
    /// A short, stable word to count by; nil: none.
    public var code: String?
    /// How long the job waits at least.
    public var delay: Duration
    /// The parked origin for which it waits; nil: none.
    public var origin: ParkedOrigin?

    /// An origin that a daemon leaves alone.
    public struct ParkedOrigin: Hashable, Sendable {
        /// `scheme://host[:port]`.
        public var name: String
        /// Whether the queue has confirmed that it is parked. If it is not any more, somebody took it up again.
        public var isConfirmed: Bool

        public init(_ name: String, isConfirmed: Bool = false) { (self.name, self.isConfirmed) = (name, isConfirmed) }
    }

    public init(
        _ cause: Cause, reason: String, code: String? = nil, delay: Duration = .zero, origin: ParkedOrigin? = nil
    ) {
        self.cause = cause
        self.reason = reason
        self.code = code
        self.delay = delay
        self.origin = origin
    }
}

/// How an attempt ended.
public enum Outcome: Hashable, Sendable {
    /// The result to record.
    case completed(AnnotationRecord)
    /// The attempt failed.
    case failed(Failure)
    /// The job goes back without burning an attempt.
    case released(Release)
}

/// An attempt's end, as it is handed to the store.
public struct JobReport: Hashable, Sendable {
    /// The claim under which the job ran.
    public var lease: Lease
    /// The number of the attempt: `ClaimedJob.attempt`.
    public var attempt: Int
    /// How it ended.
    public var outcome: Outcome
    /// Whether no attempt is left after this one, so that any failure ends the job.
    public var isLastAttempt = false

    public init(_ job: ClaimedJob, _ outcome: Outcome) {
        self.init(lease: job.lease, attempt: job.attempt, outcome: outcome)
        isLastAttempt = job.attempt >= job.maxAttempts
    }

    /// Whether the job ends here without a result.
    public var isDeath: Bool {
        guard case .failed(let failure) = outcome else { return false }
        return isLastAttempt || failure.disposition == .permanent
    }

    public init(lease: Lease, attempt: Int, outcome: Outcome) {
        self.lease = lease
        self.attempt = attempt
        self.outcome = outcome
    }
}

/// What became of a report.
public enum Receipt: String, Hashable, Sendable, Codable {
    /// It is written.
    case recorded
    /// This very report was written before; nothing changed. Safe after a lost connection.
    case alreadyRecorded = "already_recorded"
    /// The lease is no longer this worker's; nothing was written.
    case stale
    /// The database refused the result's content; the job is dead with that as its reason.
    case unrecordable
    /// A release is written, and its job waits for nothing: somebody has taken up its origin again.
    case unparked
}
