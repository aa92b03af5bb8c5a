import Foundation

/// A row of `gloss.evaluation`.
struct EvaluationRow: Decodable, Sendable {
    var id: Int64
    var at: String
    var by: String
    var metric, variant: String
    var labels_sha256: String
    var model, model_digest: String?
    var gloss_version: String
    var n: Int64
    var selection: [String: Text]
    var not_scored: [Gap]
    var figures: [Figure]

    /// A number with its interval.
    struct Figure: Decodable, Sendable {
        var name: String
        /// Nil: there is none for so few items.
        var value: Double?
        var count: Int64?
        var low, high: Double?
    }

    /// Items without a score, and why.
    struct Gap: Decodable, Sendable {
        var reason: String
        var count: Int
        var detail: String?
    }

    /// A value of any kind as a text.
    struct Text: Decodable, Sendable {
        let text: String

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                self.text = text
            } else if let number = try? value.decode(Double.self) {
                text = "\(number)"
            } else if let truth = try? value.decode(Bool.self) {
                text = "\(truth)"
            } else {
                text = value.decodeNil() ? "" : "…"
            }
        }
    }

    /// The selection as results are filtered: batch, task and model.
    var query: URLQuery {
        ["batch", "task", "model"].reduce(URLQuery()) { $0.setting($1, selection[$1]?.text) }
    }
}

/// What `glossctl evaluate` found and kept, the newest first.
enum EvaluationsPage {
    private static let most = 40

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let before = try BadField.whole(query, "before").map { "\($0)" }
        let (rows, statements) = try await readers.read { reader in
            let rows = try await reader.rows(
                EvaluationRow.self,
                """
                select * from gloss.evaluation where \(before)::bigint is null or id < \(before)::bigint
                order by id desc limit \(most + 1)::int
                """)
            return (rows, reader.statements)
        }
        let shown = rows.prefix(most)
        let lines = shown.map { row -> [HTML] in
            let head = row.figures.first
            return [
                "<a href=\"/evaluations/\(row.id)\">\(row.metric) \(row.id)</a>", "\(row.variant)",
                "\(head?.name ?? "")", head.map(Self.value) ?? "", head.map(Self.interval) ?? "",
                "\(Formats.count(Int(row.n)))", "\((row.model ?? "").shortened(to: 40))",
                "\(row.selection["batch"]?.text ?? "")", Parts.time(row.at),
            ]
        }
        let next = rows.count > most ? shown.last.map { query.setting("before", "\($0.id)") } : nil
        let table = Parts.table(
            "Evaluations",
            ["Evaluation", "Rules", "Figure", "#Value", "95 % interval", "#Items", "Model", "Batch", "At"], lines,
            empty: "No evaluation has been kept. glossctl evaluate keeps each of its runs.")
        return Layout(
            title: "Evaluations", section: .evaluations, statements: statements,
            body:
                "<div class=\"head\"><h1>Evaluations</h1></div>\(table)\(Parts.more(next?.address("/evaluations"), "Older ones"))"
        ).reply()
    }

    static func value(_ figure: EvaluationRow.Figure) -> HTML {
        "\(figure.value.map { Formats.fixed($0, 4) } ?? "none")"
    }

    /// From its low to its high end on a scale from 0 to 1, or to what is above it.
    static func interval(_ figure: EvaluationRow.Figure) -> HTML {
        guard let value = figure.value, let low = figure.low, let high = figure.high else { return "" }
        let scale = high <= 1 ? 1.0 : high.rounded(.up)
        func place(_ number: Double) -> String { HTML.share(number / scale) }
        return """
            <svg class="interval" aria-hidden="true"><line class="axis" x1="0" x2="100%" y1="50%" y2="50%"/>\
            <line x1="\(place(low))" x2="\(place(high))" y1="50%" y2="50%"/>\
            <circle cx="\(place(value))" cy="50%" r="4"/></svg> \
            \(Formats.fixed(low, 3)) – \(Formats.fixed(high, 3))
            """
    }
}

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
                ("rules", "\(row.variant)"), ("items", "\(Formats.count(Int(row.n)))"), ("model", "\(row.model ?? "")"),
                ("model's digest", "<code>\(row.model_digest ?? "")</code>"),
                ("labels' SHA-256", "<code>\(row.labels_sha256)</code>"), ("gloss", "\(row.gloss_version)"),
                ("by", "\(row.by)"), ("at", Parts.time(row.at)),
            ] + selection.map { ($0.key, "\($0.value.text.shortened(to: 200))") }
        let figures = row.figures.map { figure -> [HTML] in
            [
                "\(figure.name)", EvaluationsPage.value(figure), EvaluationsPage.interval(figure),
                "\(figure.count.map { Formats.count(Int($0)) } ?? "")",
            ]
        }
        let left = row.not_scored.map { gap -> [HTML] in
            ["\(gap.reason)", "\(Formats.count(gap.count))", "\((gap.detail ?? "").shortened(to: 300))"]
        }
        return Layout(
            title: "Evaluation \(number)", section: .evaluations, statements: statements,
            body: """
                <div class="head"><h1>\(row.metric): evaluation \(number)</h1>\
                <p><a href="\(row.query.address("/results"))">its results</a></p></div>
                <div class="item"><div><h2>Figures</h2>
                \(Parts.table("Figures", ["Figure", "#Value", "95 % interval", "#Items"], figures, empty: "None."))
                <h2>Not scored</h2>\(Parts.table("Not scored", ["Why", "#Items", "Of what"], left, empty: "All were scored."))</div>
                <div>\(Parts.facts(facts))</div></div>
                """
        ).reply()
    }
}
