import Annotation
import Queue

@testable import Work

/// A queue as PostgreSQL keeps it, as far as a daemon can tell.
final class SimulatedStore {
    enum Place: Equatable {
        case ready
        case scheduled(Instant)
        case leased(WorkerID, fence: Int64)
        case done
        case dead(String)
    }

    struct Job {
        let id: JobID
        let spec: JobSpec
        let priority: Int
        var place = Place.ready
        /// The parked origin for which it waits.
        var origin: String?
        var attemptCount = 0
        var rescueCount = 0
        var releases: [Release.Cause: Int] = [:]
        var isBegun = false
        var endedAt: Instant?
        var beganAt: Instant?
        /// In the order of stage and view.
        var views: [ViewResponses] = []

        mutating func keep(_ view: ViewResponses) {
            views.removeAll { ($0.stage, $0.view) == (view.stage, view.view) }
            views.append(view)
            views.sort { ($0.stage, $0.view) < ($1.stage, $1.view) }
        }
    }

    /// How a statement runs.
    struct Run {
        var seconds = 0.004
        var isExecuted = true
        var problem: StoreProblem?
    }

    enum Mood { case well, failing, silent, refusing }

    var mood = Mood.well
    /// The answers of these statements get lost.
    var lossProbability = 0.0
    var problem = StoreProblem(.passing, "the database is away")
    /// Claims of more bytes fail.
    var mostClaimBytes = Int.max
    private(set) var jobs: [Int64: Job] = [:]
    private(set) var claims: [ClaimBudget] = []
    private(set) var parked: [String: Instant] = [:]
    private(set) var checkpointCount = 0, rescueCount = 0
    private var workers: [Int64: (worker: WorkerID, heartbeat: Instant, isAlive: Bool)] = [:]
    private var order: [Int64] = []
    private var lastFence: Int64 = 0
    private var lastWorker: Int64 = 0
    private var waiters: [() -> Void] = []

    // MARK: For the test

    @discardableResult
    func enqueue(_ spec: JobSpec, priority: Int = 0) -> Int64 {
        let id = Int64(jobs.count + 1)
        jobs[id] = Job(id: JobID(rawValue: id), spec: spec, priority: priority)
        order.append(id)
        for waiter in waiters { waiter() }
        waiters = []
        return id
    }

    /// Somebody says that an origin is well again.
    func unpark(_ origin: String) {
        parked[origin] = nil
        for (id, job) in jobs where job.origin == origin {
            if case .scheduled = job.place { jobs[id]?.place = .ready }
        }
    }

    func cancel(_ id: Int64) { jobs[id]?.place = .dead("cancelled") }

    /// Leases jobs to a daemon that does not learn of it: a claim is executed after its connection broke, or a failover undoes a record.
    func leaseUnknown(_ count: Int, to worker: WorkerID, _ now: Instant) {
        _ = claim(ClaimBudget(jobs: count), worker, now)
    }

    /// What an earlier daemon kept of a job is changed.
    func change(_ id: Int64, _ change: (inout [ViewResponses]) -> Void) { change(&jobs[id]!.views) }

    /// Takes every daemon for dead.
    func forgetWorkers(except alive: WorkerID? = nil) {
        for (number, entry) in workers where entry.worker != alive { takeBack(number) }
    }

    var openCount: Int { jobs.values.filter { $0.endedAt == nil && $0.place != .dead("cancelled") }.count }
    var deadCount: Int {
        jobs.values.filter { if case .dead = $0.place { $0.place != .dead("cancelled") } else { false } }.count
    }
    var doneCount: Int { jobs.values.filter { $0.place == .done }.count }

    func heldCount(by daemon: SimulatedDaemon) -> Int {
        jobs.values.filter {
            if case .leased(let worker, _) = $0.place { worker == daemon.state.worker } else { false }
        }.count
    }

    // MARK: Statements

    func statement(_ effect: Effect) -> Statement {
        switch effect {
        case .register: .register
        case .claim: .claim
        case .releaseUnheld: .releaseUnheld
        case .waitForWork: .wait
        case .begin: .begin
        case .checkpoint: .checkpoint
        case .record: .record
        case .heartbeat: .heartbeat
        case .rescue: .rescue
        case .park: .park
        case .deregister: .deregister
        default: preconditionFailure("no statement: \(effect)")
        }
    }

    func plan(_ statement: Statement, _ world: World) -> Run {
        var run = Run(seconds: world.between(0.002, 0.01))
        switch mood {
        case .well:
            if world.chance(lossProbability) {
                run.problem = StoreProblem(.passing, "connection lost")
                run.isExecuted = world.chance(0.5)
            }
        case .failing:
            run.isExecuted = false
            run.problem = problem
        case .silent:
            run.seconds = 20
            run.isExecuted = world.chance(0.5)
            run.problem = StoreProblem(.passing, "no answer")
        case .refusing:
            run.isExecuted = false
            run.problem = StoreProblem(.final, "permission denied")
        }
        return run
    }

    /// What a statement does and answers.
    func execute(_ effect: Effect, _ world: World) -> Event? {
        let now = world.now
        switch effect {
        case .register:
            lastWorker += 1
            let worker = WorkerID(number: lastWorker, identity: "\(lastWorker)")
            workers[lastWorker] = (worker, now, true)
            return .registered(worker)
        case .claim(let budget, let worker):
            claims.append(budget)
            if budget.bytes > mostClaimBytes { return .storeFailed(.claim, StoreProblem(.tooLarge, "too large")) }
            return .claimed(claim(budget, worker, now), by: worker)
        case .releaseUnheld(let held, let worker): return .releasedUnheld(count: releaseUnheld(held, worker))
        case .begin(let leases, _):
            for lease in leases where holds(lease) {
                jobs[lease.job.rawValue]?.isBegun = true
                jobs[lease.job.rawValue]?.beganAt = now
            }
            return .begun
        case .checkpoint(let view, let lease, _):
            checkpointCount += 1
            if holds(lease) { jobs[lease.job.rawValue]?.keep(view) }
            return .checkpointed(lease, holds: holds(lease))
        case .record(let reports, _): return .recorded(reports.map { record($0, now) })
        case .heartbeat(let heartbeat, let worker):
            let isAlive = workers[worker.number]?.isAlive ?? false
            if isAlive { workers[worker.number]?.heartbeat = now }
            let lost = heartbeat.leases.keys.filter { !holds($0) }
            let living = workers.values.filter { $0.isAlive && now - $0.heartbeat < .seconds(15) }.count
            return .heartbeatAnswered(
                HeartbeatReply(isRegistered: isAlive, lostLeases: lost, workerCount: max(1, living)), by: worker)
        case .rescue:
            rescueCount += 1
            var report = RescueReport()
            for (number, entry) in workers where entry.isAlive && now - entry.heartbeat > .seconds(15) {
                report.lostWorkerCount += 1
                report.rescuedCount += takeBack(number)
            }
            return .rescued(report)
        case .park(let origin, let pause, _):
            parked[origin] = now + pause
            return .parked(origin: origin)
        case .deregister(let worker):
            _ = releaseUnheld([], worker)
            workers[worker.number]?.isAlive = false
            return .deregistered
        default: return nil
        }
    }

    /// Calls back when the next job is enqueued.
    func onEnqueue(_ waiter: @escaping () -> Void) { waiters.append(waiter) }

    private func holds(_ lease: Lease) -> Bool {
        if case .leased(_, lease.fence) = jobs[lease.job.rawValue]?.place { return true }
        return false
    }

    private func claim(_ budget: ClaimBudget, _ worker: WorkerID, _ now: Instant) -> [ClaimedJob] {
        guard workers[worker.number]?.isAlive == true else { return [] }
        var claimed: [ClaimedJob] = []
        var seconds = 0.0
        let due = order.filter { isDue($0, now) }
        for id in due.sorted(by: { (jobs[$0]!.priority, $0) < (jobs[$1]!.priority, $1) }) {
            guard claimed.count < budget.jobs, var job = jobs[id] else { break }
            let cost = budget.weights.seconds(JobWork(job.spec), of: job.spec.task)
            if !claimed.isEmpty && seconds + cost > budget.seconds { break }
            let waits = job.spec.imageURLs.compactMap(SimulatedWeb.origin).compactMap { name in
                parked[name].map { (name, until: $0) }
            }
            if let (name, until) = waits.max(by: { $0.until < $1.until }), until > now {
                (jobs[id]!.place, jobs[id]!.origin) = (.scheduled(until), name)
                continue
            }
            lastFence += 1
            job.place = .leased(worker, fence: lastFence)
            job.isBegun = false
            jobs[id] = job
            seconds += cost
            claimed.append(
                ClaimedJob(
                    lease: Lease(job: job.id, fence: lastFence), priority: job.priority, attempt: job.attemptCount + 1,
                    rescueCount: job.rescueCount, spec: job.spec,
                    checkpoints: job.views))
        }
        return claimed
    }

    private func isDue(_ id: Int64, _ now: Instant) -> Bool {
        switch jobs[id]?.place {
        case .ready: true
        case .scheduled(let at): at <= now
        default: false
        }
    }

    private func record(_ report: JobReport, _ now: Instant) -> Receipt {
        guard holds(report.lease), var job = jobs[report.lease.job.rawValue] else { return .stale }
        defer { jobs[report.lease.job.rawValue] = job }
        switch report.outcome {
        case .completed:
            job.place = .done
            job.endedAt = now
        case .failed(let failure):
            job.attemptCount += 1
            if case .retry(let after) = failure.disposition, job.attemptCount < 5 {
                job.place = .scheduled(now + (after ?? .seconds(1 << job.attemptCount)))
            } else {
                job.place = .dead(failure.code)
                job.endedAt = now
            }
        case .released(let release):
            job.releases[release.cause, default: 0] += 1
            if let origin = release.origin, origin.isConfirmed, parked[origin.name] == nil {
                job.place = .ready
                return .unparked
            }
            job.place = release.delay > .zero ? .scheduled(now + release.delay) : .ready
            job.origin = release.origin?.name
        }
        return .recorded
    }

    private func releaseUnheld(_ held: [Lease], _ worker: WorkerID) -> Int {
        let fences = Set(held.map(\.fence))
        var count = 0
        for (id, job) in jobs {
            guard case .leased(worker, let fence) = job.place, !fences.contains(fence) else { continue }
            jobs[id]?.place = .ready
            count += 1
        }
        return count
    }

    @discardableResult
    private func takeBack(_ number: Int64) -> Int {
        guard let worker = workers[number]?.worker else { return 0 }
        workers[number]?.isAlive = false
        var count = 0
        for (id, job) in jobs {
            guard case .leased(worker, _) = job.place else { continue }
            jobs[id]?.place = .ready
            if job.isBegun { jobs[id]?.rescueCount += 1 }
            count += 1
        }
        return count
    }
}
