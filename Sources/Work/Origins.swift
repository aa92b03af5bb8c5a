/// The origins of images: whose turn it is to be asked, how many requests each gets at a time, and which are parked because they fail
/// as a whole.
struct Origins {
    private struct Record {
        /// Fetches under way, and when they began.
        var active: [FileID: Instant] = [:]
        /// It answered once: until then it gets one request at a time.
        var hasAnswered = false
        /// Files that wait for their turn.
        var waiting: [FileID] = []
        var health = OriginHealth()
        /// Why it is parked.
        var reason = ""
        /// The queue knows that it is.
        var isConfirmed = false
        /// Failures that are not yet known to be the origin's: it is left alone until they are.
        var doubtCount = 0
        /// Where its redirects led last when that origin failed, and how often in a row.
        var detour: (target: String, count: Int)?
        /// The most fetches at a time, all daemons together.
        var places: Int
        /// A fading average.
        var secondsPerFetch = Origins.usualSeconds
        /// Up to when its fetches are planned, with jobs that wait elsewhere.
        var plannedUntil: Instant?
        var usedAt: Instant
    }

    /// Redirects in a row to a failing origin that speak of all its URLs.
    private static let detourThreshold = 3
    /// Seconds of a fetch, before any is measured.
    private static let usualSeconds = 0.2
    /// The most records that are kept of origins at rest.
    private static let recordLimit = 2048

    private let maxFetches: Int
    private let settings: WorkSettings
    /// The daemons that share what an origin allows.
    var daemonCount = 1
    private var records: [String: Record] = [:]
    /// Origins with waiting files, the longest unserved first.
    private var line: [String] = []
    private(set) var activeCount = 0
    /// The origins that were parked when this was last looked at, or since.
    private var parkedOrigins: Set<String> = []

    init(_ settings: WorkSettings) {
        maxFetches = settings.maxFetches
        self.settings = settings
    }

    private func newRecord(_ origin: String, _ now: Instant) -> Record {
        Record(places: settings.fetchesFrom(origin) ?? settings.fetchesPerOrigin, usedAt: now)
    }

    var recordCount: Int { records.count }

    // MARK: Turns

    /// How many more files of an origin are worth starting on now; of these URLs, where they are given.
    func spareCount(_ origin: String, for urls: [String] = [], _ now: Instant) -> Int {
        guard pause(of: origin, for: urls, now) == nil else { return 0 }
        guard let record = records[origin] else { return limit(of: origin, nil) }
        return max(0, limit(of: origin, record) - record.active.count - record.waiting.count)
    }

    mutating func enqueue(_ file: FileID, _ origin: String, _ now: Instant) {
        if records[origin]?.waiting.isEmpty ?? true { line.append(origin) }
        let fresh = newRecord(origin, now)
        records[origin, default: fresh].waiting.append(file)
    }

    /// Takes a waiting file out of its line.
    mutating func withdraw(_ file: FileID, _ origin: String) {
        records[origin]?.waiting.removeAll { $0 == file }
        if records[origin]?.waiting.isEmpty ?? true { line.removeAll { $0 == origin } }
    }

    /// The file to fetch next; it counts as under way until `ended`. Origins take turns. The last quarter of the places is for
    /// origins of which nothing is under way, so that slow ones leave room for the others.
    ///
    /// `hasRoom` says whether there is room for one more file: of an origin of which nothing is under way, or of another.
    mutating func next(_ now: Instant, hasRoom: (_ isFirst: Bool) -> Bool) -> FileID? {
        guard activeCount < maxFetches,
            let index = line.firstIndex(where: { mayStart($0, now) && hasRoom(records[$0]?.active.isEmpty ?? true) })
        else { return nil }
        let origin = line.remove(at: index)
        guard var record = records[origin] else { return nil }
        let file = record.waiting.removeFirst()
        record.active[file] = now
        record.usedAt = now
        if !record.waiting.isEmpty { line.append(origin) }
        records[origin] = record
        activeCount += 1
        return file
    }

    /// A fetch that `next` gave out is over.
    mutating func ended(_ file: FileID, _ origin: String, seconds: Double?, _ now: Instant) {
        activeCount -= 1
        guard var record = records[origin] else { return }
        record.active[file] = nil
        record.usedAt = now
        if let seconds { record.secondsPerFetch = 0.8 * record.secondsPerFetch + 0.2 * seconds }
        records[origin] = record
        if records.count > Self.recordLimit { forgetRestingRecords(now) }
    }

    private func mayStart(_ origin: String, _ now: Instant) -> Bool {
        guard let record = records[origin], record.active.count < limit(of: origin, record),
            pause(of: origin, now) == nil
        else { return false }
        return record.active.isEmpty || activeCount < maxFetches - maxFetches / 4
    }

    private func limit(of origin: String, _ record: Record?) -> Int {
        // Local files and data: URLs.
        if origin.isEmpty { return max(1, maxFetches / 2) }
        if let record, record.doubtCount > 0 { return 0 }
        // One fetch finds out whether the origin answers, or whether its pause is over. Those that hang leave places for others.
        guard let record, record.hasAnswered, record.health.parkingCount == 0,
            record.detour?.count ?? 0 < Self.detourThreshold
        else {
            return 1
        }
        return max(1, min(record.places / max(1, daemonCount), maxFetches - maxFetches / 4))
    }

    /// Forgets all that say nothing: those that do not fail first, and of these those that were not used for the longest time.
    private mutating func forgetRestingRecords(_ now: Instant) {
        let resting = records.filter { _, record in
            record.active.isEmpty && record.waiting.isEmpty && record.doubtCount == 0
                && record.health.pause(now) == nil
        }
        func rank(_ record: Record) -> Int { record.health.isInTrouble ? 1 : 0 }
        let oldest = resting.sorted {
            (rank($0.value), $0.value.usedAt, $0.key) < (rank($1.value), $1.value.usedAt, $1.key)
        }
        for (origin, _) in oldest.prefix(Self.recordLimit / 2) { records[origin] = nil }
    }

    /// Seconds until a fetch from an origin is over, on the average, one place counted: as measured, or longer while one hangs.
    func secondsPerFetch(_ origin: String, _ now: Instant) -> Double {
        guard let record = records[origin] else { return Self.usualSeconds }
        let oldest = record.active.values.min().map { (now - $0) / .seconds(1) } ?? 0
        return max(record.secondsPerFetch, oldest) / Double(max(1, limit(of: origin, record)))
    }

    /// Seconds until an origin has a place for what is not let in yet.
    func backlogSeconds(_ origin: String, _ now: Instant) -> Double {
        if let pause = pause(of: origin, now) { return pause.left / .seconds(1) }
        guard let record = records[origin] else { return 0 }
        if spareCount(origin, now) > 0 { return 0 }
        return secondsPerFetch(origin, now) * Double(record.active.count + record.waiting.count)
    }

    /// How long until an origin has done `count` fetches more, after all that was planned before; at most a quarter of an hour.
    mutating func plan(_ count: Int, _ origin: String, _ now: Instant) -> Duration {
        var record = records[origin] ?? newRecord(origin, now)
        let backlog = now + .seconds(backlogSeconds(origin, now))
        let whole = Duration.seconds(secondsPerFetch(origin, now)) * count
        let end = min(max(record.plannedUntil ?? now, backlog) + whole, now + .seconds(900))
        record.plannedUntil = end
        records[origin] = record
        return end - now
    }

    // MARK: Health

    /// The origin answered, if only with an error.
    mutating func answered(_ origin: String) { records[origin]?.hasAnswered = true }

    /// The origin answered with the file of a URL. `via`: the origin that redirected to it. Those of the two that were parked.
    mutating func succeeded(_ origin: String, via: String, url: String, _ now: Instant) -> [String] {
        let freed = Set([origin, via]).intersection(parkedOrigins).sorted()
        for name in [origin, via] {
            records[name]?.hasAnswered = true
            records[name]?.health.gaveFile(of: url, now)
        }
        records[via]?.detour = nil
        parkedOrigins.subtract(freed)
        return freed
    }

    /// The origin answered for good, without a file.
    mutating func refused(_ origin: String, _ now: Instant) { records[origin]?.health.refused(now) }

    /// Counts a failure of `origin` that was asked because of a URL of `via`; what it means for the jobs that want it.
    mutating func failed(
        _ origin: String, via: String, url: String, _ failure: OriginHealth.Failure, reason: String, _ now: Instant
    ) -> OriginHealth.Verdict {
        if failure != .url { noteDetour(from: via, to: origin, now) }
        var record = records[origin] ?? newRecord(origin, now)
        let verdict = record.health.failed(url, failure, now)
        record.usedAt = now
        if case .parks = verdict {
            (record.reason, record.isConfirmed) = (reason, false)
            parkedOrigins.insert(origin)
        }
        records[origin] = record
        return verdict
    }

    /// A redirect of `via` led to `target`, which fails or is parked.
    mutating func noteDetour(from via: String, to target: String, _ now: Instant) {
        guard via != target, !via.isEmpty else { return }
        var record = records[via] ?? newRecord(via, now)
        let count = record.detour?.target == target ? record.detour!.count : 0
        record.detour = (target, count + 1)
        records[via] = record
    }

    /// The queue gives out no job of a parked origin from now on.
    mutating func confirmed(_ origin: String, _ now: Instant) {
        if records[origin]?.health.pause(now) != nil { records[origin]?.isConfirmed = true }
    }

    /// Whether the queue knows that an origin is parked.
    func isConfirmed(_ origin: String) -> Bool { records[origin]?.isConfirmed ?? false }

    /// Somebody says that an origin is well again; whether it was parked. It is not if it was parked anew since.
    mutating func takeUp(_ origin: String) -> Bool {
        guard isConfirmed(origin) else { return false }
        records[origin]?.health.takenUp()
        records[origin]?.isConfirmed = false
        return parkedOrigins.remove(origin) != nil
    }

    /// How much longer which origin is parked, and why.
    typealias Pause = (origin: String, left: Duration, reason: String)

    /// How much longer an origin is parked, or that to which it redirects; nil if it is not. A URL that failed comes a while
    /// after the others.
    func pause(of origin: String, for urls: [String] = [], _ now: Instant) -> Pause? {
        guard let record = records[origin] else { return nil }
        if let left = record.health.pause(of: urls, now) {
            return (origin, left, "\(origin) is parked: \(record.reason)")
        }
        if let detour = record.detour, detour.count >= Self.detourThreshold, let target = records[detour.target],
            let left = target.health.pause(of: urls, now)
        {
            return (detour.target, left, "\(origin) leads to \(detour.target), which is parked: \(target.reason)")
        }
        return nil
    }

    /// The origins that are parked.
    mutating func parked(_ now: Instant) -> Set<String> {
        if !parkedOrigins.isEmpty {
            parkedOrigins = parkedOrigins.filter { records[$0]?.health.pause(now) != nil }
        }
        return parkedOrigins
    }

    mutating func doubt(_ origin: String, _ now: Instant) {
        let fresh = newRecord(origin, now)
        records[origin, default: fresh].doubtCount += 1
    }

    mutating func settleDoubt(_ origin: String) { records[origin]?.doubtCount -= 1 }

    /// When the next pause is over for which a file waits.
    func nextStart(_ now: Instant) -> Instant? {
        line.compactMap { origin in pause(of: origin, now).map { now + $0.left } }.min()
    }
}
