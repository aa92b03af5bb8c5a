/// Decides which waiting request may start: so many at a time in all, so many at a time to an origin, a least delay between two starts on an
/// origin, and so many bytes in all. A pure state machine: time comes in as an argument.
///
/// Origins take turns, so that a slow one never keeps another waiting: it holds its own places and no more. What is called an origin here is
/// whatever ``FetchPolicy/limitBy`` counts by.
struct Admission<ID: Hashable, Instant: InstantProtocol> where Instant.Duration == Duration {
    private struct Origin {
        var active = 0
        var waiting: [ID] = []
        var lastStart: Instant?
        var notBefore: Instant?
        var limits: Limits
    }

    /// What an origin allows, all daemons together.
    struct Limits: Equatable {
        /// The most requests at a time.
        var places: Int
        /// The least time between two starts.
        var delay: Duration
    }

    private let maxConcurrent: Int
    private let usualLimits: Limits
    private var allowances = LineAllowances<Instant>()
    /// The bytes that a request may take as far as is known when it starts.
    private let bytesPerRequest: Int
    /// How many daemons fetch under these limits for each origin, this one among them.
    var sharers = 1 {
        didSet { sharers = max(1, sharers) }
    }
    /// The most bytes that active requests may take together; one of them may always be active.
    var byteLimit = Int.max
    private var origins: [String: Origin] = [:]
    /// Origins with a waiting request, the longest unserved first.
    private var line: [String] = []
    private var activeCount = 0
    private var activeBytes = 0
    /// How many origins are remembered before those that hold nothing any more are swept out.
    private var sweepAt = 1024

    init(maxConcurrent: Int, perHostConcurrency: Int, perHostDelay: Duration, bytesPerRequest: Int = 0) {
        self.maxConcurrent = maxConcurrent
        usualLimits = Limits(places: perHostConcurrency, delay: perHostDelay)
        self.bytesPerRequest = bytesPerRequest
    }

    /// Puts a request at the end of its origin's line. `limits`: the origin's own; nil: the usual ones.
    mutating func enqueue(_ id: ID, origin name: String, limits: Limits? = nil) {
        var origin = origins[name] ?? Origin(limits: usualLimits)
        origin.limits = limits ?? usualLimits
        if origin.waiting.isEmpty { line.append(name) }
        origin.waiting.append(id)
        origins[name] = origin
    }

    /// The next request that may start now, which then counts as active until `finish`. Origins take turns.
    mutating func next(now: Instant) -> ID? {
        guard hasRoom, let index = line.firstIndex(where: { mayStart($0, now) }) else { return nil }
        let name = line.remove(at: index)
        guard var origin = origins[name] else { return nil }
        let id = origin.waiting.removeFirst()
        begin(&origin, now)
        if !origin.waiting.isEmpty { line.append(name) }
        origins[name] = origin
        activeCount += 1
        activeBytes += bytesPerRequest
        return id
    }

    private func begin(_ origin: inout Origin, _ now: Instant) {
        origin.active += 1
        origin.lastStart = now
        origin.notBefore = now.advanced(by: origin.limits.delay * sharers)
    }

    /// An active request turns out to be one of another origin, and goes on as such if that has a place for it now.
    mutating func move(from old: String, to new: String, limits: Limits? = nil, now: Instant) -> Bool {
        var origin = origins[new] ?? Origin(limits: usualLimits)
        origin.limits = limits ?? usualLimits
        origins[new] = origin
        guard mayStart(new, now) else { return false }
        begin(&origin, now)
        origins[new] = origin
        origins[old]?.active -= 1
        forget(old, now)
        return true
    }

    /// An active request takes other bytes than was known.
    mutating func resize(from old: Int, to new: Int) { activeBytes += new - old }

    /// Gives an active request's place and its bytes back: what it had when it started, unless `resize` said otherwise.
    mutating func finish(origin name: String, now: Instant, bytes: Int? = nil) {
        activeCount -= 1
        activeBytes -= bytes ?? bytesPerRequest
        origins[name]?.active -= 1
        rest(name, now)
        forget(name, now)
    }

    /// The origin asked for patience: it has half of its places from now on, and one more each ten seconds. `startedUnder`: what
    /// `cutCount` was when the request started.
    mutating func cut(origin name: String, startedUnder: Int, now: Instant) {
        let places = origins[name]?.limits.places ?? usualLimits.places
        allowances.cut(name, startedUnder: startedUnder, of: places, now)
    }

    /// How often an origin was cut so far.
    func cutCount(origin name: String) -> Int { allowances.cutCount(name) }

    /// What all daemons together have made of an origin's cuts.
    mutating func learn(_ allowance: LineAllowance, now: Instant) { allowances.learn(allowance, now) }

    /// The cuts since this was asked last.
    mutating func takeReports() -> [LineCut] { allowances.takeReports() }

    /// Takes a waiting request out of its line. False when it was not waiting.
    mutating func withdraw(_ id: ID, origin name: String, now: Instant) -> Bool {
        guard let index = origins[name]?.waiting.firstIndex(of: id) else { return false }
        origins[name]?.waiting.remove(at: index)
        if origins[name]?.waiting.isEmpty == true { line.removeAll { $0 == name } }
        forget(name, now)
        return true
    }

    /// When an origin's delay next ends for a request that nothing else holds back; nil when there is none.
    func nextStart(now: Instant) -> Instant? {
        guard hasRoom else { return nil }
        return line.compactMap { name in
            origins[name].flatMap { $0.active < places(name, $0, now) ? $0.notBefore : nil }
        }.min()
    }

    private var hasRoom: Bool {
        activeCount == 0 || activeCount < maxConcurrent && activeBytes <= byteLimit - bytesPerRequest
    }

    /// This daemon's share of an origin's places: not less than one.
    private func places(_ name: String, _ origin: Origin, _ now: Instant) -> Int {
        max(1, allowances.places(name, of: origin.limits.places, now) / sharers)
    }

    /// With more daemons than places each has one request at a time, and then rests, so that all together have as many as
    /// there are places on the average.
    private mutating func rest(_ name: String, _ now: Instant) {
        guard let origin = origins[name], let start = origin.lastStart else { return }
        let places = allowances.places(name, of: origin.limits.places, now)
        guard sharers > places else { return }
        let pause = start.duration(to: now) * (sharers - places) / places
        origins[name]?.notBefore = max(origin.notBefore ?? now, now.advanced(by: pause))
    }

    private func mayStart(_ name: String, _ now: Instant) -> Bool {
        guard let origin = origins[name], origin.active < places(name, origin, now) else { return false }
        return origin.notBefore.map { $0 <= now } ?? true
    }

    /// Forgets an origin that holds nothing. One whose delay still runs stays until a later sweep.
    private mutating func forget(_ name: String, _ now: Instant) {
        if origins[name].map({ isIdle($0, now) }) ?? false { origins[name] = nil }
        guard origins.count >= sweepAt else { return }
        origins = origins.filter { !isIdle($0.value, now) }
        sweepAt = max(1024, 2 * origins.count)
    }

    private func isIdle(_ origin: Origin, _ now: Instant) -> Bool {
        origin.active == 0 && origin.waiting.isEmpty && (origin.notBefore.map { $0 <= now } ?? true)
    }
}
