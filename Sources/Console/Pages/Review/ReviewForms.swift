import Storage

/// What the forms of a review do. A verdict and the lease of the next result are one transaction.
enum ReviewForms {
    /// Leads to the first result.
    static func begin(_ readers: ReaderPool, _ form: URLQuery) async throws -> Reply {
        let filter = try ReviewFilter(form)
        let next = filter.next(for: readers.visitor.name)
        let job = try await readers.review { try await $0.scalar(next) }
        return place(job, filter.query)
    }

    /// Writes down a verdict, and leads to the next result.
    static func judge(_ readers: ReaderPool, _ job: Int64, _ form: URLQuery) async throws -> Reply {
        let filter = try ReviewFilter(form)
        let words = ReviewPage.Verdict.allCases.map(\.rawValue)
        guard let verdict = try BadField.word(form, "verdict", of: words) else {
            throw BadField(message: "The form has no verdict.")
        }
        guard let fence = try BadField.whole(form, "fence") else {
            throw BadField(message: "The form does not say which result it is about.")
        }
        var answer: String?
        if verdict == "edit" {
            // An older result is refused below: its answer is not read as if it were this one's.
            guard let row = try await readers.read({ try await ResultReads.rows($0, [job]) }).first else {
                throw BadField(message: "Job \(job) has no result now.")
            }
            answer = try ReviewAnswer(form, of: row).json
        }
        let name = readers.visitor.name
        let record: Statement = """
            select gloss.record_review(job => \(job)::bigint, fence => \(fence)::bigint, reviewer => \(name),
                verdict => \(verdict), answer => \(answer)::jsonb, policy => \(form["policy"]), note => \(form["note"]))
            """
        let next = filter.next(for: name)
        let following = try await readers.review { reader in
            _ = try await reader.scalar(record)
            return try await reader.scalar(next)
        }
        return place(following, filter.query.setting("said", verdict).setting("of", "\(job)"))
    }

    /// Withdraws the last verdict, and leads to its result.
    static func undo(_ readers: ReaderPool, _ form: URLQuery) async throws -> Reply {
        let filter = try ReviewFilter(form)
        let name = readers.visitor.name
        let job = try await readers.review {
            try await $0.scalar("select job_id from gloss.undo_review(reviewer => \(name))")
        }
        if let job { return place(job, filter.query.setting("undone", "1")) }
        let back = form["job"].flatMap(Site.number).map { "\($0)" }
        let query = filter.query.setting("nothing", "1")
        return .redirect(to: query.address(back.map { "/review/\($0)" } ?? "/review"))
    }

    private static func place(_ job: String?, _ query: URLQuery) -> Reply {
        guard let job else { return .redirect(to: query.setting("none", "1").address("/review")) }
        return .redirect(to: query.address("/review/\(job)"))
    }
}
