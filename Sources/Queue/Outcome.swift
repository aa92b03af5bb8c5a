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

    /// A failure.
    public init(code: String, reason: String, disposition: FailureDisposition) {
        self.code = code
        self.reason = reason
        self.disposition = disposition
    }
}

/// How an attempt ended.
public enum Outcome: Hashable, Sendable {
    /// The result to record.
    case completed(AnnotationRecord)
    /// The attempt failed.
    case failed(Failure)
    /// The job goes back without burning an attempt: shutdown, our own outage, a parked host.
    case released(reason: String, after: Duration)
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

    /// A report about a claimed job.
    public init(_ job: ClaimedJob, _ outcome: Outcome) {
        self.init(lease: job.lease, attempt: job.attempt, outcome: outcome)
        isLastAttempt = job.attempt >= job.maxAttempts
    }

    /// Whether the job ends here without a result.
    public var isDeath: Bool {
        guard case .failed(let failure) = outcome else { return false }
        return isLastAttempt || failure.disposition == .permanent
    }

    /// A report about a lease.
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
}
