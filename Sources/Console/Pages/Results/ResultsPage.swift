import Annotation

/// Results as pictures with what was found in them, by any filter.
enum ResultsPage {
    private static let most = 24

    /// A result's place in the list.
    private struct Place: Decodable {
        var job_id: Int64
        /// As PostgreSQL writes it, so that the next page begins exactly there.
        var score: String?
        var hash: String?
    }

    private struct Answers {
        var places: [Place]
        var rows: [ResultRow]
        var batches, models: [String]
        var statements: [Statement]
    }

    private struct Name: Decodable {
        var name: String
    }

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let filter = try ResultsFilter(query)
        let hash: Statement = filter.order == .random ? ", \(filter.place)::text as hash" : ""
        let answers = try await readers.read { reader in
            let places = try await reader.rows(
                Place.self,
                """
                select a.job_id, a.score::text\(hash) \(filter.source)
                where \(filter.conditions)
                  and \(filter.position)
                order by \(filter.sorting) limit \(most + 1)::int
                """)
            let rows = try await ResultReads.rows(reader, places.prefix(most).map(\.job_id))
            let batches = try await reader.rows(
                Name.self, "select name from gloss.batch order by id desc limit 100", isShown: false)
            let models = try await reader.rows(
                Name.self, "select distinct model as name from gloss.engine order by 1 limit 100", isShown: false)
            return Answers(
                places: places, rows: rows, batches: batches.map(\.name), models: models.map(\.name),
                statements: reader.statements)
        }
        // What is slow to count is shown all the same.
        let count = try? await readers.read { reader in
            try await reader.count("select 1 \(filter.source) where \(filter.conditions)")
        }
        return Layout(
            title: "Results", section: .results, statements: answers.statements,
            body: body(answers, count, filter, query)
        ).reply()
    }

    private static func body(
        _ answers: Answers, _ count: Count?, _ filter: ResultsFilter, _ query: URLQuery
    ) -> HTML {
        let words: HTML =
            count.map { "\($0.words) \($0.number == 1 ? "result matches" : "results match")" }
            ?? "counting them takes too long"
        let grid: HTML =
            answers.rows.isEmpty
            ? "<p class=\"empty\">No result matches.</p>" : Parts.slider + ResultReads.grid(answers.rows)
        return """
            <div class="head"><h1>Results</h1><p role="status">\(words)</p></div>
            \(form(answers, filter, query))
            \(grid)
            \(Parts.more(next(answers, query), "Next"))
            \(ExportCommands.html(filter))
            """
    }

    private static func form(_ answers: Answers, _ filter: ResultsFilter, _ query: URLQuery) -> HTML {
        let tasks = [("", "any")] + TaskName.all.map { ($0.name.rawValue, $0.title) }
        let finishes = [
            ("", "any"), ("eos", "by itself"), ("length", "cut off"), ("repetition", "repeated itself"),
        ]
        return Parts.filters(
            "/results",
            [
                Parts.input("batch", "Batch", filter.batch, suggestions: answers.batches),
                Parts.choice("task", "Task", tasks, filter.task),
                Parts.choice("model", "Model", [("", "any")] + answers.models.map { ($0, $0) }, filter.model),
                Parts.input("label", "Label", filter.label, hint: "of any box"),
                Parts.input("text", "Text", filter.text, hint: "part of it"),
                Parts.number("low", "Score from", query["low"], hint: "0"),
                Parts.number("high", "to", query["high"], hint: "1"),
                Parts.choice(
                    "order", "Order", ResultsFilter.Order.allCases.map { ($0.rawValue, $0.words) },
                    filter.order.rawValue),
            ],
            further: [
                Parts.choice(
                    "reviewed", "Reviewed",
                    [("", "any")] + ResultsFilter.Reviewed.allCases.map { ($0.rawValue, $0.words) },
                    filter.reviewed?.rawValue),
                Parts.choice("finish", "Ended", finishes, filter.finish),
                Parts.input("answer", "Answer", filter.answer, hint: "the whole of it"),
                Parts.number("least", "Probability from", query["least"], hint: "0"),
                Parts.number("most", "to", query["most"], hint: "1"),
                Parts.input("seed", "Seed of random", query["seed"], hint: "1"),
            ],
            isOpen: ["reviewed", "finish", "answer", "least", "most", "seed"].contains { query[$0] != nil })
    }

    private static func next(_ answers: Answers, _ query: URLQuery) -> String? {
        guard answers.places.count > most else { return nil }
        let last = answers.places[most - 1]
        return query.setting("job", "\(last.job_id)").setting("score", last.score).setting("hash", last.hash)
            .address("/results")
    }
}
