/// Exponential backoff with jitter.
public struct RetryPolicy: Hashable, Sendable {
    /// The delay after the first failed attempt, before jitter.
    public var base: Duration
    /// No delay is longer, except one that the remote side asked for.
    public var cap: Duration
    /// A delay that the remote side asks for (Retry-After) is honoured up to this.
    public var requestedCap: Duration

    public init(
        base: Duration = .seconds(2), cap: Duration = .seconds(600), requestedCap: Duration = .seconds(86_400)
    ) {
        self.base = base
        self.cap = cap
        self.requestedCap = requestedCap
    }

    /// The delay after failed attempt number `attempt` (from 1).
    ///
    /// Half of base · 2^(attempt − 1) is sure and half is random, so that retries of one outage spread out.
    /// - Parameters:
    ///   - requested: what the remote side asked for; it is a minimum, spread by up to a tenth.
    ///   - jitter: a random number, 0..<1.
    public func delay(afterAttempt attempt: Int, requested: Duration? = nil, jitter: Double) -> Duration {
        if let requested {
            let wait = min(max(requested, .zero), requestedCap)
            return wait + wait * (jitter / 10)
        }
        let doublings = min(max(attempt - 1, 0), 30)
        let full = min(base * (1 << doublings), cap)
        return full / 2 + full / 2 * jitter
    }
}
