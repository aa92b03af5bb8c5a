import Foundation
import Storage

/// One job: its images with what was found, every response with its scores, what made it, and what happened to it.
enum ItemPage {
    static func reply(_ readers: ReaderPool, _ job: Int64) async throws -> Reply {
        guard let item = try await Item.read(readers, job) else {
            return Layout.problem("There is no job \(job).", status: 404)
        }
        return Layout(
            title: "Job \(job)",
            section: item.result == nil ? nil : item.result?.isObject == true ? .objects : .results,
            statements: item.statements, body: body(item)
        ).reply()
    }

    private static func body(_ item: Item) -> HTML {
        let state = item.state
        let name = state.key.map { $0.shortened(to: 160) } ?? "Job \(state.job_id)"
        return """
            <div class="head"><h1>\(name)</h1><p>job \(state.job_id) · \(state.task) · \(stateWord(state))</p></div>
            \(actions(item))\(review(item))<div class="item"><div>\(main(item))</div>
            <div><h2>Job</h2>\(jobFacts(item))\(provenance(item))</div></div>
            """
    }

    private static func actions(_ item: Item) -> HTML {
        guard item.mayAct else { return "" }
        let path = "/job/\(item.state.job_id)"
        return switch item.state.state {
        case "dead": Actions.button("Try it again", path + "/retry")
        case "done": Actions.button("Run it again", path + "/rerun")
        default: ""
        }
    }

    private static func review(_ item: Item) -> HTML {
        guard item.result != nil else { return "" }
        return "<p class=\"more-link\"><a href=\"/review/\(item.state.job_id)\">Review it</a></p>"
    }

    private static func stateWord(_ state: JobRow) -> HTML {
        let tone = state.state == "done" ? "good" : state.state == "dead" ? "bad" : "warn"
        return "<span class=\"\(tone)\">\(state.state)</span>"
    }

    private static func main(_ item: Item) -> HTML {
        var parts: HTML
        if let result = item.result {
            let card = CardHTML(
                card: ResultCard(rows: [result]), places: ResultReads.places(.page, links: false), isSearchable: false)
            let slider: HTML = result.boxes.isEmpty ? "" : Parts.slider
            parts = "<h2 class=\"away\">Result</h2>\(slider)\(card.html)"
            if result.isObject {
                parts += "<h2>What each view shows</h2>" + ViewsMatrix(result: result, responses: item.responses).html
            }
            parts += findings(result) + "<h2>Responses</h2>" + responses(item, result) + tokens(item)
        } else {
            parts = """
                <p class="none">There is no result. Pictures are made of images that a result was given by, and of no others.</p>
                """
        }
        let lines = item.explanation.map { line -> HTML in "<li>\(line.shortened(to: 1000))</li>" }
        parts += "<h2>Why it is where it is</h2><ol class=\"lines\">\(lines)</ol>"
        return parts + ItemReviews(reviews: item.reviews).html + attempts(item) + superseded(item)
    }

    private static func findings(_ result: ResultRow) -> HTML {
        guard !result.findings.isEmpty else { return "" }
        let rows = result.findings.map { found -> [HTML] in
            let edges = [found.y1, found.x1, found.y2, found.x2].compactMap(\.self)
            return [
                "\(found.n)", "\(found.label.shortened(to: 200))", "\(Formats.fixed(found.score, 4))",
                "\(edges.map { Formats.fixed($0, 3) }.joined(separator: ", "))", found.mask == nil ? "" : "yes",
                "\(found.note ?? "")",
            ]
        }
        return "<h2>Found</h2>"
            + Parts.table(
                "Found", ["#Number", "Label", "#Score", "Box: y1, x1, y2, x2", "Mask", "Note"], rows, empty: "")
    }

    private static func responses(_ item: Item, _ result: ResultRow) -> HTML {
        let isObject = item.responses.contains { $0.stage > 1 || $0.view > 1 || $0.question > 1 }
        let rows = item.responses.map { response -> [HTML] in
            let place: HTML =
                isObject
                ? "\(response.stage) / \(response.view) / \(response.question) / \(response.sample)"
                : "\(response.sample)"
            let finish: HTML =
                response.finish_reason == "eos"
                ? "by itself"
                : "<span class=\"warn\">\(response.finish_reason == "length" ? "cut off" : "repeated itself")</span>"
            return [
                place, Parts.long(response.response), "\(response.sum_logprob.map { Formats.fixed($0, 3) } ?? "")",
                "\(response.norm_logprob.map { Formats.fixed($0, 3) } ?? "")",
                "\(response.sum_logprob.map { HTML.percent(exp($0)) } ?? "")",
                "\(response.token_count.map { "\($0)" } ?? "")",
                finish,
            ]
        }
        let table = Parts.table(
            "Responses",
            [
                isObject ? "Stage / view / question / sample" : "Sample", "Text", "#Log-probability", "#Per length",
                "#Probability", "#Tokens", "Ended",
            ], rows, empty: "None.")
        guard rows.count > 12 else { return table }
        return "<details><summary>\(rows.count) responses</summary>\(table)</details>"
    }

    private static func tokens(_ item: Item) -> HTML {
        guard !item.tokens.isEmpty else { return "" }
        let lists = item.tokens.map { one -> HTML in
            let items = one.token_scores.map { score -> HTML in
                let mark: HTML = (score ?? 0) < -1 ? " class=\"low\"" : ""
                return "<li\(mark)>\(score.map { Formats.fixed($0, 2) } ?? "–")</li>"
            }
            return """
                <p class="soft">\(one.response.shortened(to: 200))</p>\
                <ol class="tokens" aria-label="Log-probabilities of its tokens">\(items)</ol>
                """
        }
        return "<h2>Log-probabilities of tokens</h2>\(lists)"
    }

    private static func attempts(_ item: Item) -> HTML {
        guard !item.attempts.isEmpty else { return "" }
        let rows = item.attempts.map { row -> [HTML] in
            [
                "\(row.attempt)", "\(row.outcome)\(row.count > 1 ? " × \(row.count)" : "")",
                "<code>\(row.code ?? "")</code>", "\((row.reason ?? "").shortened(to: 600))",
                "\(row.worker.map { "\($0)" } ?? "")", Parts.time(row.at),
            ]
        }
        return "<h2>Attempts without a result</h2>"
            + Parts.table(
                "Attempts without a result", ["#Attempt", "Outcome", "Code", "Reason", "#Worker", "At"], rows, empty: ""
            )
    }

    private static func superseded(_ item: Item) -> HTML {
        guard !item.superseded.isEmpty else { return "" }
        let rows = item.superseded.map { row -> [HTML] in
            [
                Parts.time(row.finished_at), "\(row.model)", Parts.long(row.text.shortened(to: 2000)),
                "\(row.score.map { Formats.fixed($0, 4) } ?? "")", "\(row.superseded_by)",
                Parts.time(row.superseded_at),
            ]
        }
        return "<h2>Results before this one</h2>"
            + Parts.table(
                "Results before this one", ["Finished", "Model", "Text", "#Score", "Run again by", "At"], rows,
                empty: "")
    }

    private static func jobFacts(_ item: Item) -> HTML {
        let state = item.state
        let batch: HTML =
            state.batch.map { name in
                "<a href=\"\(URLQuery().setting("batch", name).address("/results"))\">\(name.shortened(to: 80))</a>"
            } ?? ""
        let images = Parts.list(item.imageURLs.map(Parts.url), of: "images")
        let spec = item.spec.shortened(to: 20_000)
        return Parts.facts([
            ("batch", batch), ("key", "\((state.key ?? "").shortened(to: 300))"),
            ("enqueued", Parts.time(state.created_at)),
            ("attempts", "\(state.attempts) of \(state.max_attempts)"), ("priority", "\(state.priority)"),
            ("images", images),
            ("as asked", "<details><summary>spec</summary><pre class=\"sql\">\(spec)</pre></details>"),
        ])
    }

    private static func provenance(_ item: Item) -> HTML {
        guard let made = item.provenance, let result = item.result else { return "" }
        let digests = Parts.list((result.image_sha256 ?? []).map { Parts.code($0) }, of: "digests")
        let timings = made.timings.sorted { $0.value > $1.value }
            .map { "\($0.key) \(Formats.fixed($0.value, 3)) s" }.joined(separator: " · ")
        let prompts = Parts.list(result.prompts.prefix(50).map { Parts.code($0.shortened(to: 500)) }, of: "prompts")
        let again: HTML = made.rescues > 0 ? "\(made.rescues)" : ""
        let unread: HTML = made.not_understood > 0 ? "\(made.not_understood) parts" : ""
        return "<h2>What made the result</h2>"
            + Parts.facts([
                ("score", "\(result.score.map { Formats.fixed($0, 4) } ?? "")"), ("model", "\(result.model)"),
                ("digest", "<code>\(made.model_digest)</code>"),
                ("adapter", Parts.code(made.adapter_digest)),
                ("mask decoder", Parts.code(made.mask_digest)), ("precision", "\(made.precision ?? "")"),
                ("resize", "\(made.resize ?? "")"), ("gloss", "\(made.gloss_version)"),
                ("seed", "\(made.seed.map { "\($0)" } ?? "")"), ("prompts", prompts),
                ("images' SHA-256", digests), ("sizes", "\(sizes(result, made))"),
                ("not understood", unread), ("daemons died", again),
                ("daemon", "\(made.worker_host ?? "") (worker \(made.worker))"), ("times", "\(timings)"),
                ("finished", Parts.time(made.finished_at)),
                ("run it again", "<code>glossctl reproduce \(result.job_id) --model DIR</code>"),
            ])
    }

    /// Of each image; those that are the same once, with their number.
    private static func sizes(_ result: ResultRow, _ made: Item.Provenance) -> String {
        var counts: [(size: String, count: Int)] = []
        for (index, side) in zip(result.widths ?? [], result.heights ?? []).enumerated() {
            guard let width = side.0, let height = side.1 else { continue }
            let format = made.formats.flatMap { $0.indices.contains(index) ? $0[index] : nil } ?? ""
            let size = "\(width) × \(height) \(format)"
            if counts.last?.size == size { counts[counts.count - 1].count += 1 } else { counts.append((size, 1)) }
        }
        return counts.prefix(20).map { $0.count > 1 ? "\($0.count) of \($0.size)" : $0.size }.joined(separator: ", ")
    }
}

/// Which view of an object gave which answer to which question.
struct ViewsMatrix {
    let result: ResultRow
    /// Those of the first stage count.
    let responses: [Item.Response]

    private static let mostViews = 64

    var html: HTML {
        let first = responses.filter { $0.stage == 1 }
        let views = (first.map(\.view).max() ?? 0)
        let questions = (first.map(\.question).max() ?? 0)
        guard views > 0, views <= Self.mostViews, questions > 0 else { return "" }
        let best = Self.plain(result.answers?.first ?? result.text)
        let rows = (1...views).map { view -> [HTML] in
            [
                "<a href=\"\(ResultReads.picture(result, view - 1, .page))\">view \(view)</a>"
            ]
                + (1...questions).map { question in
                    cell(first.filter { $0.view == view && $0.question == question }, best)
                }
        }
        let heads = (1...questions).map { number -> String in
            let prompt = result.prompts.indices.contains(number - 1) ? result.prompts[number - 1] : "question \(number)"
            return ResultRow.question(prompt).shortened(to: 60)
        }
        return Parts.table("Views and questions", ["View"] + heads, rows, empty: "")
    }

    /// The responses by how often they were given; those that are not the object's answer stand out.
    private func cell(_ responses: [Item.Response], _ best: String) -> HTML {
        var counts: [(text: String, count: Int)] = []
        for response in responses {
            if let place = counts.firstIndex(where: { $0.text == response.response }) {
                counts[place].count += 1
            } else {
                counts.append((response.response, 1))
            }
        }
        let parts = counts.sorted { $0.count > $1.count }.prefix(4).map { text, count -> HTML in
            let mark: HTML = Self.plain(text) == best ? "" : " class=\"dissents\""
            let times: HTML = count > 1 ? " × \(count)" : ""
            return "<span\(mark)>\(text.shortened(to: 60))\(times)</span>"
        }
        return parts.joined(separator: "<br>")
    }

    private static func plain(_ text: String) -> String {
        text.lowercased().trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
