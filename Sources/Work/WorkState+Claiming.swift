import Annotation
import Queue

/// How a daemon claims.
struct Claiming {
    /// A claim or a release is under way.
    var isUnderWay = false
    /// A claim failed: the database may have leased jobs of which this daemon knows nothing.
    var isUncertain = false
    /// When it was last looked for such leases. A claim may be executed after its connection broke, and a failover may undo a record.
    var lookedAt: Instant?
    /// The last claim found something, or there was a notification since.
    var mayHaveWork = true
    /// A wait for a notification is under way.
    var isWaiting = false
    /// There was a notification since the last claim: something urgent may have come.
    var isNotified = false
    /// One job more than wanted was claimed because of a notification.
    var hasExtra = false
    var backoff = Backoff(.milliseconds(200), upTo: .seconds(5))
    /// Bytes of a claim: halved when the database finds an answer too large.
    var bytes: Int
    /// The most jobs held that will come to the engine soon: one more for each job done, so that what is claimed before costs are
    /// known is little.
    var window = 2
    /// When jobs of slow origins last went back.
    var deferredAt: Instant?
}

/// Claims by cost: what the engine works on, and about `ahead` seconds more.
extension WorkState {
    /// What is on its way to the engine, beside what the engine works on.
    private struct Supply {
        /// Jobs that come to the engine soon, those in it included.
        var livelyCount = 0
        /// Of these, jobs beyond those that fill the engine, and their seconds.
        var aheadCount = 0
        var aheadSeconds = 0.0
    }

    /// After so long without progress a job's images are not counted on.
    private static let stallTime = Duration.seconds(2)
    private static let deferral = Duration.seconds(1)
    /// So many jobs beyond those that fill the engine are kept, whatever they cost.
    private static let fewJobs = 3

    mutating func claimed(_ claimed: [ClaimedJob], by claimer: WorkerID) {
        claiming.isUnderWay = false
        claiming.backoff.succeeded()
        life.failing[.claim] = nil
        claiming.bytes = min(claiming.bytes * 2, settings.claimBytes)
        guard !claimed.isEmpty else { return }
        claiming.mayHaveWork = true
        emit(.note(.claimed(claimed.count)))
        guard claimer == worker else { return emit(.note(.lost(claimed.map(\.lease)))) }
        for claim in claimed where jobs[claim.lease] == nil {
            add(HeldJob(claim, engine: engine, originOf: originOf, now: now))
            if phase != .working {
                release(claim.lease, shutdown)
            } else if let refusal = claim.spec.task.definition.refusal(engine.vocabulary) {
                // No image would change that.
                report(
                    claim.lease,
                    .failed(Failure(code: refusal.code, reason: refusal.reason, disposition: .permanent)))
            }
        }
    }

    mutating func releasedUnheld(_ count: Int) {
        claiming.isUnderWay = false
        claiming.isUncertain = false
        claiming.backoff.succeeded()
        if count > 0 { emit(.note(.gaveBack(count: count))) }
    }

    mutating func wokenUp(isNotified: Bool) {
        claiming.isWaiting = false
        if isNotified { claiming.isNotified = true }
        claiming.mayHaveWork = true
    }

    mutating func claimFailed(_ problem: StoreProblem) {
        claiming.isUnderWay = false
        claiming.isUncertain = true
        claiming.mayHaveWork = true
        claiming.backoff.failed(now, jitter: random.fraction())
        if problem.kind == .tooLarge { claiming.bytes = max(1, claiming.bytes / 2) }
    }

    /// When it is time to look for leases that nobody works on.
    var lookDeadline: Instant? { phase == .working ? claiming.lookedAt.map { $0 + settings.rescueAfter } : nil }

    mutating func decideClaim() {
        guard phase == .working, let worker else { return }
        waitForWork()
        guard !claiming.isUnderWay, claiming.backoff.isOver(now) else { return }
        if claiming.isUncertain || claiming.lookedAt.map({ now - $0 >= settings.rescueAfter }) ?? false {
            claiming.isUnderWay = true
            claiming.lookedAt = now
            return emit(.releaseUnheld(holding: jobs.keys.sorted { $0.fence < $1.fence }, by: worker))
        }
        guard claiming.mayHaveWork, let (wanted, isExtra) = wantedClaim() else { return }
        var claim = wanted
        guard hasMemory() else { return }
        if !holdups.isEmpty {
            guard mayProbe else { return }
            claim.jobs = 1
            for cause in holdups.keys { holdups[cause]?.isProbing = true }
        }
        claiming.isUnderWay = true
        claiming.mayHaveWork = false
        claiming.isNotified = false
        claiming.hasExtra = isExtra
        emit(.claim(claim, by: worker))
    }

    private mutating func waitForWork() {
        guard !claiming.isWaiting else { return }
        claiming.isWaiting = true
        emit(.waitForWork(settings.pollInterval))
    }

    /// What to claim now, and whether that is more than the engine needs; nil: nothing.
    private mutating func wantedClaim() -> (ClaimBudget, isExtra: Bool)? {
        let supply = supply()
        let ahead = settings.ahead / .seconds(1)
        guard supply.aheadCount == 0 || supply.aheadSeconds < ahead / 2 else {
            return urgentClaim().map { ($0, true) }
        }
        if jobs.count >= settings.maxJobs { deferBlockedJobs() }
        // While no image comes, more are asked for.
        if supply.livelyCount == 0, !jobs.isEmpty, queries.isEmpty { claiming.window *= 2 }
        claiming.window = min(claiming.window, settings.maxJobs)
        let window = claiming.window
        let room = min(settings.maxJobs - jobs.count, window - supply.livelyCount)
        // A few at a time rather than one with each job that leaves.
        guard room > 0, room >= window / 4 || supply.aheadCount == 0 else { return nil }
        let claim = ClaimBudget(
            jobs: costs.isMeasured || window > 2 ? room : 1, bytes: claiming.bytes,
            seconds: max(0, ahead - supply.aheadSeconds),
            weights: costs.weights)
        return (claim, false)
    }

    /// One job more than the engine needs, once, after a notification: it may come before all that is held.
    private func urgentClaim() -> ClaimBudget? {
        guard claiming.isNotified, !claiming.hasExtra, jobs.count < settings.maxJobs else { return nil }
        return ClaimBudget(jobs: 1, bytes: claiming.bytes, seconds: 0, weights: costs.weights)
    }

    private func secondsLeft(_ job: HeldJob, _ weights: WorkWeights) -> Double {
        weights.seconds(job.work, of: job.claimed.spec.task) * job.shareLeft
    }

    private func supply() -> Supply {
        var supply = Supply()
        let weights = costs.weights
        var rowCount = 0
        // Seconds until each origin has a place for the next job.
        var backlogs: [String: Double] = [:]
        for job in jobsInOrder where job.state != .reporting && !isStalled(job, &backlogs) {
            supply.livelyCount += 1
            if job.state == .computing && rowCount < settings.engineRows {
                rowCount += job.rowCount
                continue
            }
            supply.aheadCount += 1
            supply.aheadSeconds += secondsLeft(job, weights)
        }
        return supply
    }

    /// Whether a job will not come to the engine soon: its origins have no place for it, or are slow.
    private func isStalled(_ job: HeldJob, _ backlogs: inout [String: Double]) -> Bool {
        switch job.state {
        case .doubtful: return true
        case .fetching: return now - job.movedAt >= Self.stallTime
        case .ready, .announced, .computing, .reporting: return false
        case .waiting:
            var wait = pause(of: job).map { $0.left / .seconds(1) } ?? 0
            for origin in job.origins {
                let backlog = backlogs[origin] ?? origins.backlogSeconds(origin, now)
                wait = max(wait, backlog)
                let count = Double(job.imageIndices.count) / Double(job.origins.count)
                backlogs[origin] = backlog + origins.secondsPerFetch(origin, now) * count
            }
            return .seconds(wait) >= Self.stallTime
        }
    }

    /// When the next job is stalled, so that others may be claimed.
    var stallDeadline: Instant? {
        guard phase == .working, claiming.mayHaveWork else { return nil }
        let stalls = jobs.values.filter { $0.state == .fetching }.map { $0.movedAt + Self.stallTime }
        return (stalls + [claiming.deferredAt.map { $0 + Self.deferral }].compactMap(\.self)).filter { $0 > now }.min()
    }

    /// Makes room where a slow origin's jobs take it all and the engine has nothing to do: of those that wait for a place most go back,
    /// each until about the time when there is one for it.
    private mutating func deferBlockedJobs() {
        guard claiming.deferredAt.map({ now - $0 >= Self.deferral }) ?? true else { return }
        let blocked = jobsInOrder.filter { $0.state == .waiting && isBlocked($0) }
        guard blocked.count >= max(2, settings.maxJobs / 2) else { return }
        claiming.deferredAt = now
        for job in blocked.dropFirst(settings.maxJobs / 4) {
            let origin = job.origins.first ?? ""
            let delay = origins.plan(job.imageIndices.count, origin, now)
            let reason = "\(origin) is slow, and this daemon holds enough jobs that wait for it"
            release(job.lease, Release(.surplus, reason: reason, code: "slow_origin", delay: delay))
        }
    }

    /// Gives back what others may do sooner: work that turned out to cost several times what was thought, or that came all at once from
    /// a slow origin.
    mutating func releaseSurplus() {
        guard phase == .working, costs.isMeasured, jobs.count > Self.fewJobs else { return }
        let most = 4 * (settings.ahead / .seconds(1))
        var supply = supply()
        guard supply.aheadSeconds > most, supply.aheadCount > Self.fewJobs else { return }
        let weights = costs.weights
        for job in jobsInOrder.reversed() where supply.aheadCount > Self.fewJobs && supply.aheadSeconds > most / 4 {
            guard job.state == .waiting && !isBlocked(job) || job.state == .ready else { continue }
            supply.aheadCount -= 1
            supply.aheadSeconds -= secondsLeft(job, weights)
            release(job.lease, Release(.surplus, reason: "this daemon holds more than it can do soon", code: "surplus"))
        }
    }

    var shutdown: Release { Release(.shutdown, reason: "the daemon stopped before it was done", code: "shutdown") }
}
