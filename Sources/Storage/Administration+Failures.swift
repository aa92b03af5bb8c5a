import Annotation
import Queue

/// Which dead jobs: those for which all that is given holds; at least one thing is.
public struct DeadSelection: Sendable, Equatable {
    /// One job.
    public var job: JobID?
    /// Those of a batch.
    public var batch: String?
    /// Those of a task.
    public var task: TaskName?
    /// Those that died of this code; a `%` stands for any characters.
    public var code: String?
    /// Those of which the image that failed is of this host, or of this origin.
    public var host: String?
    /// All.
    public var everything: Bool

    /// A selection.
    public init(
        job: JobID? = nil, batch: String? = nil, task: TaskName? = nil, code: String? = nil, host: String? = nil,
        everything: Bool = false
    ) {
        (self.job, self.batch, self.task) = (job, batch, task)
        (self.code, self.host, self.everything) = (code, host, everything)
    }

    /// As arguments of `gloss.retry`.
    fileprivate static let arguments = """
        job => $1::bigint, batch => $2::text, task => $3::text, code => $4::text, host => $5::text, \
        everything => $6::bool, died_before => $7::timestamptz
        """

    fileprivate func values(diedBefore moment: String?) -> [SQLValue] {
        [
            SQLValue(job.map { String($0.rawValue) }), SQLValue(batch), SQLValue(task?.rawValue), SQLValue(code),
            SQLValue(host), SQLValue(everything), SQLValue(moment),
        ]
    }
}

/// A row of `gloss.failures`: a host and a code.
public struct FailureRow: Sendable, Codable, Equatable {
    /// The host of the image that failed; empty for a local file, a `data:` URL, and what has no host.
    public var host: String
    /// The error's code.
    public var code: String
    /// Jobs that died of it.
    public var dead: Int
    /// Jobs that wait for another attempt after it.
    public var waiting: Int
    /// The first time.
    public var first_at: String
    /// The last time.
    public var last_at: String
    /// The latest of these jobs, three at most.
    public var job_ids: [Int64]
    /// The first image of one of them.
    public var image_url: String?
    /// What was said of that job.
    public var reason: String?
    /// What to do.
    public var advice: String?
}

extension Administration {
    /// Puts dead jobs back with fresh attempts, some thousands a transaction. One that dies again meanwhile stays dead.
    /// - Parameter onProgress: gets how many are put back so far, after each transaction.
    /// - Returns: how many.
    @discardableResult
    public func retry(_ selection: DeadSelection, onProgress: (Int) -> Void = { _ in }) async throws -> Int {
        let most = 10_000
        let start = try await session.query("select now()", context: "retry").scalar
        var total = 0
        while true {
            let answer = try await session.transact(
                "select gloss.retry(\(DeadSelection.arguments), most => $8::int)",
                selection.values(diedBefore: start) + [SQLValue(most)], context: "retry")
            guard let count = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("retry") }
            total += count
            onProgress(total)
            if count == 0 { return total }
        }
    }

    /// How many jobs `retry` would put back now.
    public func wouldRetry(_ selection: DeadSelection) async throws -> Int {
        let answer = try await session.query(
            "select gloss.would_retry(\(DeadSelection.arguments))", selection.values(diedBefore: nil),
            context: "retry")
        guard let count = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("retry") }
        return count
    }

    /// What fails, by host and code; the most dead jobs first.
    /// - Parameters:
    ///   - batch: only of this batch; nil: of all.
    ///   - code: only of this code; a `%` stands for any characters.
    ///   - host: only of this host.
    public func failures(
        ofBatch batch: String? = nil, code: String? = nil, host: String? = nil, limit: Int = 20
    ) async throws -> [FailureRow] {
        try await session.rows(
            FailureRow.self,
            """
            select * from \(batch == nil ? "gloss.failures where $1::text is null" : "gloss.failures_of($1) where true")
                and ($2::text is null or code like replace($2, '_', '\\_'))
                and ($3::text is null or host = gloss.host_spelling($3))
            order by dead desc, waiting desc, code, host limit $4::int
            """, [SQLValue(batch), SQLValue(code), SQLValue(host), SQLValue(limit)], context: "failures")
    }

    /// The dead jobs of a batch, or of all, by code, and of how many hosts they are; the most first.
    public func losses(ofBatch batch: String?) async throws -> [LossRow] {
        try await session.rows(
            LossRow.self,
            """
            select f.code, sum(f.dead)::bigint as dead, count(*) as hosts, max(f.advice) as advice
            from gloss.failures_of($1) f where f.dead > 0 group by f.code order by 2 desc, f.code
            """, [SQLValue(batch)], context: "failures")
    }
}

/// Dead jobs with one code.
public struct LossRow: Sendable, Codable, Equatable {
    /// The error's code.
    public var code: String
    /// Jobs that died of it.
    public var dead: Int
    /// Hosts of their images.
    public var hosts: Int
    /// What to do.
    public var advice: String?
}
