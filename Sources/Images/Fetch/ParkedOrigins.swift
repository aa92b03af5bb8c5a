/// Origins that are left alone until a time. A pure value: time comes in as an argument.
struct ParkedOrigins<Instant: InstantProtocol> where Instant.Duration == Duration {
    private var ends: [String: Instant] = [:]
    /// How many are remembered before those whose time is over are swept out.
    private var sweepAt = 1024

    /// Leaves an origin alone; a later word replaces an earlier one.
    mutating func insert(_ origin: String, until end: Instant, now: Instant) {
        ends[origin] = end
        guard ends.count >= sweepAt else { return }
        ends = ends.filter { $0.value > now }
        sweepAt = max(1024, 2 * ends.count)
    }

    /// Fetches from it again.
    mutating func remove(_ origin: String) { ends[origin] = nil }

    /// How much longer it is left alone; nil if it is not.
    func pause(of origin: String, now: Instant) -> Duration? {
        guard let end = ends[origin], end > now else { return nil }
        return now.duration(to: end)
    }
}
