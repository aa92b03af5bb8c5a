import Annotation
import Foundation

/// A card as HTML. All text of users and of the model goes through `HTML.escape`.
struct CardHTML {
    let card: ReportCard
    /// Where each image is, in place of its URL: a data: URL.
    var embedded: [String: String] = [:]

    private static let shownAnswers = 8
    private static let shownFurtherAnswers = 4

    /// An `<article>`.
    var html: String {
        let search = HTML.escape(card.rows.map(\.searchText).joined(separator: " "))
        let tasks = Set(card.rows.map(\.task)).sorted().joined(separator: " ")
        let body = card.isObject ? object(card.rows[0]) : image
        return """
            <article class="card" data-tasks="\(HTML.escape(tasks))" data-text="\(search)">
            \(body)\(foot)
            </article>

            """
    }

    // MARK: An image

    private var image: String {
        let captions = card.rows(shownAs: .text)
        let caption = captions.first?.text ?? card.rows[0].text
        let isSingle = card.imageURLs.count == 1
        let boxes = isSingle ? boxRows.flatMap(\.boxes) : []
        let frames = card.imageURLs.map { picture($0, alternative: caption, boxes: boxes) }
        var body = isSingle ? frames[0] : strip(frames)
        body += "<div class=\"body\">"
        body += captions.map(self.caption).joined()
        let answers = card.rows(shownAs: .answer)
        if !answers.isEmpty { body += "<dl class=\"qa\">\(answers.map(answer).joined())</dl>" }
        body += boxRows.map(detection).joined()
        return body + "</div>"
    }

    private var boxRows: [ReportRow] { card.rows(shownAs: .boxes) }

    private func picture(_ url: String, alternative: String, boxes: [ReportRow.LabelledBox]) -> String {
        let source = HTML.escape(embedded[url] ?? url)
        let picture = "<img loading=\"lazy\" decoding=\"async\" src=\"\(source)\" alt=\"\(HTML.escape(alternative))\">"
        return "<figure class=\"frame\">\(picture)\(overlay(boxes))</figure>"
    }

    /// Pictures side by side, in one line or in lines of equal length.
    private func strip(_ pictures: [String]) -> String {
        let count = pictures.count <= 5 ? pictures.count : min(6, (pictures.count + 1) / 2)
        return "<div class=\"strip\" style=\"--n:\(count)\">\(pictures.joined())</div>"
    }

    private func overlay(_ boxes: [ReportRow.LabelledBox]) -> String {
        let drawn = card.rows.compactMap(\.draw_box).filter { $0.count == 4 }
        guard !boxes.isEmpty || !drawn.isEmpty else { return "" }
        var (masks, rectangles, tags) = ("", drawn.map(drawnBox).joined(), "")
        for (index, box) in boxes.enumerated() {
            let hue = "--h:\(HTML.hue(of: box.label))"
            let (x, y) = (Formats.fixed(box.x1 * 1000, 1), Formats.fixed(box.y1 * 1000, 1))
            let (width, height) = (max(0, box.x2 - box.x1) * 1000, max(0, box.y2 - box.y1) * 1000)
            if let path = box.mask.flatMap(MaskPath.init) {
                masks += """
                    <path data-box="\(index)" style="\(hue)" transform="\(path.transform)" d="\(path.data)"/>
                    """
            }
            rectangles += """
                <rect data-box="\(index)" style="\(hue)" x="\(x)" y="\(y)" width="\(Formats.fixed(width, 1))" \
                height="\(Formats.fixed(height, 1))"/>
                """
            let place = box.y1 < 0.06 ? "tag inside" : "tag"
            tags += """
                <span class="\(place)" data-box="\(index)" style="\(hue);left:\(HTML.share(box.x1))%;\
                top:\(HTML.share(box.y1))%">\(HTML.escape(box.label))</span>
                """
        }
        return """
            <div class="overlay"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none">\(masks)\(rectangles)</svg>\
            \(tags)</div>
            """
    }

    /// A box that the model saw in the image.
    private func drawnBox(_ box: [Double]) -> String {
        let edges = box.map { $0 * 1000 }
        let numbers = [edges[1], edges[0], edges[3] - edges[1], edges[2] - edges[0]].map { Formats.fixed($0, 1) }
        return """
            <rect class="drawn" x="\(numbers[0])" y="\(numbers[1])" width="\(numbers[2])" height="\(numbers[3])"/>
            """
    }

    private func caption(_ row: ReportRow) -> String {
        let language = row.prompts.first ?? ""
        return """
            <p class="caption" title="\(HTML.escape(language))">\(HTML.escape(row.text))\(cut(row))</p>\
            <p class="score">\(score(row))</p>\(others(row))
            """
    }

    private func answer(_ row: ReportRow) -> String {
        // Of a choice, the share among its options.
        let probability = row.probabilities?.first ?? row.sum_logprob.map { exp($0) }
        let meter = probability.map { "<i class=\"meter\"><i style=\"width:\(HTML.share($0))%\"></i></i>" } ?? ""
        let sure = probability.map { "<span class=\"p\">\(HTML.percent($0))</span>" } ?? ""
        return """
            <div><dt>\(HTML.escape(ReportRow.question(row.prompts.first ?? "")))</dt>\
            <dd title="\(HTML.escape(score(row)))"><b>\(HTML.escape(row.text))</b>\(cut(row))\(meter)\(sure)</dd>\
            \(others(row))</div>
            """
    }

    private func detection(_ row: ReportRow) -> String {
        // The numbers are those of the overlay, which holds the boxes of all detections of this image.
        let before = boxRows.prefix { $0.job_id != row.job_id }.reduce(0) { $0 + $1.boxes.count }
        let chips = row.boxes.enumerated().map { index, box in
            """
            <li data-box="\(before + index)" style="--h:\(HTML.hue(of: box.label))">\(HTML.escape(box.label))\
            <span class="p">\(HTML.percent(box.score))</span></li>
            """
        }
        let list = chips.isEmpty ? "<p class=\"none\">nothing found</p>" : "<ul class=\"chips\">\(chips.joined())</ul>"
        let prompt = HTML.escape(row.prompts.first ?? row.task)
        return """
            <div class="detect" title="\(HTML.escape(row.text))"><h3>\(prompt)\(cut(row))</h3>\(list)</div>
            """
    }

    /// The further samples or answers of a job.
    private func others(_ row: ReportRow) -> String {
        if let answers = row.answers { return hidden(Array(zip(answers, row.probabilities ?? [])).dropFirst()) }
        guard row.texts.count > 1 else { return "" }
        let items = row.texts.dropFirst().map { "<li>\(HTML.escape($0))</li>" }.joined()
        return "<details><summary>\(row.texts.count - 1) more</summary><ol>\(items)</ol></details>"
    }

    // MARK: An object

    private func object(_ row: ReportRow) -> String {
        let pairs = Array(zip(row.answers ?? [], row.probabilities ?? []))
        let views = row.image_urls.map { picture($0, alternative: row.text, boxes: []) }
        let best = pairs.first.map {
            "<p class=\"best\"><b>\(HTML.escape($0.0))</b><span class=\"p\">\(HTML.percent($0.1))</span></p>"
        }
        let shown = pairs.prefix(Self.shownAnswers).map(bar).joined()
        let more = hidden(pairs.dropFirst(Self.shownAnswers))
        let questions = row.prompts.map { "<li>\(HTML.escape(ReportRow.question($0)))</li>" }.joined()
        let samples = row.settings.samples ?? 1
        return """
            \(strip(views))<div class="body">\(best ?? "")\
            <ol class="bars">\(shown)</ol>\(more)\(row.followUps.map(followUp).joined())\
            <details><summary>\(views.count) views × \(row.prompts.count) questions × \(samples) samples</summary>\
            <ol>\(questions)</ol></details></div>
            """
    }

    /// A further question about the object, and its answers.
    private func followUp(_ stage: FollowUpRow) -> String {
        let pairs = stage.shares.map { ($0.answer, $0.p) }
        let questions = stage.prompts.map(ReportRow.question).joined(separator: " ")
        let shown = pairs.prefix(Self.shownFurtherAnswers).map(bar).joined()
        let bars = pairs.isEmpty ? "<p class=\"none\">no answer</p>" : "<ol class=\"bars\">\(shown)</ol>"
        return """
            <div class="stage"><h3>\(HTML.escape(questions))</h3>\(bars)\
            \(hidden(pairs.dropFirst(Self.shownFurtherAnswers)))</div>
            """
    }

    private func hidden(_ answers: ArraySlice<(String, Double)>) -> String {
        guard !answers.isEmpty else { return "" }
        let bars = answers.map(bar).joined()
        return "<details><summary>\(answers.count) more answers</summary><ol class=\"bars\">\(bars)</ol></details>"
    }

    private func bar(_ answer: String, _ probability: Double) -> String {
        """
        <li><i style="width:\(HTML.share(probability))%"></i><span>\(HTML.escape(answer))</span>\
        <span class="p">\(HTML.percent(probability))</span></li>
        """
    }

    // MARK: Both

    private func score(_ row: ReportRow) -> String {
        guard let sum = row.sum_logprob, let norm = row.norm_logprob else { return "" }
        return "log-probability \(Formats.fixed(sum, 2)) · per length \(Formats.fixed(norm, 2))"
    }

    private func cut(_ row: ReportRow) -> String {
        switch row.finish_reason {
        case "length": " <span class=\"cut\" title=\"It reached max_tokens\">cut off</span>"
        case "repetition": " <span class=\"cut\" title=\"It repeated itself max_repeats times\">repeats</span>"
        default: ""
        }
    }

    private var foot: String {
        let keys = Set(card.rows.compactMap(\.key)).sorted().joined(separator: ", ")
        let jobs = card.rows.map { "\($0.job_id)" }.joined(separator: ", ")
        let name = keys.isEmpty ? "" : "<span class=\"key\">\(HTML.escape(keys))</span>"
        let link = card.imageURLs.first.flatMap { url in
            url.hasPrefix("https://") || url.hasPrefix("http://")
                ? "<a href=\"\(HTML.escape(url))\" rel=\"noreferrer noopener\">original</a>" : nil
        }
        let model = HTML.escape(card.rows[0].model)
        return "<footer>\(name)<span>job \(jobs)</span><span>\(model)</span>\(link ?? "")</footer>"
    }
}
