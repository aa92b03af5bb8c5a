import Queue

extension Administration {
    /// Hands over results one by one, each as a JSON object of its columns, in their order and with their types.
    /// - Parameter since: results finished at or after this time (any text PostgreSQL reads as a timestamp).
    public func exportJSON(
        _ view: ResultView, batch: String? = nil, key: String? = nil, since: String? = nil, limit: Int? = nil,
        onRow: @Sendable (String) throws -> Void
    ) async throws {
        try await session.stream(
            "select to_json(t)::text from (\(Self.selection("*", view))) t",
            [SQLValue(batch), SQLValue(since), SQLValue(limit), SQLValue(key)], context: "results"
        ) { row in try onRow(row[0] ?? "null") }
    }

    /// Hands over results one by one as texts; arrays are JSON arrays, and nil is NULL.
    /// - Parameter onHeader: gets the names of the columns once, also when there is no row.
    public func exportText(
        _ view: ResultView, batch: String? = nil, key: String? = nil, since: String? = nil, limit: Int? = nil,
        onHeader: @Sendable ([String]) throws -> Void, onRow: @Sendable ([String?]) throws -> Void
    ) async throws {
        let types = try await session.query(
            """
            select attname, atttypid::regtype::text like '%[]' from pg_attribute
            where attrelid = ('gloss.' || $1)::regclass and attnum > 0 and not attisdropped order by attnum
            """, [SQLValue(view.rawValue)], context: "results")
        let columns = types.rows.compactMap { row in row[0].map { (name: $0, isArray: row[1] == "t") } }
        try onHeader(columns.map(\.name))
        let list = columns.map { $0.isArray ? "to_json(\"\($0.name)\")::text" : "\"\($0.name)\"" }
        try await session.stream(
            Self.selection(list.joined(separator: ", "), view),
            [SQLValue(batch), SQLValue(since), SQLValue(limit), SQLValue(key)], context: "results"
        ) { row in try onRow(row.values) }
    }

    /// The row of `gloss.result` of a job that is done, as a JSON object; nil without one.
    public func result(of job: JobID) async throws -> String? {
        try await session.query(
            "select to_json(t)::text from gloss.result t where job_id = $1", [SQLValue(job.rawValue)], context: "job"
        ).scalar
    }

    private static func selection(_ columns: String, _ view: ResultView) -> String {
        """
        select \(columns) from gloss.\(view.rawValue)
        where ($1::text is null or batch = $1) and ($4::text is null or key = $4) and ($2::timestamptz is null or finished_at >= $2)
        limit $3::bigint
        """
    }
}
