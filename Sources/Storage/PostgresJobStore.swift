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
    /// - Parameter pulseTimeout: the longest wait for the answer to a heartbeat or a rescue; nil: that of the settings. Others
    ///   take the worker for dead when it waits too long.
    public init(
        _ settings: ConnectionSettings, retryPolicy: RetryPolicy = RetryPolicy(), pulseTimeout: Duration? = nil
    ) {
        work = Session(settings)
        var brisk = settings
        brisk.statementTimeout = pulseTimeout ?? settings.statementTimeout
        brisk.connectTimeout = pulseTimeout ?? settings.connectTimeout
        pulse = Session(brisk)
        listener = Listener(settings, channel: "gloss_ready")
        self.retryPolicy = retryPolicy
    }

    /// The number of the last migration that the database has. Without the schema this is a fatal error.
    public func schemaVersion() async throws -> Int {
        let answer = try await work.query("select gloss.schema_version()", context: "schema version")
        guard let version = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("schema version") }
        return version
    }

    /// Registers this daemon's incarnation.
    public func register(_ worker: WorkerDescription) async throws -> WorkerID {
        let answer = try await work.query(
            "select gloss.register_worker($1, $2, $3, $4::text[], $5::text[])",
            [
                SQLValue(worker.host), SQLValue(worker.pid), SQLValue(worker.version), SQLValue(worker.models),
                SQLValue(worker.tasks.map(\.rawValue)),
            ], context: "register")
        guard let id = answer.scalar.flatMap({ Int64($0) }) else { throw StorageError.unexpected("register") }
        return WorkerID(rawValue: id)
    }

    /// Leases jobs that are due. One that this version cannot read is a failed attempt; another version's may fare better.
    public func claim(limit: Int, by worker: WorkerID) async throws -> [ClaimedJob] {
        let answer = try await work.query(
            "select gloss.claim($1, $2)", [SQLValue(worker.rawValue), SQLValue(limit)], context: "claim")
        var jobs: [ClaimedJob] = []
        var unreadable: [JobReport] = []
        for row in answer.rows {
            let text = (row.first ?? nil) ?? "null"
            do { jobs.append(try JSON.decode(WireJob.self, from: text, context: "claim").claimed) } catch {
                let lease = try JSON.decode(WireLease.self, from: text, context: "claim")
                unreadable.append(lease.unreadable("\(error)"))
            }
        }
        _ = try await record(unreadable)
        return jobs
    }

    /// Says that the worker lives.
    public func heartbeat(_ worker: WorkerID, _ sign: SignOfLife) async throws -> HeartbeatReply {
        let leases = Array(sign.leases.keys)
        let phases = Dictionary(grouping: leases) { sign.leases[$0]!.rawValue }.mapValues { $0.map(\.job) }
        let answer = try await pulse.query(
            """
            select registered, array_to_json(lost), workers
            from gloss.heartbeat($1, $2::bigint[], $3::bigint[], $4::jsonb, $5::jsonb, $6)
            """,
            [
                SQLValue(worker.rawValue), SQLValue(leases.map(\.job.rawValue)), SQLValue(leases.map(\.fence)),
                sign.stages.isEmpty ? nil : try JSON.encode(sign.stages, context: "heartbeat"),
                try JSON.encode(phases, context: "heartbeat"), SQLValue(sign.holdup),
            ], context: "heartbeat")
        guard let row = answer.rows.first, row.count == 3, let workers = row[2].flatMap({ Int($0) }) else {
            throw StorageError.unexpected("heartbeat")
        }
        let lost = Set(try JSON.decode([Int64].self, from: row[1] ?? "[]", context: "heartbeat"))
        return HeartbeatReply(
            isRegistered: row[0] == "t", lostLeases: leases.filter { lost.contains($0.fence) }, workerCount: workers)
    }

    /// Keeps a finished view.
    public func checkpoint(_ view: ViewResponses, under lease: Lease) async throws -> Bool {
        let answer = try await work.query(
            "select gloss.checkpoint($1, $2, $3, $4::jsonb)",
            [
                SQLValue(lease.job.rawValue), SQLValue(lease.fence), SQLValue(view.view),
                try JSON.encode(view, context: "checkpoint"),
            ], context: "checkpoint")
        return answer.scalar == "t"
    }

    /// Ends leases in one statement. If the database refuses the content of one of several reports, they are written
    /// one by one, and the one that is refused becomes a dead job with the database's reason.
    public func record(_ reports: [JobReport]) async throws -> [Receipt] {
        guard !reports.isEmpty else { return [] }
        do {
            return try await send(reports)
        } catch let error as StorageError where error.disposition == .permanent {
            guard let only = reports.first, reports.count == 1 else {
                var receipts: [Receipt] = []
                for report in reports { receipts += try await record([report]) }
                return receipts
            }
            return try await bury(only, because: error)
        }
    }

    private func bury(_ report: JobReport, because error: StorageError) async throws -> [Receipt] {
        let failure = Failure(code: "unrecordable", reason: error.description, disposition: .permanent)
        let receipts = try await send([
            JobReport(lease: report.lease, attempt: report.attempt, outcome: .failed(failure))
        ])
        return receipts.map { $0 == .recorded ? .unrecordable : $0 }
    }

    private func send(_ reports: [JobReport]) async throws -> [Receipt] {
        let wire = reports.map { WireReport($0, retryPolicy: retryPolicy, jitter: .random(in: 0..<1)) }
        let answer = try await work.query(
            "select array_to_json(receipts), ended from gloss.record($1::jsonb)",
            [try JSON.encode(wire, context: "record")], context: "record")
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

    /// Takes back the jobs of silent workers.
    public func rescue(silentFor silence: Duration) async throws -> RescueReport {
        let answer = try await pulse.query(
            "select lost_workers, rescued, poisoned from gloss.rescue(make_interval(secs => $1))",
            [SQLValue(silence.seconds)], context: "rescue")
        let counts = answer.rows.first?.compactMap { $0.flatMap { Int($0) } } ?? []
        guard counts.count == 3 else { throw StorageError.unexpected("rescue") }
        return RescueReport(lostWorkerCount: counts[0], rescuedCount: counts[1], poisonedCount: counts[2])
    }

    /// Gives back leases that the worker does not know of.
    public func releaseUnheld(_ worker: WorkerID, holding leases: [Lease]) async throws -> Int {
        let answer = try await work.query(
            "select gloss.release_unheld($1, $2::bigint[])",
            [SQLValue(worker.rawValue), SQLValue(leases.map(\.fence))], context: "release")
        guard let count = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("release") }
        return count
    }

    /// Says goodbye.
    public func deregister(_ worker: WorkerID) async throws {
        _ = try await work.query(
            "select gloss.deregister_worker($1)", [SQLValue(worker.rawValue)], context: "deregister")
    }

    /// Gives out no job of `host` for a while.
    public func park(host: String, for pause: Duration, reason: String) async throws {
        _ = try await work.query(
            "select gloss.park_host($1, make_interval(secs => $2), $3)",
            [SQLValue(host), SQLValue(pause.seconds), SQLValue(reason)], context: "park")
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

extension StorageError {
    /// The function's answer does not have the form expected.
    static func unexpected(_ context: String) -> StorageError {
        StorageError(
            code: .unexpectedAnswer, context: context, message: "the database gave an answer of another form",
            hint: "Do this program and the schema have the same version?")
    }
}
