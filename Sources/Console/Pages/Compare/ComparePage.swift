import Annotation

/// Two answers to the same question beside each other, those that differ most first: two models', a result and the one before it, or a
/// result and the truth.
enum ComparePage {
    private struct Names: Sendable {
        var batches, models: [String]
    }

    private struct Name: Decodable {
        var name: String
    }

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let filter = try ComparisonFilter(query)
        let names = try await readers.read { reader in
            let batches = try await reader.rows(
                Name.self, "select name from gloss.batch order by id desc limit 100", isShown: false)
            let models = try await reader.rows(
                Name.self,
                """
                select model as name from gloss.engine union select digest from gloss.engine order by 1 limit 100
                """, isShown: false)
            return Names(batches: batches.map(\.name), models: models.map(\.name))
        }
        let head: HTML = "<div class=\"head\"><h1>Compare</h1>"
        guard filter.isEnough else {
            return Layout(
                title: "Compare", section: .compare,
                body: """
                    \(head)</div>\(form(names, filter, query))
                    <p class="none">Name a batch or a model on the left: results of the same key and task are pairs.</p>
                    """
            ).reply()
        }
        let comparison = try await Comparison.read(readers, filter)
        return Layout(
            title: "Compare", section: .compare, statements: comparison.statements,
            body: """
                \(head)<p role="status">\(words(comparison.totals))</p></div>
                \(form(names, filter, query))\(totals(comparison.totals, query))\(pairs(comparison, filter))
                \(Parts.more(next(comparison, query), "Next"))
                """
        ).reply()
    }

    private static func form(_ names: Names, _ filter: ComparisonFilter, _ query: URLQuery) -> HTML {
        let tasks = [("", "any")] + TaskName.all.map { ($0.name.rawValue, $0.title) }
        let kinds = ComparisonFilter.Kind.allCases.map { ($0.rawValue, $0.words) }
        return Parts.filters(
            "/compare",
            [
                Parts.choice("with", "Results with", kinds, filter.kind.rawValue),
                Parts.input("batch", "Batch", filter.batch, suggestions: names.batches),
                Parts.choice("task", "Task", tasks, filter.task),
                Parts.input("left", "Model on the left", filter.left, hint: "or its digest", suggestions: names.models),
                Parts.input(
                    "right", "Model on the right", filter.right, hint: "or its digest", suggestions: names.models),
                Parts.number("iou", "Least IoU", query["iou"], hint: "0.5"),
            ])
    }

    private static func words(_ totals: Comparison.Totals?) -> String {
        guard let totals else { return "counting them takes too long" }
        guard totals.pairs > 0 else { return "no pair matches" }
        return "\(Formats.count(totals.pairs)) \(totals.pairs == 1 ? "pair" : "pairs"), those that differ most first"
    }

    private static func totals(_ totals: Comparison.Totals?, _ query: URLQuery) -> HTML {
        guard let totals, totals.pairs > 0 else { return "" }
        func tile(_ number: String, _ words: String) -> HTML { "<li><b>\(number)</b> \(words)</li>" }
        var tiles = [
            tile(Formats.count(totals.pairs - totals.agreeing), "differ"),
            tile(Formats.count(totals.agreeing), "agree"),
            tile(HTML.percent(Double(totals.agreeing) / Double(totals.pairs)), "of them agree"),
        ]
        if totals.box_pairs > 0 {
            tiles += [
                tile(Formats.count(totals.matched), "boxes with a partner"),
                tile(Formats.count(totals.left_only), "boxes on the left only"),
                tile(Formats.count(totals.right_only), "boxes on the right only"),
            ]
            if let mean = totals.mean_iou { tiles.append(tile(Formats.fixed(mean, 3), "mean IoU of partners")) }
        }
        var further: HTML = ""
        if totals.pairs == ComparisonFilter.mostPairs, let last = totals.last_job {
            let address = ["agreement", "job", "other"].reduce(query) { $0.setting($1, nil) }
                .setting("from", "\(last)").address("/compare")
            further = """
                <p class="soft">These are the first \(Formats.count(totals.pairs)) pairs by job. \
                <a href="\(address)">Those behind them</a></p>
                """
        }
        return "<ul class=\"tiles\">\(tiles)</ul>\(further)"
    }

    private static func pairs(_ comparison: Comparison, _ filter: ComparisonFilter) -> HTML {
        guard !comparison.pairs.isEmpty else { return "<p class=\"empty\">No pair matches.</p>" }
        let cards = comparison.pairs.prefix(Comparison.mostShown).compactMap { pair -> HTML? in
            comparison.rows[pair.job_id].map { PairHTML(pair: pair, row: $0, kind: filter.kind).html }
        }
        return "<h2 class=\"away\">Pairs</h2><div class=\"grid wide pairs\">\(cards)</div>"
    }

    private static func next(_ comparison: Comparison, _ query: URLQuery) -> String? {
        guard comparison.pairs.count > Comparison.mostShown else { return nil }
        let last = comparison.pairs[Comparison.mostShown - 1]
        return query.setting("agreement", last.exact_agreement).setting("job", "\(last.job_id)")
            .setting("other", "\(last.other_job)").address("/compare")
    }
}
