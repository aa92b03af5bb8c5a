import Queue

extension Administration {
    /// Enqueues many jobs in one statement and one transaction: all or, if one is refused, none.
    ///
    /// - Parameters:
    ///   - submissions: JSON objects with the columns of `gloss.inbox`, and `run_in`, seconds from now.
    ///   - defaults: a JSON object of the same form; it holds where a submission says nothing.
    /// - Returns: one answer a submission, in the same order.
    /// - Throws: `refused`, as `enqueue` does, for the first submission that is no good.
    public func enqueue(submissions: [String], defaults: String = "{}") async throws -> [Enqueued] {
        let answer = try await session.transact(
            """
            select job_id, outcome from gloss.enqueue_json_rows($1::jsonb, $2::jsonb)
            """, [SQLValue("[" + submissions.joined(separator: ",") + "]"), SQLValue(defaults)], context: "enqueue")
        guard answer.rows.count == submissions.count else { throw StorageError.unexpected("enqueue") }
        return try answer.rows.map { row in
            guard row.count == 2, let id = row[0].flatMap({ Int64($0) }),
                let outcome = row[1].flatMap({ Enqueued.Outcome(rawValue: $0) })
            else { throw StorageError.unexpected("enqueue") }
            return Enqueued(job: JobID(rawValue: id), outcome: outcome)
        }
    }

    /// What is wrong with each of these submissions, by their index; those that are good have none. Nothing is enqueued.
    public func problems(ofSubmissions submissions: [String], defaults: String = "{}") async throws -> [Int: String] {
        let answer = try await session.query(
            "select n, problem from gloss.bad_json_rows($1::jsonb, $2::jsonb)",
            [SQLValue("[" + submissions.joined(separator: ",") + "]"), SQLValue(defaults)], context: "enqueue")
        var problems: [Int: String] = [:]
        for row in answer.rows {
            guard row.count == 2, let number = row[0].flatMap({ Int($0) }), let problem = row[1] else {
                throw StorageError.unexpected("enqueue")
            }
            problems[number - 1] = problem
        }
        return problems
    }
}
