import Storage

/// All that is known of one job.
struct Item: Sendable {
    var state: JobRow
    var imageURLs: [String]
    var spec: String
    var explanation: [String]
    var attempts: [Attempt]
    var result: ResultRow?
    var provenance: Provenance?
    var responses: [Response]
    var tokens: [TokenScores]
    var superseded: [Superseded]
    var reviews: [Review]
    var mayAct: Bool
    var statements: [Statement]

    /// A row of `gloss.attempt`.
    struct Attempt: Decodable, Sendable {
        var at: String
        var attempt: Int
        var count: Int
        var outcome: String
        var code: String?
        var reason: String?
        var worker: Int64?
    }

    /// What made a result: the rest of a row of `gloss.result`.
    struct Provenance: Decodable, Sendable {
        var model_digest, gloss_version: String
        var precision, resize, adapter_digest, mask_digest, asked_model, worker_host: String?
        var window_size: Int?
        var worker: Int64
        var seed: Int64?
        var finished_at, created_at: String
        var attempts, rescues, not_understood: Int
        var timings: [String: Double]
        var final_urls: [String]
        var formats: [String?]?
        var byte_counts: [Int?]?
    }

    /// A response of the model.
    struct Response: Decodable, Sendable {
        var stage, view, question, sample: Int
        var response: String
        var sum_logprob, norm_logprob: Double?
        var token_count: Int?
        var finish_reason: String?
    }

    /// The log-probability of each token of a response.
    struct TokenScores: Decodable, Sendable {
        var stage, view, question, sample: Int
        var response: String
        var token_scores: [Double?]
    }

    /// A result before this one.
    struct Superseded: Decodable, Sendable {
        var finished_at, superseded_at, superseded_by, model, text: String
        var score: Double?
    }

    /// What somebody said of a result of the job.
    struct Review: Decodable, Sendable {
        var id: Int64
        var at, reviewer, verdict: String
        /// Whether it is about the result that the job has now.
        var is_current: Bool
        var is_undone: Bool
        var answer, note, policy: String?
    }

    private struct Spec: Decodable {
        var image_urls: [String]
        var spec: String
    }

    private static let mostResponses = 2000
    private static let mostRows = 200

    /// - Returns: nil: there is no such job.
    static func read(_ readers: ReaderPool, _ job: Int64) async throws -> Item? {
        try await readers.read { reader in
            let states = try await reader.rows(
                JobRow.self, "select * from gloss.job_state where job_id = \(job)::bigint")
            guard let state = states.first else { return nil }
            let spec = try await reader.rows(
                Spec.self,
                """
                select gloss.shown_urls(image_urls) as image_urls, jsonb_pretty(spec) as spec from gloss.job
                where id = \(job)::bigint
                """, isShown: false)
            let result = try await ResultReads.rows(reader, [job]).first
            let provenance = try await reader.rows(
                Provenance.self, "select * from gloss.result where job_id = \(job)::bigint", isShown: false)
            let responses = try await reader.rows(
                Response.self,
                """
                select * from gloss.response where job_id = \(job)::bigint order by stage, view, question, sample
                limit \(mostResponses)::int
                """, isShown: result != nil)
            let tokens = try await reader.rows(
                TokenScores.self,
                """
                select stage, view, question, sample, response, token_scores from gloss.token_score
                where job_id = \(job)::bigint order by stage, view, question, sample limit \(mostRows)::int
                """, isShown: result != nil)
            let attempts = try await reader.rows(
                Attempt.self,
                """
                select at, attempt, count, outcome, code, reason, worker from gloss.attempt
                where job_id = \(job)::bigint order by fence limit \(mostRows)::int
                """)
            let superseded = try await reader.rows(
                Superseded.self,
                """
                select s.finished_at, s.superseded_at, s.superseded_by, e.model, s.score,
                       coalesce(s.answers[1], s.texts[1]) as text
                from gloss.superseded s join gloss.engine e on e.id = s.engine
                where s.job_id = \(job)::bigint order by s.fence desc limit \(mostRows)::int
                """)
            let reviews = try await reader.rows(
                Review.self,
                """
                select r.id, r.at, r.reviewer, r.verdict, r.policy, r.note, a.job_id is not null as is_current,
                       exists (select from gloss.review u where u.undoes = r.id) as is_undone,
                       coalesce(r.answer ->> 'text', r.answer ->> 'answer', (
                           select coalesce(string_agg(b ->> 'label', ', '), 'no box')
                           from jsonb_array_elements(r.answer -> 'boxes') b where r.answer ? 'boxes')) as answer
                from gloss.review r left join gloss.annotation a on a.job_id = r.job_id and a.fence = r.fence
                where r.job_id = \(job)::bigint order by r.id desc limit \(mostRows)::int
                """)
            let explanation = try await reader.lines("select gloss.explain(\(job)::bigint)")
            return Item(
                state: state, imageURLs: spec.first?.image_urls ?? [], spec: spec.first?.spec ?? "{}",
                explanation: explanation, attempts: attempts, result: result, provenance: provenance.first,
                responses: responses, tokens: tokens, superseded: superseded, reviews: reviews,
                mayAct: try await reader.may(.act),
                statements: reader.statements)
        }
    }
}
