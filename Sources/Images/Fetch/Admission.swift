/// Decides which waiting request may start: so many at a time in all, so many at a time to a host, and a least delay
/// between two starts on a host. A pure state machine: time comes in as an argument.
struct Admission<ID: Hashable, Instant: InstantProtocol> where Instant.Duration == Duration {
    private struct Host {
        var active = 0
        var waiting: [ID] = []
        var lastStart: Instant?
        var notBefore: Instant?
    }

    private let maxConcurrent: Int
    private let perHostConcurrency: Int
    private let perHostDelay: Duration
    /// How many daemons fetch under these limits for each host, this one among them.
    var sharers = 1 {
        didSet { sharers = max(1, sharers) }
    }
    private var hosts: [String: Host] = [:]
    /// Hosts with a waiting request, the longest unserved first.
    private var line: [String] = []
    private var activeCount = 0
    /// How many hosts are remembered before those that hold nothing any more are swept out.
    private var sweepAt = 1024

    init(maxConcurrent: Int, perHostConcurrency: Int, perHostDelay: Duration) {
        self.maxConcurrent = maxConcurrent
        self.perHostConcurrency = perHostConcurrency
        self.perHostDelay = perHostDelay
    }

    /// Puts a request at the end of its host's line.
    mutating func enqueue(_ id: ID, host: String) {
        if hosts[host, default: Host()].waiting.isEmpty { line.append(host) }
        hosts[host, default: Host()].waiting.append(id)
    }

    /// The next request that may start now, which then counts as active until `finish`. Hosts take turns.
    mutating func next(now: Instant) -> ID? {
        guard activeCount < maxConcurrent, let index = line.firstIndex(where: { mayStart($0, now) }) else { return nil }
        let name = line.remove(at: index)
        guard var host = hosts[name] else { return nil }
        let id = host.waiting.removeFirst()
        host.active += 1
        host.lastStart = now
        host.notBefore = now.advanced(by: perHostDelay * sharers)
        if !host.waiting.isEmpty { line.append(name) }
        hosts[name] = host
        activeCount += 1
        return id
    }

    /// Gives an active request's place back.
    mutating func finish(host name: String, now: Instant) {
        activeCount -= 1
        hosts[name]?.active -= 1
        rest(name, now)
        forget(name, now)
    }

    /// This daemon's share of a host's places: not less than one.
    private var share: Int { max(1, perHostConcurrency / sharers) }

    /// With more daemons than places each has one request at a time, and then rests, so that all together have as many as
    /// there are places on the average.
    private mutating func rest(_ name: String, _ now: Instant) {
        guard sharers > perHostConcurrency, let host = hosts[name], let start = host.lastStart else { return }
        let pause = start.duration(to: now) * (sharers - perHostConcurrency) / perHostConcurrency
        hosts[name]?.notBefore = max(host.notBefore ?? now, now.advanced(by: pause))
    }

    /// Takes a waiting request out of its line. False when it was not waiting.
    mutating func withdraw(_ id: ID, host name: String, now: Instant) -> Bool {
        guard let index = hosts[name]?.waiting.firstIndex(of: id) else { return false }
        hosts[name]?.waiting.remove(at: index)
        if hosts[name]?.waiting.isEmpty == true { line.removeAll { $0 == name } }
        forget(name, now)
        return true
    }

    /// When a host's delay next ends for a request that nothing else holds back; nil when there is none.
    func nextStart() -> Instant? {
        guard activeCount < maxConcurrent else { return nil }
        return line.compactMap { name in
            hosts[name].flatMap { $0.active < share ? $0.notBefore : nil }
        }.min()
    }

    private func mayStart(_ name: String, _ now: Instant) -> Bool {
        guard let host = hosts[name], host.active < share else { return false }
        return host.notBefore.map { $0 <= now } ?? true
    }

    /// Forgets a host that holds nothing. One whose delay still runs stays until a later sweep.
    private mutating func forget(_ name: String, _ now: Instant) {
        if hosts[name].map({ isIdle($0, now) }) ?? false { hosts[name] = nil }
        guard hosts.count >= sweepAt else { return }
        hosts = hosts.filter { !isIdle($0.value, now) }
        sweepAt = max(1024, 2 * hosts.count)
    }

    private func isIdle(_ host: Host, _ now: Instant) -> Bool {
        host.active == 0 && host.waiting.isEmpty && (host.notBefore.map { $0 <= now } ?? true)
    }
}
