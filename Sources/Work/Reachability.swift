/// Whether it is this machine's own network that fails.
///
/// An image that cannot be had because its host has no name, no valid certificate or no route may be wrong for good, or this machine
/// may be cut off. A success elsewhere tells: what failed before is then to be believed. Without one, failures at several origins
/// are an outage of this machine.
struct Reachability<Key: Hashable & Sendable>: Sendable {
    /// A failure that is not yet believed.
    struct Doubt: Sendable {
        /// Whom it concerns.
        var keys: [Key]
        let failure: ImageFailure
        let part: ImageFailure.NetworkPart
        /// If it is to be believed, no later attempt fares better.
        let isPermanent: Bool
        let origin: String
        /// The URL that led to it, and its origin.
        let url: String
        let via: String
        let since: Instant
    }

    /// Origins that fail, with no success between, before it is an outage.
    private static var threshold: Int { 3 }
    /// How long to wait for a success elsewhere.
    private static var patience: Duration { .seconds(5) }

    private(set) var doubts: [Doubt] = []
    /// The origins that failed since the part last worked.
    private var failing: [ImageFailure.NetworkPart: Set<String>] = [:]

    var isEmpty: Bool { doubts.isEmpty }

    mutating func add(_ doubt: Doubt) {
        doubts.append(doubt)
        if failing[doubt.part, default: []].count < Self.threshold {
            failing[doubt.part, default: []].insert(doubt.origin)
        }
    }

    /// An origin answered. The doubts that are to be believed.
    mutating func worked(_ origin: String, parts: Set<ImageFailure.NetworkPart>) -> [Doubt] {
        for part in parts { failing[part] = nil }
        return take { parts.contains($0.part) && $0.origin != origin }
    }

    /// The doubts that were not settled in time, if it is no outage.
    mutating func takeOverdue(_ now: Instant) -> [Doubt] { take { now - $0.since >= Self.patience } }

    /// A job is gone. The doubts that concerned it alone.
    mutating func take(_ key: Key) -> [Doubt] {
        for index in doubts.indices { doubts[index].keys.removeAll { $0 == key } }
        return take(\.keys.isEmpty)
    }

    /// The part that fails at several origins, once there was time for a success.
    func outage(_ now: Instant) -> ImageFailure.NetworkPart? {
        doubts.first { doubt in
            now - doubt.since >= Self.patience && failing[doubt.part]?.count ?? 0 >= Self.threshold
        }?.part
    }

    /// When the next doubt is overdue.
    var nextDeadline: Instant? { doubts.map { $0.since + Self.patience }.min() }

    private mutating func take(_ isWanted: (Doubt) -> Bool) -> [Doubt] {
        let taken = doubts.filter(isWanted)
        if !taken.isEmpty { doubts.removeAll(where: isWanted) }
        return taken
    }
}

extension ImageFailure.NetworkPart {
    /// The parts of this machine's network that an answer of `origin` shows to work.
    static func shown(by origin: String) -> Set<ImageFailure.NetworkPart> {
        guard let colon = origin.firstRange(of: "://") else { return [] }
        var parts: Set<ImageFailure.NetworkPart> = [.route]
        if origin[..<colon.lowerBound] == "https" { parts.insert(.certificate) }
        // An address has no letters but those of IPv6, which stands in brackets.
        let host = origin[colon.upperBound...]
        if !host.hasPrefix("["), host.contains(where: \.isLetter) { parts.insert(.name) }
        return parts
    }
}
