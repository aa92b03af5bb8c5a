import Annotation

/// A pair of answers as a card.
struct PairHTML {
    let pair: Comparison.Pair
    /// The result on the left.
    let row: ResultRow
    let kind: ComparisonFilter.Kind

    private static let mostViews = 12

    var html: HTML {
        let name = (row.key ?? "job \(row.job_id)").shortened(to: 160)
        return """
            <article class="card pair">
            \(pair.has_boxes ? boxPictures : views)<div class="body"><h3>\(name)</h3>\(pair.has_boxes ? boxList : texts)</div>
            <footer><span>left: <a href="/job/\(pair.job_id)">job \(pair.job_id)</a>, \(pair.model.shortened(to: 80))</span>\
            <span>right: \(other)</span></footer>
            </article>

            """
    }

    private var other: HTML {
        let who = pair.other_model.shortened(to: 80)
        guard kind == .models else { return "\(kind.words), \(who)" }
        return "<a href=\"/job/\(pair.other_job)\">job \(pair.other_job)</a>, \(who)"
    }

    // MARK: Boxes

    private var boxPictures: HTML {
        "<div class=\"strip n2\">\(side("left", pair.left_boxes ?? []))\(side("right", pair.right_boxes ?? []))</div>"
    }

    private func side(_ name: String, _ boxes: [Comparison.Box]) -> HTML {
        let labels = boxes.map(\.label).prefix(20).joined(separator: ", ")
        let alternative = boxes.isEmpty ? "\(name): nothing" : "\(name): \(labels.shortened(to: 300))"
        let alone = Set(boxes.indices.filter { boxes[$0].iou == nil })
        let overlay = OverlayHTML(boxes: boxes.map(\.labelled), alone: alone).html
        return """
            <figure class="frame">\(ResultReads.image(row, 0, .card, alternative: alternative))\(overlay)</figure>
            """
    }

    private var boxList: HTML {
        let (left, right) = (pair.left_boxes ?? [], pair.right_boxes ?? [])
        let partners = left.filter { $0.iou != nil }
        guard !left.isEmpty || !right.isEmpty else { return "<p class=\"none\">Nothing on either side.</p>" }
        let lines: [HTML] = [
            line("Only left", left.filter { $0.iou == nil }), line("Only right", right.filter { $0.iou == nil }),
            line("Both", partners),
        ]
        return "<dl class=\"facts\">\(lines)</dl>"
    }

    private func line(_ name: String, _ boxes: [Comparison.Box]) -> HTML {
        guard !boxes.isEmpty else { return "" }
        let items = boxes.prefix(40).map { box -> String in
            let label = box.label.shortened(to: 60)
            return box.iou.map { "\(label) (IoU \(Formats.fixed($0, 2)))" }
                ?? box.score.map { "\(label) (score \(Formats.fixed($0, 2)))" } ?? label
        }
        let more = boxes.count > items.count ? ", and \(boxes.count - items.count) more" : ""
        return "<div><dt>\(name)</dt><dd>\(items.joined(separator: ", "))\(more)</dd></div>"
    }

    // MARK: Texts

    private var views: HTML {
        let count = min(row.image_urls.count, Self.mostViews)
        guard count > 0 else { return "" }
        let frames = (0..<count).map { index -> HTML in
            let alternative = count == 1 ? row.text.shortened(to: 300) : "view \(index + 1)"
            return """
                <figure class="frame">\(ResultReads.image(row, index, .card, alternative: alternative))</figure>
                """
        }
        return "<div class=\"strip n\(min(count, 6))\">\(frames)</div>"
    }

    private var texts: HTML {
        let (left, right) = (pair.text ?? "", pair.other_text ?? "")
        let question: HTML =
            row.presentation == .text
            ? "" : "<p class=\"soft\">\(ResultRow.question(row.prompts.first ?? "").shortened(to: 400))</p>"
        guard let changes = WordDiff(left, right) else {
            return """
                \(question)<dl class="facts"><div><dt>Left</dt><dd>\(Parts.long(left))</dd></div>\
                <div><dt>Right</dt><dd>\(Parts.long(right))</dd></div></dl>
                """
        }
        return """
            \(question)<p class="caption diff" dir="auto">\(changes.html)</p>
            """
    }
}
