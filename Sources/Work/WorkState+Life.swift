import Queue

/// A daemon's registration and its heartbeat.
struct Life {
    /// The statements that fail, with what the database says.
    var failing: [Statement: String] = [:]
    var isRegistering = false
    var wasRegistered = false
    var registerBackoff = Backoff(.milliseconds(500), upTo: .seconds(10))
    var isBeating = false
    var nextBeat: Instant?
    /// Rescuing is for one whose own heart has beaten for a while: after an outage of the database every daemon has been silent.
    var steady: SteadyTimer
    var isRescuing = false
    var isDeregistering = false

    init(longestPause: Duration) { steady = SteadyTimer(longestPause: longestPause) }
}

/// From the registration to the last statement.
extension WorkState {
    mutating func decideLife() {
        switch phase {
        case .idle, .stopped: break
        case .registering: registerIfDue()
        case .working:
            if worker == nil { registerIfDue() } else { beatIfDue() }
        case .draining(let until):
            beatIfDue()
            if now >= until { endDrain() }
        case .leaving(let until, let reason):
            if now >= until { stop(reason) }
        }
    }

    private mutating func registerIfDue() {
        guard !life.isRegistering, life.registerBackoff.isOver(now) else { return }
        life.isRegistering = true
        emit(.register)
    }

    mutating func registered(_ worker: WorkerID) {
        life.isRegistering = false
        life.registerBackoff.succeeded()
        life.failing[.register] = nil
        self.worker = worker
        guard phase == .registering || phase == .working else { return }
        phase = .working
        emit(.note(.registered(worker, isAgain: life.wasRegistered)))
        life.wasRegistered = true
        life.nextBeat = now
        claiming.mayHaveWork = true
        claiming.lookedAt = now
    }

    // MARK: Heartbeat

    private mutating func beatIfDue() {
        guard let worker, !life.isBeating, life.nextBeat.map({ $0 <= now }) ?? false else { return }
        life.isBeating = true
        life.nextBeat = now + settings.heartbeatInterval
        var holdup = holdupReason
        if phase != .working { holdup = "it was told to stop, and finishes what it has begun" }
        emit(.heartbeat(Heartbeat(holding: phases, holdup: holdup), by: worker))
    }

    mutating func heartbeatAnswered(_ reply: HeartbeatReply, by answered: WorkerID) {
        life.isBeating = false
        life.failing[.heartbeat] = nil
        guard answered == worker else { return }
        let steadyTime = life.steady.beat(now)
        if reply.workerCount != origins.daemonCount {
            origins.daemonCount = reply.workerCount
            emit(.share(among: reply.workerCount))
        }
        guard reply.isRegistered else { return takenForDead() }
        lose(reply.lostLeases)
        if phase == .working, steadyTime > settings.rescueAfter, !life.isRescuing {
            life.isRescuing = true
            emit(.rescue)
        }
    }

    /// All leases are gone; what is being recorded is told by the receipts.
    private mutating func takenForDead() {
        lose(jobs.keys.sorted { $0.fence < $1.fence })
        life.steady.miss()
        if phase == .working { worker = nil }
    }

    mutating func rescued(_ report: RescueReport) {
        life.isRescuing = false
        if report != RescueReport() { emit(.note(.rescued(report))) }
    }

    // MARK: Failures of the store

    mutating func storeFailed(_ statement: Statement, _ problem: StoreProblem) {
        emit(.note(.storeFailed(statement, problem)))
        switch statement {
        case .register:
            life.isRegistering = false
            life.registerBackoff.failed(now, jitter: random.fraction())
        case .heartbeat:
            life.isBeating = false
            life.steady.miss()
        case .claim, .releaseUnheld: claimFailed(problem)
        case .wait: wokenUp(isNotified: false)
        case .begin: beginFailed()
        case .checkpoint: checkpointFailed(problem)
        case .record: recordFailed(problem)
        case .rescue: life.isRescuing = false
        case .park: return
        case .deregister: if case .leaving(_, let reason) = phase { return stop(reason) }
        }
        let isTold: Set<Statement> = [.register, .heartbeat, .claim, .record]
        if isTold.contains(statement) { life.failing[statement] = problem.message }
        if problem.kind == .final, statement != .checkpoint { leave(.refused(problem.message)) }
    }

    // MARK: The end

    /// Claims and fetches nothing more. What the engine has begun is finished.
    mutating func beginDrain() {
        switch phase {
        case .idle, .registering: return stop(.asTold)
        case .working: break
        case .draining, .leaving, .stopped: return
        }
        phase = .draining(until: now + settings.drainTimeout)
        for job in jobsInOrder where job.state != .computing { release(job.lease, shutdown) }
        if !jobs.values.allSatisfy({ $0.state == .reporting }) { emit(.askWaiting) }
    }

    /// The time to finish is over.
    private mutating func endDrain() {
        for job in jobsInOrder { release(job.lease, shutdown) }
        // One more try, unless the database is known to be away.
        if recording.backoff.isFailing { leave(.asTold) }
        guard case .draining(let until) = phase, now >= until + settings.farewell else { return }
        leave(.asTold)
    }

    /// Leaves when everything is recorded.
    mutating func decideEnd() {
        guard case .draining = phase, jobs.isEmpty, !claiming.isUnderWay else { return }
        leave(.asTold)
    }

    /// Says goodbye: leases that are still held go back at once.
    private mutating func leave(_ reason: StopReason) {
        if case .leaving = phase { return }
        let left = line
        if !left.isEmpty { emit(.note(.unrecorded(left))) }
        guard let worker else { return stop(reason) }
        phase = .leaving(until: now + settings.farewell, reason)
        emit(.deregister(worker))
    }

    mutating func stop(_ reason: StopReason) {
        phase = .stopped
        updateStatus()
        emit(.stop(reason))
    }

    var lifeDeadline: Instant? {
        switch phase {
        case .idle, .stopped: nil
        case .registering: life.registerBackoff.until
        case .working: worker == nil ? life.registerBackoff.until : life.nextBeat
        case .draining(let until):
            [until > now ? until : until + settings.farewell, life.nextBeat ?? until].filter { $0 > now }.min()
        case .leaving(let until, _): until
        }
    }
}
