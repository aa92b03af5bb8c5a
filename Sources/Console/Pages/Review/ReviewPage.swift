/// Where a review begins: what to look at, how far it is, and what it says so far.
enum ReviewPage {
    private struct Name: Decodable {
        var name: String
    }

    private struct Names: Sendable {
        var batches, models: [String]
        var mayReview: Bool
    }

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let filter = try ReviewFilter(query)
        let names = try await readers.read { reader in
            let batches = try await reader.rows(
                Name.self, "select name from gloss.batch order by id desc limit 100", isShown: false)
            let models = try await reader.rows(
                Name.self, "select distinct model as name from gloss.engine order by 1 limit 100", isShown: false)
            return Names(
                batches: batches.map(\.name), models: models.map(\.name), mayReview: try await reader.may(.review))
        }
        let figures = try await ReviewFigures.read(readers, filter)
        let stranger: HTML =
            names.mayReview
            ? "" : "<p class=\"warn\">\(readers.visitor.name) is no reviewer here, and may only look.</p>"
        return Layout(
            title: "Review", section: .review, statements: figures.statements,
            body: """
                <div class="head"><h1>Review</h1>\(said(query))</div>
                \(filter.form(batches: names.batches, models: names.models, mayReview: names.mayReview))\(stranger)
                \(figures.tables)
                """
        ).reply()
    }

    /// What came of the form before.
    static func said(_ query: URLQuery) -> HTML {
        var words: [String] = []
        if let verdict = query["said"].flatMap(Verdict.init), let job = query["of"].flatMap(Site.number) {
            words.append("\(verdict.past) job \(job).")
        }
        if query["none"] != nil { words.append("Nothing is left to review by this filter.") }
        if query["undone"] != nil { words.append("Undone.") }
        if query["nothing"] != nil { words.append("There is nothing to undo.") }
        return "<p role=\"status\" id=\"said\" class=\"soft\">\(words.joined(separator: " "))</p>"
    }

    /// What a reviewer says.
    enum Verdict: String, CaseIterable {
        case accept, edit, reject, looked, skip

        var past: String {
            switch self {
            case .accept: "Accepted"
            case .edit: "Edited"
            case .reject: "Rejected"
            case .looked: "Looked at"
            case .skip: "Skipped"
            }
        }
    }
}
