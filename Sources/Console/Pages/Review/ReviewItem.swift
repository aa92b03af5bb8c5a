import Storage

/// A result that somebody judges, with what stands beside it.
struct ReviewItem: Sendable {
    let row: ResultRow
    /// Which of its job's results it is.
    let fence: Int64
    /// What this reviewer has said of it already.
    let said: Said?
    let figures: ReviewFigures
    let mayReview: Bool
    let statements: [Statement]

    /// A verdict.
    struct Said: Decodable, Sendable {
        var verdict: String
        var at: String
    }

    private struct Fence: Decodable {
        var fence: Int64
    }

    /// - Returns: nil: the job has no result.
    static func read(_ readers: ReaderPool, _ job: Int64, _ filter: ReviewFilter) async throws -> ReviewItem? {
        let name = readers.visitor.name
        let item = try await readers.read { reader -> ReviewItem? in
            let fences = try await reader.rows(
                Fence.self, "select fence from gloss.annotation where job_id = \(job)::bigint", isShown: false)
            guard let fence = fences.first?.fence, let row = try await ResultReads.rows(reader, [job]).first else {
                return nil
            }
            let said = try await reader.rows(
                Said.self,
                """
                select verdict, at from gloss.standing_review
                where job_id = \(job)::bigint and fence = \(fence)::bigint and reviewer = \(name) order by id desc limit 1
                """)
            return ReviewItem(
                row: row, fence: fence, said: said.first, figures: ReviewFigures(),
                mayReview: try await reader.may(.review), statements: reader.statements)
        }
        guard let item else { return nil }
        let figures = try await ReviewFigures.read(readers, filter)
        return ReviewItem(
            row: item.row, fence: item.fence, said: item.said, figures: figures, mayReview: item.mayReview,
            statements: item.statements + figures.statements)
    }
}
