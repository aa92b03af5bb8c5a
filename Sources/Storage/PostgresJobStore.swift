import Annotation
import FoundationEssentials
import Queue

/// The queue in PostgreSQL. Each call is one statement, of a function in the schema `gloss`, so that no transaction is
/// ever open between two of them.
///
/// Heartbeats and rescues have a connection of their own: a long write must not make the daemon look dead.
public struct PostgresJobStore: JobStore {
    private let work: Session
    private let pulse: Session
    private let listener: Listener
    private let retryPolicy: RetryPolicy

    /// A store; connections are made when first needed.
    /// - Parameters:
    ///   - pulseTimeout: the longest wait for the answer to a heartbeat or a rescue; nil: that of the settings. Others
    ///   take the worker for dead when it waits too long.
    ///   - onNotice: hears what an operator should know, once.
    public init(
        _ settings: ConnectionSettings, retryPolicy: RetryPolicy = RetryPolicy(), pulseTimeout: Duration? = nil,
        onNotice: (@Sendable (String) -> Void)? = nil
    ) {
        work = Session(settings)
        var brisk = settings
        brisk.statementTimeout = pulseTimeout ?? settings.statementTimeout
        brisk.connectTimeout = pulseTimeout ?? settings.connectTimeout
        pulse = Session(brisk)
        listener = Listener(settings, channel: "gloss_ready", onNotice: onNotice)
        self.retryPolicy = retryPolicy
    }

    /// The number of the last migration that the database has. Without the schema this is a fatal error.
    public func schemaVersion() async throws -> Int {
        let answer = try await work.query("select gloss.schema_version()", context: "schema version")
        guard let version = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("schema version") }
        return version
    }

    /// Registers this daemon's run, under an identity that it chooses at random.
    public func register(_ worker: WorkerDescription) async throws -> WorkerID {
        let identity = UUID().uuidString.lowercased()
        // A daemon without adapters makes the call that schemas of before know.
        let adapters = try worker.adapters.isEmpty ? [] : [JSON.encode(worker.adapters, context: "register")]
        let answer = try await work.query(
            "select gloss.register_worker($1, $2, $3, $4::text[], $5::text[], make_interval(secs => $6), $7::uuid"
                + "\(adapters.isEmpty ? "" : ", $8::jsonb"))",
            [
                SQLValue(worker.host), SQLValue(worker.pid), SQLValue(worker.version), SQLValue(worker.models),
                SQLValue(worker.tasks.map(\.rawValue)), SQLValue(worker.rescueAfter.seconds), SQLValue(identity),
            ] + adapters, context: "register")
        guard let number = answer.scalar.flatMap({ Int64($0) }) else { throw StorageError.unexpected("register") }
        return WorkerID(number: number, identity: identity)
    }

    /// Leases jobs that are due. One that this version cannot read is a failed attempt; another version's may fare better.
    /// Where the answer is too large for the server, half as many are asked for.
    public func claim(_ budget: ClaimBudget, by worker: WorkerID) async throws -> [ClaimedJob] {
        do {
            return try await claimOnce(budget, by: worker)
        } catch let error as StorageError where error.isTooLarge && budget.jobs > 1 {
            var less = budget
            less.jobs /= 2
            less.bytes /= 2
            return try await claim(less, by: worker)
        }
    }

    private func claimOnce(_ budget: ClaimBudget, by worker: WorkerID) async throws -> [ClaimedJob] {
        let answer = try await work.query(
            "select to_json(c) from gloss.claim($1, $2::uuid, $3, $4, $5, $6::jsonb) c",
            worker.parameters + [
                SQLValue(Int32(clamping: budget.jobs)), SQLValue(Int32(clamping: budget.bytes)),
                SQLValue(budget.seconds),
                try JSON.encode(budget.weights, context: "claim"),
            ], context: "claim")
        var jobs: [ClaimedJob] = []
        var unreadable: [JobReport] = []
        for row in answer.rows {
            let text = (row.first ?? nil) ?? "null"
            do { jobs.append(try JSON.decode(WireJob.self, from: text, context: "claim").claimed()) } catch {
                let lease = try JSON.decode(WireLease.self, from: text, context: "claim")
                unreadable.append(lease.unreadable("\(error)"))
            }
        }
        _ = try await record(unreadable, by: worker)
        return jobs
    }

    /// Says that the engine begins jobs.
    public func begin(_ leases: [Lease], by worker: WorkerID) async throws {
        _ = try await work.query(
            "select gloss.begin_jobs($1, $2::uuid, $3::bigint[], $4::bigint[])", worker.parameters + leases.parameters,
            context: "begin")
    }

    /// Says that the worker lives.
    public func heartbeat(_ worker: WorkerID, _ heartbeat: Heartbeat) async throws -> HeartbeatReply {
        let leases = Array(heartbeat.leases.keys)
        let phases = Dictionary(grouping: leases) { heartbeat.leases[$0]!.rawValue }.mapValues { $0.map(\.job) }
        let answer = try await pulse.query(
            """
            select registered, array_to_json(lost), workers, allowances
            from gloss.heartbeat($1, $2::uuid, $3::bigint[], $4::bigint[], $5::jsonb, $6::jsonb, $7, $8::jsonb)
            """,
            worker.parameters + leases.parameters + [
                heartbeat.stages.isEmpty ? nil : try JSON.encode(heartbeat.stages, context: "heartbeat"),
                try JSON.encode(phases, context: "heartbeat"), SQLValue(heartbeat.holdup),
                heartbeat.cuts.isEmpty ? nil : try JSON.encode(heartbeat.cuts, context: "heartbeat"),
            ], context: "heartbeat")
        guard let row = answer.rows.first, row.count == 4, let workers = row[2].flatMap({ Int($0) }) else {
            throw StorageError.unexpected("heartbeat")
        }
        let lost = Set(try JSON.decode([Int64].self, from: row[1] ?? "[]", context: "heartbeat"))
        var reply = HeartbeatReply(
            isRegistered: row[0] == "t", lostLeases: leases.filter { lost.contains($0.fence) }, workerCount: workers)
        reply.allowances = try JSON.decode([HostAllowance].self, from: row[3] ?? "[]", context: "heartbeat")
        return reply
    }

    /// Keeps a finished view.
    public func checkpoint(_ view: ViewResponses, under lease: Lease, by worker: WorkerID) async throws -> Bool {
        let answer = try await work.query(
            "select gloss.checkpoint($1, $2::uuid, $3, $4, $5, $6, $7::jsonb)",
            worker.parameters + [
                SQLValue(lease.job.rawValue), SQLValue(lease.fence), SQLValue(view.stage), SQLValue(view.view),
                try JSON.encode(view, context: "checkpoint"),
            ], context: "checkpoint")
        return answer.scalar == "t"
    }

    /// Ends leases in one statement. If the database refuses the content of one of several reports, or all of them are too
    /// much, they are written one by one, and the one that is refused becomes a dead job with the database's reason.
    public func record(_ reports: [JobReport], by worker: WorkerID) async throws -> [Receipt] {
        guard !reports.isEmpty else { return [] }
        do {
            return try await send(reports, by: worker)
        } catch let error as StorageError where error.disposition == .permanent || error.isTooLarge {
            guard let only = reports.first, reports.count == 1 else {
                var receipts: [Receipt] = []
                for report in reports { receipts += try await record([report], by: worker) }
                return receipts
            }
            // The server's want of memory passes.
            guard error.sqlState != "53200" else { throw error }
            return try await bury(only, because: error, by: worker)
        }
    }

    private func bury(_ report: JobReport, because error: StorageError, by worker: WorkerID) async throws -> [Receipt] {
        let failure = Failure(code: "unrecordable", reason: error.description, disposition: .permanent)
        let dead = JobReport(lease: report.lease, attempt: report.attempt, outcome: .failed(failure))
        let receipts = try await send([dead], by: worker)
        return receipts.map { $0 == .recorded ? .unrecordable : $0 }
    }

    private func send(_ reports: [JobReport], by worker: WorkerID) async throws -> [Receipt] {
        let wire = WireReport.all(reports, retryPolicy: retryPolicy)
        let answer = try await work.query(
            "select array_to_json(receipts), ended from gloss.record($1, $2::uuid, $3::jsonb)",
            worker.parameters + [try JSON.encode(wire, context: "record")], context: "record")
        let receipts = try JSON.decode([Receipt].self, from: answer.scalar ?? "[]", context: "record")
        guard receipts.count == reports.count else { throw StorageError.unexpected("record") }
        if let ended = answer.rows[0][1], ended != "{}" { await announce(ended) }
        return receipts
    }

    /// Tells listeners of jobs that have ended, an array as PostgreSQL writes it. What is recorded is recorded: that the
    /// news does not get through is no error.
    private func announce(_ ended: String) async {
        _ = try? await work.query("select gloss.announce($1::bigint[])", [SQLValue(ended)], context: "announce")
    }

    /// Takes back the jobs of silent workers, and does a small chore of the queue's, if one is due. That the chore fails is
    /// no error: another daemon does it, or this one later.
    public func rescue() async throws -> RescueReport {
        let answer = try await pulse.query(
            "select lost_workers, rescued + released, poisoned from gloss.rescue()", context: "rescue")
        let counts = answer.rows.first?.compactMap { $0.flatMap { Int($0) } } ?? []
        guard counts.count == 3 else { throw StorageError.unexpected("rescue") }
        _ = try? await pulse.query("select gloss.maintain()", context: "maintain")
        return RescueReport(lostWorkerCount: counts[0], rescuedCount: counts[1], poisonedCount: counts[2])
    }

    /// Gives back leases that the worker does not know of.
    public func releaseUnheld(_ worker: WorkerID, holding leases: [Lease]) async throws -> Int {
        let answer = try await work.query(
            "select gloss.release_unheld($1, $2::uuid, $3::bigint[])",
            worker.parameters + [SQLValue(leases.map(\.fence))], context: "release")
        guard let count = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("release") }
        return count
    }

    /// Says goodbye.
    public func deregister(_ worker: WorkerID) async throws {
        _ = try await work.query(
            "select gloss.deregister_worker($1, $2::uuid)", worker.parameters, context: "deregister")
    }

    /// Gives out no job with an image of `origin` for a while.
    public func park(origin: String, for pause: Duration, reason: String) async throws {
        _ = try await work.query(
            "select gloss.park_origin($1, make_interval(secs => $2), $3)",
            [SQLValue(origin), SQLValue(pause.seconds), SQLValue(reason)], context: "park")
    }

    /// How many jobs of each task and model are in which state; the model `""` is any.
    public func queueMetrics() async throws -> [QueueDepth] {
        try await work.rows(
            WireDepth.self, "select * from gloss.queue_metrics() order by task, model", context: "queue metrics"
        ).map(\.depth)
    }

    /// Waits for a notification, for `timeout` at most. Without a listening connection it just waits.
    public func waitForWork(timeout: Duration) async throws {
        await listener.wait(timeout: timeout)
    }

    /// Closes all connections.
    public func close() async {
        await work.close()
        await pulse.close()
        await listener.close()
    }
}

/// A row of `gloss.queue_metrics`.
private struct WireDepth: Decodable {
    var task: String
    var model: String
    var waiting: Int
    var running: Int
    var done: Int
    var dead: Int
    var oldest_seconds: Double?

    var depth: QueueDepth {
        QueueDepth(
            task: task, model: model, waiting: waiting, running: running, done: done, dead: dead,
            oldestSeconds: oldest_seconds)
    }
}

extension WorkerID {
    /// Who writes: number and identity, the first parameters of each call.
    fileprivate var parameters: [SQLValue] { [SQLValue(number), SQLValue(identity)] }
}

extension [Lease] {
    /// Their jobs and their fences.
    fileprivate var parameters: [SQLValue] { [SQLValue(map(\.job.rawValue)), SQLValue(map(\.fence))] }
}

extension StorageError {
    /// The function's answer does not have the form expected.
    static func unexpected(_ context: String) -> StorageError {
        StorageError(
            code: .unexpectedAnswer, context: context, message: "the database gave an answer of another form",
            hint: "Do this program and the schema have the same version?")
    }
}
