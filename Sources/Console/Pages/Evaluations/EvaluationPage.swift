/// One evaluation, with all its figures.
enum EvaluationPage {
    static func reply(_ readers: ReaderPool, _ number: Int64) async throws -> Reply {
        let (rows, statements) = try await readers.read { reader in
            let rows = try await reader.rows(
                EvaluationRow.self, "select * from gloss.evaluation where id = \(number)::bigint")
            return (rows, reader.statements)
        }
        guard let row = rows.first else { return Layout.problem("There is no evaluation \(number).", status: 404) }
        let selection = row.selection.sorted { $0.key < $1.key }.filter { !$0.value.text.isEmpty }
        let facts: [(String, HTML)] =
            [
                ("rules", "\(row.variant)"), ("items", items(Int(row.n), row)), ("model", "\(row.model ?? "")"),
                ("model's digest", "<code>\(row.model_digest ?? "")</code>"),
                ("labels' SHA-256", "<code>\(row.labels_sha256)</code>"), ("gloss", "\(row.gloss_version)"),
                ("by", "\(row.by)"), ("at", Parts.time(row.at)),
            ] + selection.map { ($0.key, "\($0.value.text.shortened(to: 200))") }
        let figures = row.figures.filter { !$0.isTable }.map { figure -> [HTML] in
            [
                "\(figure.name)", EvaluationsPage.value(figure), EvaluationsPage.interval(figure),
                figure.count.map { items(Int($0), row) } ?? "",
            ]
        }
        let tables = row.figures.map { figure -> HTML in
            Reliability(figure, of: row)?.html ?? Confusion(figure, of: row)?.html ?? ""
        }
        let left = row.not_scored.map { gap -> [HTML] in
            ["\(gap.reason)", missing(gap, row), "\((gap.detail ?? "").shortened(to: 300))"]
        }
        return Layout(
            title: "Evaluation \(number)", section: .evaluations, statements: statements,
            body: """
                <div class="head"><h1>\(row.metric): evaluation \(number)</h1>\
                <p><a href="\(row.query.address("/results"))">its results</a></p></div>
                <div class="item"><div><h2>Figures</h2>
                \(Parts.table("Figures", ["Figure", "#Value", "95 % interval", "#Items"], figures, empty: "None."))\(tables)
                <h2>Not scored</h2>\(Parts.table("Not scored", ["Why", "#Items", "Of what"], left, empty: "All were scored."))</div>
                <div>\(Parts.facts(facts))</div></div>
                """
        ).reply()
    }

    /// How many items, and where they are.
    private static func items(_ count: Int, _ row: EvaluationRow) -> HTML {
        "<a href=\"\(row.query.address("/results"))\">\(Formats.count(count))</a>"
    }

    /// Items without a result are dead, or wait: of a batch one sees which.
    private static func missing(_ gap: EvaluationRow.Gap, _ row: EvaluationRow) -> HTML {
        let count = Formats.count(gap.count)
        guard gap.reason.contains("without a result"), let batch = row.selection["batch"]?.text else {
            return "\(count)"
        }
        return "<a href=\"\(URLQuery().setting("batch", batch).address("/failures"))\">\(count)</a>"
    }
}
