/// What hosts that asked for patience allow for a while: half of their places after each time, and one more every ten seconds. A pure value:
/// time comes in as an argument.
///
/// All daemons count cuts alike. An answer that asks for patience cuts only if its request started under the last cut: of answers to requests
/// that were under way together, on one daemon or on several, one counts.
struct LineAllowances<Instant: InstantProtocol> where Instant.Duration == Duration {
    private struct Allowance {
        var cutCount: Int
        /// Right after the last cut, all daemons together.
        var places: Int
        var since: Instant
    }

    private var allowances: [String: Allowance] = [:]
    /// Cuts of which the other daemons do not know yet.
    private var reports: [LineCut] = []
    private var sweepAt = 1024

    private static var step: Duration { .seconds(10) }
    /// Until then the most places of all have come back.
    private static var memory: Duration { step * 1080 }

    /// The places of a line of requests at this time, at most `full`, all daemons together.
    func places(_ line: String, of full: Int, _ now: Instant) -> Int {
        guard let allowance = allowances[line] else { return full }
        return min(full, allowance.places + Int(allowance.since.duration(to: now) / Self.step))
    }

    /// How often a line was cut so far.
    func cutCount(_ line: String) -> Int { allowances[line]?.cutCount ?? 0 }

    /// An answer to a request that started under the cut `startedUnder` asks for patience.
    mutating func cut(_ line: String, startedUnder: Int, of full: Int, _ now: Instant) {
        let cutCount = cutCount(line)
        guard startedUnder == cutCount else { return }
        let places = max(1, places(line, of: full, now) / 2)
        allowances[line] = Allowance(cutCount: cutCount + 1, places: places, since: now)
        if reports.count < 1024 { reports.append(LineCut(line: line, cutCount: cutCount, places: full)) }
        sweep(now)
    }

    /// What all daemons together have made of it. A cut of our own that they do not know yet goes on.
    mutating func learn(_ allowance: LineAllowance, _ now: Instant) {
        guard allowance.cutCount >= cutCount(allowance.line) else { return }
        allowances[allowance.line] = Allowance(
            cutCount: allowance.cutCount, places: allowance.places, since: now.advanced(by: .zero - allowance.age))
        sweep(now)
    }

    /// The cuts since this was asked last.
    mutating func takeReports() -> [LineCut] {
        defer { reports = [] }
        return reports
    }

    private mutating func sweep(_ now: Instant) {
        guard allowances.count >= sweepAt else { return }
        allowances = allowances.filter { $0.value.since.duration(to: now) < Self.memory }
        sweepAt = max(1024, 2 * allowances.count)
    }
}

/// A host asked for patience: what the other daemons are to be told.
public struct LineCut: Hashable, Sendable {
    /// Whose limits are counted together: an origin, or what ``FetchPolicy/limitBy`` says.
    public var line: String
    /// The cuts that were known when the request started.
    public var cutCount: Int
    /// The places before any cut.
    public var places: Int

    public init(line: String, cutCount: Int, places: Int) {
        self.line = line
        self.cutCount = cutCount
        self.places = places
    }
}

/// What a host that asked for patience allows to all daemons together.
public struct LineAllowance: Hashable, Sendable {
    /// As ``LineCut/line``.
    public var line: String
    /// How often it was cut.
    public var cutCount: Int
    /// The places right after the last cut.
    public var places: Int
    /// How long ago that was.
    public var age: Duration

    public init(line: String, cutCount: Int, places: Int, age: Duration) {
        self.line = line
        self.cutCount = cutCount
        self.places = places
        self.age = age
    }
}
