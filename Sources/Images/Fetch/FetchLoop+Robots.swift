/// What sites wish: robots.txt is asked for before an origin's first image, and once for all that wait for it.
extension FetchLoop {
    /// Whether a request may stand in its line. If not, it has its answer, or waits for its origin's robots.txt.
    func mayJoin(_ request: Request) -> Bool {
        let url = request.url
        let terms = terms(for: url)
        guard request.purpose == .image, url.object == nil, terms.optOuts != .off else { return true }
        switch robots.judge(request.id, origin: url.origin, path: url.pathAndQuery, now: clock.now) {
        case .allowed: return true
        case .refused(let rule):
            let message = "\(url.name) does not want this image used: robots.txt says \(rule)"
            request.answer(.failure(ImageError(.optedOut, message)))
        case .failed(let error): request.answer(.failure(error))
        case .waits(let isFirst):
            undecided[request.id] = request
            if isFirst { askForRobots(request) }
        }
        return false
    }

    private func askForRobots(_ image: Request) {
        let origin = image.url.origin
        let reply: Request.Reply = { [mailbox] result in _ = mailbox.send(.robots(origin: origin, result)) }
        robotsCount += 1
        do {
            var request = Request(
                id: Self.robotsIDs | robotsCount, url: try FetchURL(origin + "/robots.txt", policy: policy),
                reply: reply)
            request.purpose = .robots
            // What refuses the origin says how the image came to it.
            request.redirectedFrom = image.redirectedFrom
            enqueue(request)
        } catch {
            reply(.failure(error))
        }
    }

    /// Images are numbered from 1.
    private static var robotsIDs: UInt64 { 1 << 63 }

    /// An origin's robots.txt came, or not: who waited for it goes on.
    func robotsCame(_ origin: String, _ result: Result<FetchedBody, ImageError>) {
        let ids: [UInt64]
        if let finding = finding(origin, result) {
            ids = robots.learn(finding, origin: origin, now: clock.now)
        } else {
            ids = robots.giveUp(origin: origin)
        }
        for request in ids.compactMap({ undecided.removeValue(forKey: $0) }) {
            // Nothing was learnt: images of this origin would fail in the same way.
            if case .failure(let error) = result, finding(origin, result) == nil {
                request.answer(.failure(error))
            } else {
                enqueue(request)
            }
        }
    }

    /// What an answer means (RFC 9309, 2.3.1). Nil: that no image of the origin could be fetched either, whatever the rules.
    private func finding(
        _ origin: String, _ result: Result<FetchedBody, ImageError>
    ) -> RobotsCache<UInt64, ContinuousClock.Instant>.Finding? {
        switch result {
        case .success(let body):
            guard let url = try? FetchURL(origin + "/", policy: policy) else { return nil }
            let terms = terms(for: url)
            return .rules(RobotsRules(body.bytes, agent: terms.agent, obeysOthers: terms.optOuts == .strict))
        case .failure(let error):
            if error.isTrust { return .trusted }
            switch error.code {
            case .httpStatus(let status) where !error.isThrottled && (300...499).contains(status):
                return .rules(RobotsRules())
            case .emptyBody, .tooManyRedirects: return .rules(RobotsRules())
            // A redirect to where nothing is fetched from.
            case .portNotAllowed, .schemeNotAllowed, .userinfo, .invalidURL: return .rules(RobotsRules())
            case .addressNotAllowed where error.origin != origin: return .rules(RobotsRules())
            case .robotsUnreachable: return .unknown(error)
            case .httpStatus: return .unknown(unreachable(origin, error))
            default: return error.origin == nil || error.origin == origin ? nil : .unknown(unreachable(origin, error))
            }
        }
    }

    /// The failure to get a robots.txt from a server that was connected to; images may fare better.
    func unreachable(_ origin: String, _ error: ImageError) -> ImageError {
        ImageError(
            .robotsUnreachable,
            "nobody knows what \(origin) allows, since its robots.txt cannot be had: \(error.message)",
            retryAfter: error.retryAfter ?? .seconds(60))
    }
}

extension ImageError {
    /// The answer to a request for the robots.txt of an origin in an allowed network: it was not sent.
    static let trust = ImageError(.cancelled, "opt-outs are not asked of allowed networks")

    fileprivate var isTrust: Bool { self == Self.trust }
}

extension Transfer {
    /// Whether a failure speaks of the robots.txt and not of the whole server: that was connected to.
    func isRobotsAlone(_ error: ImageError) -> Bool {
        request.purpose == .robots && didConnect
            && [.connectionLost, .badResponse, .tooSlow, .timeout].contains(error.code)
    }
}

extension Request {
    /// Those that RFC 9309 asks for.
    static var robotsRedirects: Int { 5 }
}

extension FetchURL {
    /// The path and the query, as they are sent.
    var pathAndQuery: String {
        let rest = text.dropFirst(scheme.count + 3)
        return rest.firstIndex { $0 == "/" || $0 == "?" }.map { String(rest[$0...]) } ?? "/"
    }
}

extension HostRules.Terms {
    /// The limits of a line of requests.
    var limits: Admission<UInt64, ContinuousClock.Instant>.Limits { .init(places: concurrency, delay: delay) }
}

extension IPAddress {
    /// What stands for an address where limits are counted by it: of IPv6 its first 64 bits, which one site has for itself.
    var limitKey: String {
        let address = mapped ?? self
        return address.family == .v4 ? "\(address)" : CIDR(address, prefixLength: 64)?.description ?? "\(address)"
    }
}
