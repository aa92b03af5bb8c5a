import Annotation
import Queue

/// Why a daemon claims nothing.
struct HoldUp {
    /// What stands in the way, the most important first.
    enum Cause: Hashable, CaseIterable {
        /// The engine computes what is no number.
        case engine
        /// This machine's network fails.
        case outage
        /// This machine cannot fetch or decode.
        case machine
        /// There is not enough memory.
        case memory
    }

    /// The end of a sentence.
    var reason: String
    /// How long until a job is tried.
    var pause: Duration
    var probeAt: Instant
    /// A job was claimed to find out whether it is over.
    var isProbing = false
    /// Bytes that must be free.
    var wantedBytes: Int?
}

/// What a failure means for its job, its origin and this daemon.
extension WorkState {
    private static let firstPause = Duration.seconds(30)
    private static let longestPause = Duration.seconds(300)
    /// A pause that is shorter is waited for here.
    private static let shortPause = Duration.seconds(3)

    /// Decides about the jobs of an image that cannot be had. What a failure says of an origin or of this machine counts once,
    /// however many jobs wait for the image.
    /// - Parameters:
    ///   - via: the origin of the URL; empty where none was asked.
    ///   - url: the URL; nil if its file came and something else failed.
    mutating func judge(_ leases: [Lease], via: String = "", url: String? = nil, _ failure: ImageFailure) {
        let origin = failure.origin ?? via
        if failure.showsRoute { networkWorks(origin) }
        switch failure.blame {
        case .image, .killedDecoder:
            if url != nil, failure.origin != nil { origins.refused(origin, now) }
            fail(leases, failure, .permanent)
        case .chance(let after):
            guard let url, failure.origin != nil else { return fail(leases, failure, .retry(after: after)) }
            originFailed(leases, origin, via: via, url: url, failure, .url, retryAfter: after)
        case .origin: originFailed(leases, origin, via: via, url: url ?? "", failure, .origin)
        case .busyOrigin(let after):
            originFailed(leases, origin, via: via, url: url ?? "", failure, .patience(retryAfter: after))
        case .parkedOrigin:
            origins.noteDetour(from: via, to: origin, now)
            releaseForHost(leases, origin, url: url ?? "", failure)
        case .network(let part, let isPermanent):
            networkFailed(leases, origin, via: via, url: url ?? "", failure, part, isPermanent: isPermanent)
        case .ownNetwork:
            if holdups[.outage] == nil { outagePart = .route }
            failedInOutage(leases, failure)
        case .machine(let wantedBytes):
            holdUp(wantedBytes == nil ? .machine : .memory, failure.message, wantedBytes: wantedBytes)
            release(leases, outage(failure, delay: Self.firstPause))
        case .standstill: release(leases, outage(failure, delay: .seconds(1)))
        case .lateDecoder: release(leases, outage(failure, delay: Self.firstPause))
        case .cancelled: release(leases, shutdown)
        }
    }

    private mutating func fail(_ leases: [Lease], _ failure: ImageFailure, _ disposition: FailureDisposition) {
        for lease in leases {
            report(lease, .failed(Failure(code: failure.code, reason: failure.message, disposition: disposition)))
        }
    }

    private mutating func release(_ leases: [Lease], _ why: Release) { for lease in leases { release(lease, why) } }

    private func outage(_ failure: ImageFailure, delay: Duration) -> Release {
        Release(.outage, reason: failure.message, code: failure.code, delay: delay)
    }

    // MARK: Origins

    private mutating func originFailed(
        _ leases: [Lease], _ origin: String, via: String, url: String, _ failure: ImageFailure,
        _ kind: OriginHealth.Failure, retryAfter: Duration? = nil, tellsOthers: Bool = true
    ) {
        switch origins.failed(origin, via: via, url: url, kind, reason: failure.message, now) {
        case .urlFails: fail(leases, failure, .retry(after: retryAfter))
        case .unclear(let wait):
            let reason = "\(origin) gave no other image meanwhile: \(failure.message)"
            for lease in leases {
                if jobs[lease]?.claimed.attempt ?? 1 <= OriginHealth.paidAttempts {
                    fail([lease], failure, .retry(after: retryAfter))
                } else {
                    release(lease, Release(.host, reason: reason, code: failure.code, delay: wait))
                }
            }
        case .parks(let pause):
            park(origin, pause, failure.message, tellsOthers: tellsOthers)
            releaseForHost(leases, origin, url: url, failure)
        case .isParked: releaseForHost(leases, origin, url: url, failure)
        }
    }

    /// Parks an origin, for every daemon if it is worth telling: a short pause is not.
    private mutating func park(_ origin: String, _ pause: Duration, _ reason: String, tellsOthers: Bool) {
        emit(.note(.parked(origin: origin, pause: pause, reason: reason)))
        emit(.avoid(origin, for: pause))
        if tellsOthers, pause > Self.shortPause { emit(.park(origin: origin, pause: pause, reason: reason)) }
    }

    private mutating func releaseForHost(_ leases: [Lease], _ origin: String, url: String, _ failure: ImageFailure) {
        let pause = origins.pause(of: origin, for: [url], now)
        let reason = "\(origin) is parked: \(failure.message)"
        release(
            leases,
            Release(
                .host, reason: reason, code: failure.code, delay: pause?.left ?? .seconds(1),
                origin: pause.map { Release.ParkedOrigin($0.origin) }))
    }

    /// Somebody has taken up an origin again that is parked here: a person, or a daemon to which it gave a file.
    mutating func takeUp(_ origin: Release.ParkedOrigin?) {
        guard let origin, origins.takeUp(origin.name) else { return }
        emit(.allow(origin.name))
        emit(.note(.takenUp(origin: origin.name)))
    }

    /// How much longer a job waits for a parked origin, and why; nil if it does not.
    func pause(of job: HeldJob) -> Origins.Pause? {
        job.origins.compactMap { origins.pause(of: $0, for: job.urls, now) }.max { $0.left < $1.left }
    }

    /// Jobs of origins that are parked for longer go back, so that others come to the engine.
    mutating func releaseJobsOfParkedOrigins() {
        guard !origins.parked(now).isEmpty else { return }
        for job in jobsInOrder where job.state == .waiting || job.state == .fetching {
            guard let pause = pause(of: job), pause.left > Self.shortPause else { continue }
            release(
                job.lease,
                Release(
                    .host, reason: pause.reason, code: "origin_parked", delay: pause.left,
                    origin: Release.ParkedOrigin(pause.origin))
            )
        }
    }

    /// When the pause of an origin is over for which a job waits.
    var admissionDeadline: Instant? {
        jobs.values.compactMap { $0.state == .waiting ? pause(of: $0).map { now + $0.left } : nil }.min()
    }

    // MARK: This machine's network

    private mutating func networkFailed(
        _ leases: [Lease], _ origin: String, via: String, url: String, _ failure: ImageFailure,
        _ part: ImageFailure.NetworkPart, isPermanent: Bool
    ) {
        if holdups[.outage] != nil { return failedInOutage(leases, failure) }
        for lease in leases {
            jobs[lease]?.state = .doubtful
            for image in jobs[lease]?.images.values.sorted() ?? [] { abandon(image) }
        }
        origins.doubt(origin, now)
        reachability.add(
            .init(
                keys: leases, failure: failure, part: part, isPermanent: isPermanent, origin: origin, url: url,
                via: via, since: now))
    }

    private mutating func failedInOutage(_ leases: [Lease], _ failure: ImageFailure) {
        let known = holdups[.outage]
        // A job that was to find out whether it is over is not tried again before many others were.
        release(leases, outage(failure, delay: known.map { $0.pause * 10 } ?? .zero))
        holdUp(.outage, known?.reason ?? failure.message)
    }

    /// An origin answered: failures elsewhere are to be believed.
    mutating func networkWorks(_ origin: String) {
        origins.answered(origin)
        for doubt in reachability.worked(origin, parts: ImageFailure.NetworkPart.shown(by: origin)) {
            origins.settleDoubt(doubt.origin)
            if doubt.isPermanent {
                fail(doubt.keys, doubt.failure, .permanent)
            } else {
                originFailed(doubt.keys, doubt.origin, via: doubt.via, url: doubt.url, doubt.failure, .origin)
            }
        }
        if let part = outagePart, ImageFailure.NetworkPart.shown(by: origin).contains(part) { resume(.outage) }
    }

    /// Decides about failures for which no success elsewhere came in time.
    mutating func settleDoubts() {
        guard !reachability.isEmpty else { return }
        if let part = reachability.outage(now) { return beginOutage(part) }
        for doubt in reachability.takeOverdue(now) {
            origins.settleDoubt(doubt.origin)
            // Other daemons may see the origin: they are not told.
            originFailed(
                doubt.keys, doubt.origin, via: doubt.via, url: doubt.url, doubt.failure, .origin, tellsOthers: false)
        }
    }

    private mutating func beginOutage(_ part: ImageFailure.NetworkPart) {
        guard let last = reachability.doubts.last(where: { $0.part == part }) else { return }
        outagePart = part
        holdUp(.outage, "this machine reaches none of several hosts; the last failure: \(last.failure.message)")
    }

    // MARK: Hold-ups

    /// Claims nothing but a job now and then to see whether it is over.
    mutating func holdUp(_ cause: HoldUp.Cause, _ reason: String, wantedBytes: Int? = nil) {
        if var known = holdups[cause] {
            // What was under way when it began says nothing new.
            guard known.isProbing || cause == .memory else { return }
            known.reason = reason
            known.wantedBytes = wantedBytes.map { max($0, known.wantedBytes ?? 0) }
            known.pause = min(known.pause * 2, Self.longestPause)
            known.probeAt = now + known.pause
            known.isProbing = false
            holdups[cause] = known
            return
        }
        holdups[cause] = HoldUp(
            reason: reason, pause: Self.firstPause, probeAt: now + Self.firstPause, wantedBytes: wantedBytes)
        emit(.note(.heldUp(reason)))
        guard cause != .memory else { return }
        for job in jobsInOrder where isHeldBack(job, by: cause) {
            release(job.lease, Release(.outage, reason: reason, code: "held_up"))
        }
    }

    private func isHeldBack(_ job: HeldJob, by cause: HoldUp.Cause) -> Bool {
        switch job.state {
        case .waiting: true
        case .fetching, .doubtful: cause != .machine
        case .ready, .announced: cause == .engine
        case .computing, .reporting: false
        }
    }

    mutating func resume(_ cause: HoldUp.Cause) {
        guard holdups.removeValue(forKey: cause) != nil else { return }
        if cause == .outage { outagePart = nil }
        claiming.mayHaveWork = true
        if holdups.isEmpty { emit(.note(.resumed)) }
    }

    /// The end of a sentence; nil: jobs are claimed.
    var holdupReason: String? { HoldUp.Cause.allCases.compactMap { holdups[$0]?.reason }.first }

    /// Whether a job may be claimed to see whether all is over.
    var mayProbe: Bool {
        holdups[.memory] == nil && holdups.values.allSatisfy { $0.probeAt <= now }
            && !jobs.values.contains { $0.state != .reporting }
    }

    /// When to look again.
    var holdupDeadline: Instant? {
        if holdups[.memory] != nil { return (budget.memory?.at ?? now) + .seconds(1) }
        return holdups.values.map(\.probeAt).max()
    }
}
