/// Whether an origin fails as a whole or only some of its URLs do, by what came of each request, and for how long it is parked.
///
/// One URL's failures count once, so that a bad one parks nobody. Three URLs that fail in a row do, whatever they fail with.
struct OriginHealth {
    /// What a failure speaks of by itself.
    enum Failure: Hashable {
        /// Of the URL: HTTP 500, or a file that was cut short.
        case url
        /// Of the origin: no connection, no answer in time, HTTP 503.
        case origin
        /// Of the origin, which asks for patience.
        case patience(retryAfter: Duration?)
    }

    /// What a failure means for the jobs that want the URL.
    enum Verdict: Hashable {
        /// It is the URL's: it costs an attempt.
        case urlFails
        /// It is the origin's or the URL's: the first attempts pay, and a later one waits for so long instead.
        case unclear(Duration)
        /// It is the origin's, which is parked from now on for so long.
        case parks(Duration)
        /// The origin is parked already; what was under way then says nothing new.
        case isParked
    }

    /// A URL that failed and has given no file since.
    private struct Suspect {
        let hash: Int
        var failedAt: Instant
        /// Failures since the origin last gave a file.
        var failureCount: Int
    }

    /// URLs in a row that speak of the origin.
    static let threshold = 3
    /// Attempts that a job pays for before it is known whether its URL or the origin fails.
    static let paidAttempts = 2
    private static let shortestPause = Duration.seconds(15)
    private static let longestPause = Duration.seconds(900)
    /// Of one URL alone.
    private static let longestWait = Duration.seconds(3600)
    /// A wait where other daemons saw the earlier failures.
    private static let strangersWait = Duration.seconds(300)
    /// The most URLs that are remembered.
    private static let suspectLimit = 32

    /// URLs that failed in a row, by their hashes.
    private var row: Set<Int> = []
    /// A failure of the row, or a pause since the last file, was the origin's by itself.
    private var speaksOfOrigin = false
    /// The one that failed last stands last.
    private var suspects: [Suspect] = []
    private var gaveFileAt: Instant?
    /// How often it was parked since its last file.
    private(set) var parkingCount = 0
    private var parkedUntil: Instant?
    private var pauseLength = Duration.zero

    var suspectCount: Int { suspects.count }

    /// It failed last, as far as is known.
    var isInTrouble: Bool { !row.isEmpty || parkingCount > 0 }

    // MARK: Events

    /// It gave the file of a URL.
    mutating func gaveFile(of url: String, _ now: Instant) {
        endRow()
        parkedUntil = nil
        gaveFileAt = now
        let hash = url.hashValue
        suspects.removeAll { $0.hash == hash }
        for index in suspects.indices { suspects[index].failureCount = 0 }
    }

    /// Somebody says that it is well again. One image is tried: until it gives a file, a failure parks it again, for free.
    mutating func takenUp() {
        parkedUntil = nil
        parkingCount = min(parkingCount, 1)
    }

    /// It answered a request for good, without a file: 404. So it works, unless it failed by itself before: a part of it may still answer.
    mutating func refused(_ now: Instant) {
        if !speaksOfOrigin, pause(now) == nil { endRow() }
    }

    /// A URL failed.
    mutating func failed(_ url: String, _ failure: Failure, _ now: Instant) -> Verdict {
        if case .patience(let retryAfter) = failure {
            guard pause(now) == nil else { return .isParked }
            speaksOfOrigin = true
            return park(for: retryAfter.map { max($0, .seconds(1)) } ?? backoff(parkingCount), now)
        }
        let earlier = note(url, now)
        guard pause(now) == nil else { return .isParked }
        let givesFiles = row.isEmpty && gaveFileAt != nil
        if row.count < Self.threshold { row.insert(url.hashValue) }
        if failure == .origin { speaksOfOrigin = true }
        if row.count >= Self.threshold || parkingCount > 0 { return park(for: backoff(parkingCount), now) }
        // Where a job failed before elsewhere, another daemon may know that the origin fails.
        guard let earlier else { return failure == .url && givesFiles ? .urlFails : .unclear(Self.strangersWait) }
        if failure == .url { return .urlFails }
        // It gave another file meanwhile.
        if let gaveFileAt, gaveFileAt >= earlier.failedAt { return .urlFails }
        let count = max(0, earlier.failureCount - Self.paidAttempts)
        return .unclear(min(Self.shortestPause * (1 << min(count, 8)), Self.longestWait))
    }

    private mutating func endRow() {
        row = []
        speaksOfOrigin = false
        parkingCount = 0
    }

    private mutating func park(for pause: Duration, _ now: Instant) -> Verdict {
        parkingCount += 1
        parkedUntil = now + pause
        pauseLength = pause
        return .parks(pause)
    }

    /// 15 s, doubling to 15 minutes each time that it fails again after its pause.
    private func backoff(_ count: Int) -> Duration {
        min(Self.shortestPause * (1 << min(count, 6)), Self.longestPause)
    }

    /// Remembers that a URL failed; what was known of it before.
    private mutating func note(_ url: String, _ now: Instant) -> Suspect? {
        let hash = url.hashValue
        let index = suspects.firstIndex { $0.hash == hash }
        let earlier = index.map { suspects.remove(at: $0) }
        if suspects.count >= Self.suspectLimit { suspects.removeFirst() }
        suspects.append(Suspect(hash: hash, failedAt: now, failureCount: (earlier?.failureCount ?? 0) + 1))
        return earlier
    }

    // MARK: Pauses

    /// How much longer it is parked; nil if it is not.
    func pause(_ now: Instant) -> Duration? { parkedUntil.flatMap { now < $0 ? $0 - now : nil } }

    /// How much longer none of these URLs is asked for: one that failed comes a while after the others, which tell more.
    func pause(of urls: [String], _ now: Instant) -> Duration? {
        guard let parkedUntil else { return nil }
        let end = parkedUntil + max(.seconds(5), pauseLength / 5)
        if now < end, urls.contains(where: { url in suspects.contains { $0.hash == url.hashValue } }) {
            return end - now
        }
        return pause(now)
    }
}
