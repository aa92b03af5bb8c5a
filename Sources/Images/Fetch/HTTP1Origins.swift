/// Origins whose HTTP/2 broke: they are asked in HTTP/1.1, for an hour. The latest of them, no more than `limit`. A pure value: time comes
/// in as an argument.
struct HTTP1Origins<Instant: InstantProtocol> where Instant.Duration == Duration {
    private var ends: [String: Instant] = [:]
    /// The oldest first.
    private var order: [String] = []
    private let limit: Int

    init(limit: Int = 1024) { self.limit = limit }

    /// Asks an origin in HTTP/1.1 from now on.
    mutating func insert(_ origin: String, now: Instant) {
        order.removeAll { $0 == origin }
        order.append(origin)
        ends[origin] = now.advanced(by: .seconds(3600))
        if order.count > limit { ends[order.removeFirst()] = nil }
    }

    /// Whether an origin is to be asked in HTTP/1.1.
    func contains(_ origin: String, now: Instant) -> Bool { ends[origin].map { now < $0 } ?? false }
}
