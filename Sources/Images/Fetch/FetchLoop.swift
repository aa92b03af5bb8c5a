import CCurl
import Glibc
import Synchronization

/// The fetch thread: takes requests from the mailbox, admits them, and drives curl. Blocks its own thread only.
final class FetchLoop {
    let policy: FetchPolicy
    private let rules: HostRules
    let mailbox: Mailbox
    private let cuts: CutReports
    private let multi: MultiHandle
    let clock = ContinuousClock()
    private let names = NameLookup()
    private var admission: Admission<UInt64, ContinuousClock.Instant>
    private var health = NetworkHealth<ContinuousClock.Instant>()
    private var parked = ParkedOrigins<ContinuousClock.Instant>()
    private var oldHTTP = HTTP1Origins<ContinuousClock.Instant>()
    private var waiting: [UInt64: Request] = [:]
    private var running: [UInt64: Transfer] = [:]
    private var runningIDs: [UnsafeMutableRawPointer: UInt64] = [:]
    /// Requests that hold no place any more: their name did not resolve, and it is being found out why.
    private var unresolved: [UInt64: Unresolved] = [:]
    private var lastSeen = ContinuousClock.now
    var robots = RobotsCache<UInt64, ContinuousClock.Instant>()
    /// Images that wait for the robots.txt of their origins.
    var undecided: [UInt64: Request] = [:]
    var robotsCount: UInt64 = 0
    private let domains = RegisteredDomains()
    /// The addresses to which origins led last, where limits are counted by them.
    private var addresses: [String: String] = [:]

    private struct Unresolved {
        let request: Request
        let error: ImageError
        /// Until then it may take to find out why.
        let deadline: ContinuousClock.Instant
    }

    private init(policy: FetchPolicy, rules: HostRules, mailbox: Mailbox, cuts: CutReports) throws(ImageError) {
        self.policy = policy
        self.rules = rules
        self.mailbox = mailbox
        self.cuts = cuts
        multi = try MultiHandle()
        admission = Admission(
            maxConcurrent: policy.maxConcurrent, perHostConcurrency: policy.perHostConcurrency,
            perHostDelay: policy.perHostDelay, bytesPerRequest: policy.maxBytes)
        mailbox.attach(multi)
    }

    /// The thread's body: returns once the mailbox is closed and every request has its answer.
    static func run(policy: FetchPolicy, rules: HostRules, mailbox: Mailbox, cuts: CutReports) {
        do {
            try FetchLoop(policy: policy, rules: rules, mailbox: mailbox, cuts: cuts).run()
        } catch {
            mailbox.close()
            for case .submit(let request) in mailbox.take().commands {
                request.answer(.failure(error))
            }
        }
    }

    private func run() {
        while true {
            mailbox.turns.add(1, ordering: .relaxed)
            let (commands, isClosed) = mailbox.take()
            commands.forEach(obey)
            if isClosed { break }
            noticeStandstill()
            giveUpLookups()
            admit()
            do throws(ImageError) {
                try multi.perform()
                noticeStandstill()
                if !settle() { try multi.poll(milliseconds: patience) }
            } catch {
                // Not in a hurry: curl had no memory, most likely.
                running.values.forEach { end($0, .failure(error)) }
                usleep(100_000)
            }
        }
        (Array(undecided.keys) + Array(waiting.keys) + Array(running.keys) + Array(unresolved.keys)).forEach(cancel)
        mailbox.detach()  // here, while the handle surely lives
    }

    /// A round takes a second. When one takes much longer, it was we who stood still (stopped, suspended, starved), and no host is to
    /// blame for what is late then.
    private func noticeStandstill() {
        let pause = clock.now - lastSeen
        lastSeen = clock.now
        guard pause > Self.standstill else { return }
        for transfer in running.values { transfer.standstill = max(transfer.standstill ?? .zero, pause) }
    }

    private static let standstill = Duration.seconds(3)

    private func obey(_ command: Mailbox.Command) {
        switch command {
        case .submit(let request): enqueue(request)
        case .cancel(let id): cancel(id)
        case .share(let count): admission.sharers = count
        case .limitBytes(let count): admission.byteLimit = count
        case .park(let origin, let end): park(origin, until: end)
        case .unpark(let origin): parked.remove(origin)
        case .explain(let finding): explain(finding)
        case .robots(let origin, let result): robotsCame(origin, result)
        case .learn(let allowances): allowances.forEach { admission.learn($0, now: clock.now) }
        }
    }

    /// Puts a request into its line, unless its origin is parked, or does not want it.
    func enqueue(_ request: Request) {
        if let pause = parked.pause(of: request.url.origin, now: clock.now) {
            return request.answer(.failure(Self.isParked(request.url, pause)))
        }
        if mayJoin(request) { join(request) }
    }

    private func join(_ request: Request) {
        var request = request
        let terms = terms(for: request.url)
        request.line = line(of: request.url, terms)
        waiting[request.id] = request
        admission.enqueue(request.id, origin: request.line, limits: terms.limits)
    }

    /// What holds for a URL.
    func terms(for url: FetchURL) -> HostRules.Terms { rules.terms(for: url) }

    /// What the limits of a URL are counted by. An address is known once it was connected to; until then it is the origin.
    private func line(of url: FetchURL, _ terms: HostRules.Terms) -> String {
        switch policy.limitBy {
        case .origin: terms.lineMark + url.origin
        case .domain: terms.lineMark + domains.domain(of: url.host)
        case .address: terms.lineMark + (addresses[url.origin] ?? url.origin)
        }
    }

    /// A transfer is about to connect to an address. False: that has no place for it now.
    private func mayConnect(_ transfer: Transfer, _ address: IPAddress) -> Bool {
        guard policy.limitBy == .address else { return true }
        let url = transfer.request.url
        let terms = terms(for: url)
        if addresses.count >= Self.addressLimit { addresses = [:] }
        addresses[url.origin] = address.limitKey
        let line = line(of: url, terms)
        guard line != transfer.request.line else { return true }
        guard admission.move(from: transfer.request.line, to: line, limits: terms.limits, now: clock.now) else {
            return false
        }
        transfer.request.line = line
        transfer.request.cutCount = admission.cutCount(origin: line)
        return true
    }

    private static let addressLimit = 8192

    private func park(_ origin: String, until end: ContinuousClock.Instant) {
        parked.insert(origin, until: end, now: clock.now)
        guard let pause = parked.pause(of: origin, now: clock.now) else { return }
        for request in Array(waiting.values) + Array(undecided.values) where request.url.origin == origin {
            withdraw(request, Self.isParked(request.url, pause))
        }
    }

    private static func isParked(_ url: FetchURL, _ pause: Duration) -> ImageError {
        ImageError(.originParked, "\(url.origin) is left alone for a while", retryAfter: pause)
    }

    private func admit() {
        while let id = admission.next(now: clock.now) {
            guard var request = waiting.removeValue(forKey: id) else {
                preconditionFailure("admitted an unknown request")
            }
            request.cutCount = admission.cutCount(origin: request.line)
            do {
                try start(request)
            } catch {
                admission.finish(origin: request.line, now: clock.now)
                request.answer(.failure(error))
            }
        }
    }

    private func start(_ request: Request) throws(ImageError) {
        var request = request
        if oldHTTP.contains(request.url.origin, now: clock.now) { request.concessions.insert(.http2) }
        let transfer = try Transfer(
            request, policy: policy, terms: terms(for: request.url),
            onResize: { [unowned self] in admission.resize(from: $0, to: $1) },
            mayConnect: { [unowned self] in mayConnect($0, $1) })
        try multi.add(transfer.easy)
        request.onBytes?(policy.maxBytes)
        running[request.id] = transfer
        runningIDs[transfer.easy.raw] = request.id
    }

    /// Deals with the transfers that have ended; false when there are none.
    private func settle() -> Bool {
        var didSettle = false
        while let (easy, code) = multi.nextFinished() {
            didSettle = true
            guard let transfer = runningIDs[easy].flatMap({ running[$0] }) else { continue }
            switch transfer.conclude(code) {
            case .fetched(let body):
                answered(transfer)
                end(transfer, .success(body))
            case .failed(let error): end(transfer, .failure(judged(error, transfer)))
            case .noPlace:
                leave(transfer)
                enqueue(transfer.request)
            case .redirect(let target, let duration):
                answered(transfer)
                proceed(transfer) { request, policy throws(ImageError) in
                    try request.redirected(to: target, after: duration, policy: policy)
                }
            case .again(let concession, let duration):
                if transfer.hasAnswer { answered(transfer) }
                if concession == .http2 { oldHTTP.insert(transfer.request.url.origin, now: clock.now) }
                proceed(transfer) { request, policy throws(ImageError) in
                    try request.repeated(without: concession, after: duration, policy: policy)
                }
            }
        }
        return didSettle
    }

    /// Goes on with a fetch by another request, which waits in its own origin's line.
    private func proceed(
        _ transfer: Transfer, _ next: (Request, FetchPolicy) throws(ImageError) -> Request
    ) {
        leave(transfer)
        do throws(ImageError) {
            enqueue(try next(transfer.request, policy))
        } catch {
            transfer.request.answer(.failure(error))
        }
    }

    /// Takes a transfer off the network, and gives its place back.
    private func leave(_ transfer: Transfer) {
        multi.remove(transfer.easy)
        runningIDs[transfer.easy.raw] = nil
        running[transfer.request.id] = nil
        admission.finish(
            origin: transfer.request.line, now: clock.now, bytes: transfer.reservedByteCount)
    }

    /// Answers a request that is on the network; one whose name did not resolve when it is known why.
    private func end(_ transfer: Transfer, _ result: Result<FetchedBody, ImageError>) {
        leave(transfer)
        let request = transfer.request
        guard case .failure(let error) = result, error.code == .nameServerFailure else {
            return request.answer(result)
        }
        request.onBytes?(0)
        let host = request.url.host
        let isAsked = unresolved.values.contains { $0.request.url.host == host }
        let deadline = clock.now + policy.connectTimeout
        unresolved[request.id] = Unresolved(request: request, error: error, deadline: deadline)
        guard !isAsked else { return }
        names.ask(host, knownNames: health.knownNames(besides: host), by: deadline) { [mailbox] finding in
            _ = mailbox.send(.explain(finding))
        }
    }

    private func withdraw(_ request: Request, _ error: ImageError) {
        if undecided.removeValue(forKey: request.id) != nil {
            robots.withdraw(request.id, origin: request.url.origin)
        } else {
            waiting[request.id] = nil
            let wasWaiting = admission.withdraw(request.id, origin: request.line, now: clock.now)
            precondition(wasWaiting, "a waiting request was in no line")
        }
        request.answer(.failure(error))
    }

    /// Unknown ids are those that have had their answer.
    private func cancel(_ id: UInt64) {
        let error = ImageError(.cancelled, "the fetch was cancelled")
        if let request = waiting[id] ?? undecided[id] {
            withdraw(request, error)
        } else if let transfer = running[id] {
            end(transfer, .failure(error))
        } else if let given = unresolved.removeValue(forKey: id) {
            given.request.answer(.failure(error))
        }
    }

    /// How long nothing may happen: until an origin's delay ends, and a second at most, so that a standstill shows.
    private var patience: Int32 {
        guard let start = admission.nextStart(now: clock.now) else { return 1000 }
        return Int32(min(max(0, clock.now.duration(to: start).milliseconds + 1), 1000))
    }
}

// Whose fault a failure is.
extension FetchLoop {
    private func answered(_ transfer: Transfer) {
        let url = transfer.request.url
        // Where any certificate will do, an answer says nothing about certificates.
        let isTrusted = url.scheme == "https" && terms(for: url).certificates != .any
        health.answered(host: url.host, isEncrypted: isTrusted, now: clock.now)
    }

    private func cut(_ request: Request) {
        admission.cut(origin: request.line, startedUnder: request.cutCount, now: clock.now)
        cuts.add(admission.takeReports())
    }

    /// The error, or that it is we who fail.
    private func judged(_ error: ImageError, _ transfer: Transfer) -> ImageError {
        let url = transfer.request.url
        switch error.code {
        case .httpStatus:
            answered(transfer)
            if error.isThrottled { cut(transfer.request) }
        case .connectFailed where transfer.hadNoRoute: return judged(error, .routes, url)
        case .timeout where !transfer.didConnect: return judged(error, .connections, url)
        // Perhaps it is HTTP/2 that hangs: the next attempt does without.
        case .timeout where url.scheme == "https" && !transfer.hasAnswer: oldHTTP.insert(url.origin, now: clock.now)
        case .badCertificate: return judged(error, .certificates, url)
        default: break
        }
        return transfer.isRobotsAlone(error) ? unreachable(url.origin, error) : error
    }

    private func judged(_ error: ImageError, _ layer: NetworkHealth<ContinuousClock.Instant>.Layer, _ url: FetchURL)
        -> ImageError
    {
        switch health.failed(layer, host: url.host, now: clock.now) {
        case .ours:
            ImageError(.outage, "this machine seems to be cut off, or its clock to be wrong: \(error.message)")
        case .uncertain where error.disposition == .permanent:
            ImageError(error.code, error.message, disposition: .retry(after: nil))
        case .uncertain, .theirs: error
        }
    }

    /// Answers the requests whose name did not resolve.
    private func explain(_ finding: NameLookup.Finding) {
        if finding.answer == .addresses || finding.knowsOthers == true { health.succeeded(.names, now: clock.now) }
        for (id, given) in unresolved where given.request.url.host == finding.host {
            unresolved[id] = nil
            given.request.answer(.failure(explained(given.error, given.request.url, finding)))
        }
    }

    /// Looking up a name anew takes no longer than connecting may.
    private func giveUpLookups() {
        for given in unresolved.values where given.deadline < clock.now {
            explain(NameLookup.Finding(host: given.request.url.host, answer: .noAnswer, knowsOthers: nil))
        }
    }

    private func explained(_ error: ImageError, _ url: FetchURL, _ finding: NameLookup.Finding) -> ImageError {
        if finding.knowsOthers == false {
            return ImageError(.outage, "the name server here does not even know names that it knew: \(error.message)")
        }
        switch finding.answer {
        case .addresses: return error
        // A store's name is not the job's.
        case .unknownName where url.object != nil: return judged(error, .names, url)
        case .unknownName: return judged(ImageError(.hostNotFound, "host \(url.host) does not exist"), .names, url)
        case .noAnswer: return judged(error, .names, url)
        }
    }
}
