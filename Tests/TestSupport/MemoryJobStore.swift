import Annotation
import Queue

/// The queue in memory, for tests of what lies above the store. Its clock stands still until it is told to move.
public actor MemoryJobStore: JobStore {
    private struct Entry {
        var spec: JobSpec
        var key: String?
        var priority: Int
        var life: JobLife
        var views: [ViewResponses] = []
        var record: AnnotationRecord?
    }

    private struct Worker {
        var description: WorkerDescription
        var heartbeat: Duration
        var isAlive = true
    }

    private let policy: RetryPolicy
    private var now: Duration = .zero
    private var entries: [JobID: Entry] = [:]
    private var workers: [WorkerID: Worker] = [:]
    private var parked: [String: Duration] = [:]
    private var lastJob: Int64 = 0
    private var lastFence: Int64 = 0
    private var failures: [any Error] = []

    /// An empty queue.
    public init(retryPolicy: RetryPolicy = RetryPolicy()) { policy = retryPolicy }

    // MARK: For the test

    /// Adds a job.
    @discardableResult
    public func enqueue(
        _ spec: JobSpec, key: String? = nil, priority: Int = 0, maxAttempts: Int = 5, delay: Duration? = nil
    ) -> JobID {
        lastJob += 1
        let life = JobLife(maxAttempts: maxAttempts, dueAt: delay.map { now + $0 })
        entries[JobID(rawValue: lastJob)] = Entry(spec: spec, key: key, priority: priority, life: life)
        return JobID(rawValue: lastJob)
    }

    /// Moves the clock.
    public func advance(by duration: Duration) { now += duration }

    /// Where a job is.
    public func state(of job: JobID) -> JobState? { entries[job]?.life.state }

    /// A job's result.
    public func record(of job: JobID) -> AnnotationRecord? { entries[job]?.record }

    /// The next calls throw these errors, one each.
    public func failNext(_ errors: [any Error]) { failures += errors }

    /// Ends a job as an administrator would.
    public func cancel(_ job: JobID) { entries[job]?.life.cancel() }

    private func failIfAsked() throws {
        if !failures.isEmpty { throw failures.removeFirst() }
    }

    // MARK: JobStore

    /// Makes a worker known.
    public func register(_ worker: WorkerDescription) throws -> WorkerID {
        try failIfAsked()
        let id = WorkerID(number: Int64(workers.count + 1), identity: "worker \(workers.count + 1)")
        workers[id] = Worker(description: worker, heartbeat: now)
        return id
    }

    /// Leases jobs that are due.
    public func claim(_ budget: ClaimBudget, by worker: WorkerID) throws -> [ClaimedJob] {
        try failIfAsked()
        guard let me = workers[worker], me.isAlive else { return [] }
        let due = entries.filter { _, entry in
            entry.life.isDue(at: now) && Self.isServed(entry.spec, by: me.description)
        }
        let order = due.keys.sorted { (due[$0]?.priority ?? 0, $0) < (due[$1]?.priority ?? 0, $1) }
        let held = entries.values.filter { entry in
            if case .leased(worker, _) = entry.life.state { return true }
            return false
        }
        if held.contains(where: \.life.isSuspect) { return [] }
        if let suspect = order.first(where: { due[$0]?.life.isSuspect == true }) {
            return held.isEmpty ? [lease(suspect, to: worker)].compactMap(\.self) : []
        }
        return taken(order, budget).compactMap { lease($0, to: worker) }
    }

    /// The first jobs that fit the budget; the first whatever it costs.
    private func taken(_ order: [JobID], _ budget: ClaimBudget) -> ArraySlice<JobID> {
        var (bytes, seconds) = (0, 0.0)
        let count = order.prefix(max(0, budget.jobs)).enumerated().prefix { index, id in
            guard let spec = entries[id]?.spec else { return false }
            bytes += spec.imageURLs.reduce(0) { $0 + $1.utf8.count }
            seconds += budget.weights.seconds(JobWork(spec), of: spec.task)
            return index == 0 || (bytes <= budget.bytes && seconds <= budget.seconds)
        }.count
        return order.prefix(count)
    }

    private static func isServed(_ spec: JobSpec, by worker: WorkerDescription) -> Bool {
        (spec.model.map { worker.models.contains($0) } ?? true)
            && worker.tasks.contains(spec.task)
    }

    private func lease(_ id: JobID, to worker: WorkerID) -> ClaimedJob? {
        guard var entry = entries[id] else { return nil }
        lastFence += 1
        entry.life.claim(by: worker, fence: lastFence, at: now)
        entries[id] = entry
        return ClaimedJob(
            lease: Lease(job: id, fence: lastFence), key: entry.key, priority: entry.priority,
            attempt: entry.life.attemptCount + 1,
            maxAttempts: entry.life.maxAttempts, rescueCount: entry.life.rescueCount, spec: entry.spec,
            checkpoints: entry.views.sorted { ($0.stage, $0.view) < ($1.stage, $1.view) })
    }

    private func holds(_ lease: Lease) -> Bool {
        if case .leased(_, lease.fence) = entries[lease.job]?.life.state { return true }
        return false
    }

    /// Says that the engine begins jobs.
    public func begin(_ leases: [Lease], by worker: WorkerID) throws {
        try failIfAsked()
        for lease in leases { entries[lease.job]?.life.begin(fence: lease.fence) }
    }

    /// Says that a worker lives.
    public func heartbeat(_ worker: WorkerID, _ heartbeat: Heartbeat) throws -> HeartbeatReply {
        try failIfAsked()
        let isAlive = workers[worker]?.isAlive ?? false
        if isAlive { workers[worker]?.heartbeat = now }
        let living = workers.values.filter { $0.isAlive && now - $0.heartbeat < .seconds(15) }
        return HeartbeatReply(
            isRegistered: isAlive, lostLeases: heartbeat.leases.keys.filter { !holds($0) }, workerCount: living.count)
    }

    /// Keeps a finished view.
    public func checkpoint(_ view: ViewResponses, under lease: Lease, by worker: WorkerID) throws -> Bool {
        try failIfAsked()
        guard holds(lease) else { return false }
        entries[lease.job]?.views.removeAll { ($0.stage, $0.view) == (view.stage, view.view) }
        entries[lease.job]?.views.append(view)
        return true
    }

    /// Ends leases.
    public func record(_ reports: [JobReport], by worker: WorkerID) throws -> [Receipt] {
        try failIfAsked()
        return reports.map { report in
            guard var entry = entries[report.lease.job] else { return .stale }
            if case .leased(let holder, report.lease.fence) = entry.life.state, holder != worker { return .stale }
            let receipt = entry.life.end(
                report.outcome, fence: report.lease.fence, at: now, policy: policy, jitter: 0)
            if receipt == .recorded, case .completed(let record) = report.outcome { entry.record = record }
            entries[report.lease.job] = entry
            return receipt
        }
    }

    /// Takes back the jobs of silent workers.
    public func rescue() throws -> RescueReport {
        try failIfAsked()
        var report = RescueReport()
        for (id, worker) in workers where worker.isAlive && now - worker.heartbeat > worker.description.rescueAfter {
            workers[id]?.isAlive = false
            report.lostWorkerCount += 1
        }
        for (id, entry) in entries {
            guard case .leased(let worker, _) = entry.life.state, workers[worker]?.isAlive != true else { continue }
            entries[id]?.life.rescue()
            if entries[id]?.life.state == .ready { report.rescuedCount += 1 } else { report.poisonedCount += 1 }
        }
        return report
    }

    /// Gives back leases that the worker does not know of.
    public func releaseUnheld(_ worker: WorkerID, holding leases: [Lease]) throws -> Int {
        try failIfAsked()
        let held = Set(leases.map(\.fence))
        var count = 0
        for (id, entry) in entries {
            guard case .leased(worker, let fence) = entry.life.state, !held.contains(fence) else { continue }
            entries[id]?.life.giveBack()
            count += 1
        }
        return count
    }

    /// Says goodbye.
    public func deregister(_ worker: WorkerID) throws {
        try failIfAsked()
        workers[worker]?.isAlive = false
        for (id, entry) in entries {
            if case .leased(worker, _) = entry.life.state { entries[id]?.life.giveBack() }
        }
    }

    /// Notes that an origin is parked; see `isParked`.
    public func park(origin: String, for pause: Duration, reason: String) throws {
        try failIfAsked()
        parked[origin] = max(parked[origin] ?? .zero, now + pause)
    }

    /// Whether an origin is parked. This store gives out its jobs nevertheless.
    public func isParked(_ origin: String) -> Bool { (parked[origin] ?? .zero) > now }

    /// Returns soon.
    public func waitForWork(timeout: Duration) async throws {
        try await Task.sleep(for: min(timeout, .milliseconds(10)))
    }
}
