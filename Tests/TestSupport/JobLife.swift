import Queue

/// Where a job is. In PostgreSQL each case is a table.
public enum JobState: Hashable, Sendable {
    /// Due; the next claim may take it.
    case ready
    /// Due at a time on the store's clock.
    case scheduled(Duration)
    /// Held by a worker.
    case leased(WorkerID, fence: Int64)
    /// Has a result; the fence is that of the claim that wrote it.
    case done(fence: Int64)
    /// Given up.
    case dead(code: String, reason: String)

    /// The name that `gloss.job_state` has for it.
    public var name: String {
        switch self {
        case .ready: "ready"
        case .scheduled: "scheduled"
        case .leased: "leased"
        case .done: "done"
        case .dead: "dead"
        }
    }
}

/// The life of one job: a pure state machine. The SQL functions do the same; one suite of tests runs on both.
public struct JobLife: Hashable, Sendable {
    /// A job with which this many daemons died is quarantined.
    public static let rescueLimit = 3

    /// Where it is.
    public private(set) var state: JobState = .ready
    /// Failed attempts so far.
    public private(set) var attemptCount = 0
    /// Daemons that died with it.
    public private(set) var rescueCount = 0
    /// Failed attempts allowed.
    public let maxAttempts: Int
    /// Whether the engine of the worker that holds it has begun it.
    private var isBegun = false
    private var endedFences: Set<Int64> = []

    /// A new job, due at once or at a time on the store's clock.
    public init(maxAttempts: Int = 5, dueAt: Duration? = nil) {
        self.maxAttempts = maxAttempts
        if let dueAt { state = .scheduled(dueAt) }
    }

    /// Whether two daemons died with it already. A worker runs such a job alone.
    public var isSuspect: Bool { rescueCount >= Self.rescueLimit - 1 }

    /// Whether a claim at `now` may take it.
    public func isDue(at now: Duration) -> Bool {
        switch state {
        case .ready: true
        case .scheduled(let due): due <= now
        case .leased, .done, .dead: false
        }
    }

    /// A worker takes it.
    /// - Precondition: it is due.
    public mutating func claim(by worker: WorkerID, fence: Int64, at now: Duration) {
        precondition(isDue(at: now), "claimed a job that is not due")
        state = .leased(worker, fence: fence)
        isBegun = false
    }

    /// The engine of the worker that holds it begins it.
    public mutating func begin(fence: Int64) {
        if case .leased(_, fence) = state { isBegun = true }
    }

    /// An attempt ends under a fence.
    public mutating func end(
        _ outcome: Outcome, fence: Int64, at now: Duration, policy: RetryPolicy, jitter: Double
    ) -> Receipt {
        guard case .leased(_, let held) = state, held == fence else {
            return endedFences.contains(fence) ? .alreadyRecorded : .stale
        }
        endedFences.insert(fence)
        switch outcome {
        case .completed: state = .done(fence: fence)
        case .released(let release): wait(release.delay, at: now)
        case .failed(let failure): fail(failure, at: now, policy: policy, jitter: jitter)
        }
        return .recorded
    }

    private mutating func fail(_ failure: Failure, at now: Duration, policy: RetryPolicy, jitter: Double) {
        attemptCount += 1
        switch failure.disposition {
        case .retry(let requested) where attemptCount < maxAttempts:
            wait(policy.delay(afterAttempt: attemptCount, requested: requested, jitter: jitter), at: now)
        case .retry:
            state = .dead(code: failure.code, reason: "\(failure.reason) (attempt \(attemptCount), the last)")
        case .permanent:
            state = .dead(code: failure.code, reason: failure.reason)
        }
    }

    private mutating func wait(_ delay: Duration, at now: Duration) {
        state = delay > .zero ? .scheduled(now + delay) : .ready
    }

    /// The worker that holds it said goodbye.
    public mutating func giveBack() {
        if case .leased = state { state = .ready }
    }

    /// The worker that holds it died.
    public mutating func rescue() {
        guard case .leased = state else { return }
        rescueCount += isBegun ? 1 : 0
        state =
            rescueCount < Self.rescueLimit
            ? .ready
            : .dead(
                code: "poison", reason: "poison: \(rescueCount) daemons died while their engines worked on this job")
    }

    /// A person ends it.
    public mutating func cancel() {
        switch state {
        case .ready, .scheduled, .leased: state = .dead(code: "cancelled", reason: "cancelled")
        case .done, .dead: break
        }
    }

    /// A person gives a dead job fresh attempts.
    public mutating func retry() {
        guard case .dead = state else { return }
        (attemptCount, rescueCount) = (0, 0)
        state = .ready
    }
}
