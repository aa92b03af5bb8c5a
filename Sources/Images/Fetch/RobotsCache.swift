/// What is known of origins' robots.txt, and who waits for one. A pure value: time comes in as an argument.
struct RobotsCache<ID: Hashable, Instant: InstantProtocol> where Instant.Duration == Duration {
    /// What came of asking for a robots.txt.
    enum Finding {
        /// It is there, or there is none.
        case rules(RobotsRules)
        /// The origin was not asked: its address is in an allowed network.
        case trusted
        /// Nobody knows what it says, and until that is known nothing may be fetched.
        case unknown(ImageError)
    }

    /// What becomes of a request.
    enum Verdict {
        case allowed
        /// By this rule.
        case refused(String)
        case failed(ImageError)
        /// It waits. `isFirst`: nobody has asked for the file yet.
        case waits(isFirst: Bool)
    }

    private struct Entry {
        let finding: Finding
        let end: Instant
        let byteCount: Int
        var usedAt: Instant
    }

    private var entries: [String: Entry] = [:]
    private var waiting: [String: [ID]] = [:]
    private var byteCount = 0

    private static var countLimit: Int { 4096 }
    private static var byteLimit: Int { 32 << 20 }

    /// Judges a request of an origin by its path.
    mutating func judge(_ id: ID, origin: String, path: String, now: Instant) -> Verdict {
        if let entry = entries[origin], entry.end > now {
            entries[origin]?.usedAt = now
            switch entry.finding {
            case .trusted: return .allowed
            case .rules(let rules): return rules.refusal(of: path).map { .refused($0) } ?? .allowed
            case .unknown(let error): return .failed(error)
            }
        }
        let isFirst = waiting[origin] == nil
        waiting[origin, default: []].append(id)
        return .waits(isFirst: isFirst)
    }

    /// Remembers what was found: rules for a day, what is not known for as long as the server asks for, or a minute. Returns who waits.
    mutating func learn(_ finding: Finding, origin: String, now: Instant) -> [ID] {
        var (keep, bytes) = (Duration.seconds(86400), 256)
        switch finding {
        case .rules(let rules): bytes += rules.byteCount
        case .trusted: keep = .seconds(600)
        case .unknown(let error): keep = error.retryAfter ?? Self.patience
        }
        byteCount += bytes - (entries[origin]?.byteCount ?? 0)
        entries[origin] = Entry(finding: finding, end: now.advanced(by: keep), byteCount: bytes, usedAt: now)
        if entries.count > Self.countLimit || byteCount > Self.byteLimit { forgetHalf(except: origin) }
        return waiting.removeValue(forKey: origin) ?? []
    }

    /// How long an unknown robots.txt is left alone.
    static var patience: Duration { .seconds(60) }

    /// Nothing is known, and who waits is told so.
    mutating func giveUp(origin: String) -> [ID] { waiting.removeValue(forKey: origin) ?? [] }

    /// Takes a request out of its line. What was asked for because of it comes all the same.
    mutating func withdraw(_ id: ID, origin: String) {
        // The line stays, though empty: whoever comes next need not ask again.
        waiting[origin]?.removeAll { $0 == id }
    }

    /// How many origins are known, and what they take.
    var size: (count: Int, bytes: Int) { (entries.count, byteCount) }

    /// Forgets the half that was not used for the longest time.
    private mutating func forgetHalf(except origin: String) {
        let oldest = entries.sorted { ($0.value.usedAt, $0.key) < ($1.value.usedAt, $1.key) }.map(\.key)
        for name in oldest.prefix(entries.count / 2) where name != origin {
            byteCount -= entries.removeValue(forKey: name)?.byteCount ?? 0
        }
    }
}
