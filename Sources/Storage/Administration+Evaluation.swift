import Annotation

/// Which results are evaluated; nil is any.
public struct EvaluationSelection: Sendable, Equatable {
    /// The batch.
    public var batch: String?
    /// The task.
    public var task: TaskName?
    /// Finished at or after this time: any text that PostgreSQL reads as a timestamp.
    public var since: String?
    /// The engines that gave them, by `EngineRow.id`.
    public var engines: [Int64]?
    /// Whether the last results that were superseded are meant, in place of those that are valid.
    public var areSuperseded = false

    public init(batch: String? = nil, task: TaskName? = nil, since: String? = nil, engines: [Int64]? = nil) {
        self.batch = batch
        self.task = task
        self.since = since
        self.engines = engines
    }

    fileprivate var values: [SQLValue] {
        let engines: SQLValue = if let engines { SQLValue(engines) } else { nil }
        return [SQLValue(batch), SQLValue(task?.rawValue), SQLValue(since), engines]
    }

    /// A result a job, with the columns of gloss.annotation.
    fileprivate var table: String {
        areSuperseded
            ? "(select distinct on (s.job_id) s.* from gloss.superseded s order by s.job_id, s.fence desc)"
            : "gloss.annotation"
    }

    fileprivate static let condition = """
        ($1::text is null or j.batch_id = (select b.id from gloss.batch b where b.name = $1))
        and ($2::text is null or a.task = $2) and ($3::timestamptz is null or a.finished_at >= $3)
        and ($4::int[] is null or a.engine = any ($4))
        """
}

/// A row of `gloss.engine`: what gave a result.
public struct EngineRow: Sendable, Codable, Equatable {
    /// Its number.
    public var id: Int64
    /// The model's name.
    public var model: String
    /// The model's digest.
    public var digest: String
    /// The adapter's digest; empty: none.
    public var adapter_digest: String
    /// The version of gloss.
    public var version: String
}

/// A finding of a result, or a result without any.
public struct ResultFinding: Sendable, Equatable {
    /// The job.
    public var job: Int64
    /// The user's key; nil: it has none.
    public var key: String?
    /// The task.
    public var task: String
    /// The engine, by `EngineRow.id`.
    public var engine: Int64
    /// Why the model stopped.
    public var finishReason: FinishReason
    /// Parts of the response that could not be read.
    public var notUnderstood: Int
    /// What was found; nil: nothing.
    public var finding: Finding?
}

extension Administration {
    /// All engines that gave results.
    public func engines() async throws -> [EngineRow] {
        try await session.rows(
            EngineRow.self, "select id, model, digest, adapter_digest, version from gloss.engine order by id",
            context: "evaluate")
    }

    /// Hands over texts of results one by one, in no order.
    public func texts(
        of selection: EvaluationSelection, withSeeds: Bool, withDistributions: Bool, withSamples: Bool,
        onRow: @Sendable (TextRow) throws -> Void
    ) async throws {
        let seed = withSeeds ? "coalesce(a.settings, j.spec -> 'settings') ->> 'seed'" : "null"
        let shares = withDistributions ? "to_json(a.answers)::text, to_json(a.probabilities)::text" : "null, null"
        let samples =
            withSamples
            ? "case when a.answers is null and cardinality(a.texts) > 1 then to_json(a.texts)::text end" : "null"
        try await session.stream(
            """
            select j.key, a.task, a.engine, coalesce(a.answers[1], a.texts[1]), a.finish, a.probabilities[1],
                case when a.responses is null then a.sums[1] end, \(seed), \(shares), \(samples)
            from \(selection.table) a join gloss.job j on j.id = a.job_id where \(EvaluationSelection.condition)
            """, selection.values, context: "evaluate"
        ) { try onRow(TextRow(row: $0)) }
    }

    /// Hands over findings of results one by one, those of a result together and in the model's order; a result without findings
    /// has one row.
    public func found(of selection: EvaluationSelection, onRow: @Sendable (ResultFinding) throws -> Void) async throws {
        try await session.stream(
            """
            select j.key, a.task, a.engine, a.finish, a.not_understood, f.label, f.score, f.y1, f.x1, f.y2, f.x2, f.mask,
                i.height, i.width, a.job_id
            from \(selection.table) a join gloss.job j on j.id = a.job_id
            left join gloss.finding f on f.job_id = a.job_id and f.fence = a.fence
            left join gloss.image i on i.sha256 = a.image_sha256[f.image]
            where \(EvaluationSelection.condition) order by a.job_id, f.n
            """, selection.values, context: "evaluate"
        ) { row in
            func number(_ column: Int) -> Float? { row[column].flatMap { Float($0) } }
            var result = ResultFinding(
                job: row[14].flatMap { Int64($0) } ?? 0, key: row[0], task: row[1] ?? "",
                engine: row[2].flatMap { Int64($0) } ?? 0,
                finishReason: row.finishReason(3), notUnderstood: row[4].flatMap { Int($0) } ?? 0)
            if let label = row[5] {
                var finding = Finding(label: label, score: number(6) ?? 0)
                if let y1 = number(7), let x1 = number(8), let y2 = number(9), let x2 = number(10) {
                    finding.box = Box(y1: y1, x1: x1, y2: y2, x2: x2)
                }
                if let counts = row[11], let height = row[12].flatMap({ Int($0) }),
                    let width = row[13].flatMap({ Int($0) })
                {
                    finding.mask = RunLengthMask(height: height, width: width, counts: counts)
                }
                result.finding = finding
            }
            try onRow(result)
        }
    }

    /// Hands over the keys of jobs without a result, with `dead`, `pruned` or `pending`, one by one.
    public func unfinished(
        of selection: EvaluationSelection, onRow: @Sendable (_ key: String, _ state: String) throws -> Void
    ) async throws {
        try await session.stream(
            """
            select j.key, case when d.job_id is not null then 'dead' when j.image_urls = '{}' then 'pruned' else 'pending' end
            from gloss.job j join gloss.kind k on k.id = j.kind left join gloss.dead_job d on d.job_id = j.id
            where j.key is not null and not exists (select from gloss.annotation a where a.job_id = j.id)
                and ($1::text is null or j.batch_id = (select b.id from gloss.batch b where b.name = $1))
                and ($2::text is null or k.task = $2)
            """, Array(selection.values.prefix(2)), context: "evaluate"
        ) { row in
            if let key = row[0], let state = row[1] { try onRow(key, state) }
        }
    }

    /// Hands over the rows of a user's own query one by one, each as a JSON object of its columns.
    public func rows(ofQuery sql: String, onRow: @Sendable (String) throws -> Void) async throws {
        try await session.stream("select to_json(t)::text from (\(sql)\n) t", context: "the query of --sql") { row in
            try onRow(row[0] ?? "null")
        }
    }

    /// Keeps what an evaluation found, in `gloss.evaluation`.
    /// - Parameter evaluation: a JSON object of its columns.
    /// - Returns: its number.
    public func keep(evaluation: String) async throws -> Int64 {
        let answer = try await session.transact(
            "select gloss.keep_evaluation($1::jsonb)", [SQLValue(evaluation)], context: "keep the evaluation")
        guard let number = answer.scalar.flatMap({ Int64($0) }) else { throw StorageError.unexpected("evaluate") }
        return number
    }
}
