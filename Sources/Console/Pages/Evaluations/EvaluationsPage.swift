import Foundation

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
            let head = row.figures.first { !$0.isTable }
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
