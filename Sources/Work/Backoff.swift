/// Waits between tries that fail: the first is short, each is twice as long as the last up to a limit.
struct Backoff {
    private let base: Duration
    private let longest: Duration
    private var failureCount = 0
    /// No try before this time.
    private(set) var until: Instant?

    init(_ base: Duration, upTo longest: Duration) {
        self.base = base
        self.longest = longest
    }

    /// Whether the last try failed.
    var isFailing: Bool { failureCount > 0 }

    func isOver(_ now: Instant) -> Bool { until.map { $0 <= now } ?? true }

    /// `jitter` (0..<1) spreads the tries of many daemons.
    mutating func failed(_ now: Instant, jitter: Double) {
        let whole = min(base * (1 << min(failureCount, 20)), longest)
        until = now + whole * (0.75 + jitter / 4)
        failureCount += 1
    }

    mutating func succeeded() {
        failureCount = 0
        until = nil
    }
}

/// How long something has gone on without a pause. A database that stands still makes nothing fail, but all heartbeats pause.
struct SteadyTimer {
    private let longestPause: Duration
    private var steadySince: Instant?
    private var lastBeat: Instant?

    init(longestPause: Duration) { self.longestPause = longestPause }

    /// Counts a beat; how long they have come without a pause.
    mutating func beat(_ now: Instant) -> Duration {
        if let lastBeat, now - lastBeat > longestPause { steadySince = nil }
        lastBeat = now
        let since = steadySince ?? now
        steadySince = since
        return now - since
    }

    /// A beat failed.
    mutating func miss() { steadySince = nil }
}

/// Random numbers from a seed (SplitMix64), so that the same events have the same effects.
struct SeededNumbers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0..<1.
    mutating func fraction() -> Double { Double.random(in: 0..<1, using: &self) }
}
