/// Tells one host's failure from an outage of our own: of this machine's network, its name server, or its clock. A pure value: time comes
/// in as an argument.
///
/// Where many hosts fail in the same way and none succeeds in between, the failure is most likely ours. Before it is, nothing is held to
/// be certain that only a working network or a right clock can tell.
struct NetworkHealth<Instant: InstantProtocol> where Instant.Duration == Duration {
    /// What a failure speaks of.
    enum Layer: CaseIterable {
        /// Names resolve.
        case names
        /// Hosts can be connected to.
        case connections
        /// Certificates are trusted, and our clock is right.
        case certificates
        /// There is a way out of this machine at all.
        case routes
    }

    /// Whose failure it is.
    enum Verdict {
        /// The host's: others do not fail so.
        case theirs
        /// Nothing has succeeded lately.
        case uncertain
        case ours
    }

    private struct Record {
        var lastSuccess: Instant?
        /// Hosts that failed since then, no more of them than count.
        var failing: Set<String> = []
    }

    private var records: [Layer: Record] = [:]
    /// Names that led to an answer, the latest first: questions to which a name server that works knows the answer.
    private var answeredNames: [String] = []

    private static var answeredNameLimit: Int { 4 }

    /// Something of this kind went well.
    mutating func succeeded(_ layer: Layer, now: Instant) {
        records[layer] = Record(lastSuccess: now)
    }

    /// A server answered: whatever that took, works.
    mutating func answered(host: String, isEncrypted: Bool, now: Instant) {
        succeeded(.connections, now: now)
        succeeded(.routes, now: now)
        if isEncrypted { succeeded(.certificates, now: now) }
        guard !Self.isAddress(host), answeredNames.first != host else { return }
        answeredNames.removeAll { $0 == host }
        answeredNames = Array(([host] + answeredNames).prefix(Self.answeredNameLimit))
    }

    /// Names, not the host's own, that a working name server knows.
    func knownNames(besides host: String) -> [String] { answeredNames.filter { $0 != host } }

    /// Notes a failure of a host, and judges it.
    mutating func failed(_ layer: Layer, host: String, now: Instant) -> Verdict {
        var record = records[layer] ?? Record()
        defer { records[layer] = record }
        if let success = record.lastSuccess, success.duration(to: now) < Self.memory(layer) { return .theirs }
        let limit = Self.limit(layer)
        if record.failing.count < limit { record.failing.insert(host) }
        return record.failing.count >= limit ? .ours : .uncertain
    }

    /// So many different hosts in a row are not all to blame. Of dead hosts there are many in lists from the web, and connecting to them
    /// takes time: others answer in between.
    private static func limit(_ layer: Layer) -> Int {
        switch layer {
        case .names, .certificates: 3
        case .connections: 8
        case .routes: 1
        }
    }

    /// How long a success proves that it is not us.
    private static func memory(_ layer: Layer) -> Duration {
        switch layer {
        case .names: .seconds(5)
        case .connections, .routes: .seconds(30)
        case .certificates: .seconds(3600)
        }
    }

    private static func isAddress(_ host: String) -> Bool { host.hasPrefix("[") || IPAddress(host) != nil }
}
