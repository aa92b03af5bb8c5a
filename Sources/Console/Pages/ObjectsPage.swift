import Annotation
import Foundation

/// Objects that were seen from several sides: the distribution of their answers, the least sure first.
enum ObjectsPage {
    private static let most = 12

    private struct Place: Decodable {
        var job_id: Int64
        var p: String
    }

    private struct Answers {
        var places: [Place]
        var rows: [ResultRow]
        var statements: [Statement]
    }

    /// The tasks whose results are distributions.
    private static let tasks = TaskName.all.filter { $0.presentation == .distribution }.map(\.name.rawValue)

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let below = try BadField.number(query, "below")
        let (job, p) = (try BadField.whole(query, "job"), try BadField.number(query, "p"))
        let batch = query["batch"]
        var conditions: [Statement] = ["a.task = any (string_to_array(\(tasks.joined(separator: ",")), ','))"]
        if let batch { conditions.append("j.batch_id = (select id from gloss.batch where name = \(batch))") }
        if let below { conditions.append("a.probabilities[1] < \("\(below)")::real") }
        let all = Statement.all(conditions)
        var position: Statement = "true"
        if let job, let p {
            position = "(a.probabilities[1], a.job_id) > (\("\(p)")::real, \(job)::bigint)"
        }
        let behind = position
        let answers = try await readers.read { reader in
            let places = try await reader.rows(
                Place.self,
                """
                select a.job_id, a.probabilities[1]::text as p
                from gloss.annotation a join gloss.job j on j.id = a.job_id
                where \(all)
                  and a.probabilities is not null
                  and \(behind)
                order by a.probabilities[1], a.job_id limit \(most + 1)::int
                """)
            return Answers(
                places: places, rows: try await ResultReads.rows(reader, places.prefix(most).map(\.job_id)),
                statements: reader.statements)
        }
        let count = try? await readers.read { reader in
            try await reader.count(
                "select 1 from gloss.annotation a join gloss.job j on j.id = a.job_id where \(all)")
        }
        let form = Parts.filters(
            "/objects",
            [
                Parts.input("batch", "Batch", batch),
                Parts.number("below", "Top answer below", query["below"], hint: "0.5"),
            ]
        )
        let last = answers.places.count > most ? answers.places[most - 1] : nil
        let next = last.map { query.setting("job", "\($0.job_id)").setting("p", $0.p).address("/objects") }
        let grid: HTML =
            answers.rows.isEmpty
            ? "<p class=\"empty\">No object matches.</p>"
            : "\(overview(answers.rows))\(ResultReads.grid(answers.rows, isWide: true))"
        return Layout(
            title: "Objects", section: .objects, statements: answers.statements,
            body: """
                <div class="head"><h1>Objects</h1>\
                <p role="status">\(count.map { "\($0.words) match; the least sure first" } ?? "counting takes too long")</p></div>
                \(form)\(grid)\(Parts.more(next, "Next"))
                """
        ).reply()
    }

    /// The objects as a table: how sure each is, by three measures.
    private static func overview(_ rows: [ResultRow]) -> HTML {
        let lines = rows.map { row -> [HTML] in
            let doubt = Doubt(row.probabilities ?? [])
            return [
                "<a href=\"/job/\(row.job_id)\">\((row.key ?? "job \(row.job_id)").shortened(to: 80))</a>",
                "\((row.answers?.first ?? "").shortened(to: 80))", "\(HTML.percent(doubt.top))",
                "\(HTML.percent(doubt.margin))", "\(Formats.fixed(doubt.entropy, 2))",
                "\(row.image_urls.count) × \(row.prompts.count) × \(row.settings.samples ?? 1)",
            ]
        }
        return "<details><summary>As a table</summary>"
            + Parts.table(
                "Objects", ["Object", "Answer", "#Share", "#Margin", "#Entropy, bits", "#Views × questions × samples"],
                lines, empty: "")
            + "</details>"
    }
}

/// How unsure a distribution is.
struct Doubt: Equatable {
    /// The share of the first answer.
    var top = 0.0
    /// What it is ahead of the second.
    var margin = 0.0
    /// Shannon's, bits.
    var entropy = 0.0

    /// - Parameter shares: the largest first.
    init(_ shares: [Double]) {
        top = shares.first ?? 0
        margin = top - (shares.count > 1 ? shares[1] : 0)
        entropy = shares.reduce(0) { $0 - ($1 > 0 ? $1 * log2($1) : 0) }
    }
}
