import Annotation
import Queue

extension Administration {
    /// Jobs, newest first, below the number `before`.
    public func jobs(_ filter: JobFilter = JobFilter(), limit: Int = 50, before: JobID? = nil) async throws -> [JobRow]
    {
        try await session.rows(
            JobRow.self, "select * from gloss.jobs($1, $2, $3, $4, $5::int, $6::bigint)",
            [
                SQLValue(filter.state), SQLValue(filter.batch), SQLValue(filter.task?.rawValue), SQLValue(filter.key),
                SQLValue(limit), SQLValue(before?.rawValue),
            ], context: "jobs")
    }

    /// All about one job, or nil if there is none of that number.
    public func job(_ id: JobID) async throws -> JobDetail? {
        let number = SQLValue(id.rawValue)
        let found = try await session.rows(
            JobRow.self, "select * from gloss.job_state where job_id = $1", [number], context: "job")
        guard let job = found.first else { return nil }
        let attempts = try await session.rows(
            AttemptRow.self,
            """
            select at, attempt, outcome, code, reason, worker from gloss.attempt where job_id = $1 order by fence
            """, [number], context: "job")
        let spec = try await session.query(
            "select array_to_json(image_urls), spec from gloss.job where id = $1", [number], context: "job")
        guard let row = spec.rows.first else { return nil }
        return JobDetail(
            job: job, imageURLs: try JSON.decode([String].self, from: row[0] ?? "[]", context: "job"),
            specJSON: row[1] ?? "{}", explanation: try await explain(id), attempts: attempts)
    }

    /// Why a job is where it is, line by line.
    public func explain(_ id: JobID) async throws -> [String] {
        let answer = try await session.query(
            "select gloss.explain($1)", [SQLValue(id.rawValue)], context: "explain")
        return answer.rows.compactMap { $0.first ?? nil }
    }

    /// Ends jobs that are neither done nor dead; a worker that holds one drops it.
    /// - Returns: how many.
    @discardableResult
    public func cancel(_ selection: JobSelection) async throws -> Int { try await change("cancel", selection) }

    /// Runs jobs again that are done or dead. Their keys stay theirs, and old results go to `gloss.superseded`.
    /// - Returns: how many.
    @discardableResult
    public func rerun(_ selection: JobSelection) async throws -> Int { try await change("rerun", selection) }

    /// Deletes jobs that are done, dead or pruned, with their results and keys; some thousands a transaction.
    /// - Parameter onProgress: gets how many are deleted so far, after each transaction.
    /// - Returns: how many.
    @discardableResult
    public func forget(_ selection: JobSelection, onProgress: (Int) -> Void = { _ in }) async throws -> Int {
        var total = 0
        while case let count = try await change("forget", selection), count > 0 {
            total += count
            onProgress(total)
        }
        return total
    }

    /// Deletes what is older than it has to be kept, and what is empty afterwards.
    /// - Parameters:
    ///   - most: rows of each kind in one transaction.
    ///   - onProgress: gets what is deleted so far, after each transaction.
    @discardableResult
    public func prune(
        _ keeping: Retention, most: Int = 10_000, onProgress: (Pruned) -> Void = { _ in }
    ) async throws -> Pruned {
        var total = Pruned()
        while true {
            let answer = try await session.transact(
                "select * from gloss.prune($1::interval, $2::interval, $3::interval, $4::interval, $5::int)",
                [
                    SQLValue(keeping.history), SQLValue(keeping.results), SQLValue(keeping.dead),
                    SQLValue(keeping.keys), SQLValue(most),
                ], context: "prune")
            let counts = answer.rows.first?.compactMap { $0.flatMap { Int($0) } } ?? []
            guard counts.count == 4 else { throw StorageError.unexpected("prune") }
            guard counts.contains(where: { $0 > 0 }) else { break }
            total.attempts += counts[0]
            total.results += counts[1]
            total.dead += counts[2]
            total.keys += counts[3]
            onProgress(total)
        }
        try await maintain()
        return total
    }

    /// Adds up counts and removes what is empty, until nothing is left to do.
    private func maintain() async throws {
        while true {
            let answer = try await session.transact("select * from gloss.maintain(true)", context: "maintain")
            let counts = answer.rows.first?.compactMap { $0.flatMap { Int($0) } } ?? []
            guard counts.contains(where: { $0 > 0 }) else { return }
        }
    }

    /// Gives out no jobs of a batch, of a task, of a host or at all. Jobs that are held run on.
    public func pause(_ selection: JobSelection) async throws { _ = try await change("pause", selection) }

    /// Undoes `pause`.
    public func resume(_ selection: JobSelection) async throws { _ = try await change("resume", selection) }

    private func change(_ verb: String, _ selection: JobSelection) async throws -> Int {
        let (argument, value): (String, SQLValue) =
            switch selection {
            case .job(let id): ("job => $1::bigint", SQLValue(id.rawValue))
            case .batch(let name): ("batch => $1::text", SQLValue(name))
            case .task(let task): ("task => $1::text", SQLValue(task.rawValue))
            case .host(let name): ("host => $1::text", SQLValue(name))
            case .everything: ("everything => $1::bool", SQLValue(true))
            }
        let answer = try await session.transact("select gloss.\(verb)(\(argument))", [value], context: verb)
        return answer.scalar.flatMap { Int($0) } ?? 0
    }
}

/// A job as `gloss.enqueue_json` takes it. The names are those of `gloss.inbox`.
struct WireSubmission: Encodable {
    var task: TaskName
    var image_urls: [String]
    var texts: [String]
    var key: String?
    var batch: String?
    var priority: Int
    var run_in: Double
    var max_attempts: Int
    var model: String?
    var language: String
    var style: String
    var score: ResponseScore
    var background: String?
    var max_tokens: Int
    var samples: Int
    var beams: Int
    var temperature: Double
    var top_k: Int
    var top_p: Double
    var seed: UInt64
    // Nil: the default, as the queue itself has it.
    var pick: SamplePick?
    var continue_from: String?
    var max_repeats: Int?
    var token_scores: Bool?
    var options: [String]?
    var follow_ups: [String]?
    var ignore: [String]?
    var draw_box: WireBox?

    init(_ spec: JobSpec, _ options: EnqueueOptions) {
        (task, image_urls, texts, model) = (spec.task, spec.imageURLs, spec.texts, spec.model)
        (language, style, score) = (spec.language, spec.style, spec.score)
        background = spec.background.map { value in
            let digits = String(value, radix: 16)
            return "#" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
        }
        (key, batch, priority) = (options.key, options.batch, options.priority)
        (run_in, max_attempts) = (options.delay.seconds, options.maxAttempts)
        (max_tokens, samples, beams) = (spec.settings.maxTokens, spec.settings.samples, spec.settings.beams)
        (temperature, seed) = (spec.settings.temperature, spec.settings.seed)
        (top_k, top_p) = (spec.settings.topK, spec.settings.topP)
        if spec.settings.pick != .all { pick = spec.settings.pick }
        if !spec.settings.continueFrom.isEmpty { continue_from = spec.settings.continueFrom }
        if spec.settings.maxRepeats != 0 { max_repeats = spec.settings.maxRepeats }
        if spec.settings.tokenScores { token_scores = true }
        if !spec.options.isEmpty { self.options = spec.options }
        if !spec.followUps.isEmpty { follow_ups = spec.followUps }
        if !spec.ignored.isEmpty { ignore = spec.ignored }
        draw_box = spec.drawnBox.map(WireBox.init)
    }
}
