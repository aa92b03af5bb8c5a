import Annotation
import Foundation

/// A card as HTML: the report's and the console's. Texts of users and of the model are escaped by `HTML`.
package struct CardHTML {
    /// Where pictures are and where links lead.
    package struct Places: Sendable {
        /// The address of a picture: of a result, and which of its images, from 0.
        var picture: @Sendable (ResultRow, Int) -> String
        /// The page of a job; nil: there is none.
        var job: @Sendable (ResultRow) -> String?

        package init(
            picture: @escaping @Sendable (ResultRow, Int) -> String,
            job: @escaping @Sendable (ResultRow) -> String? = { _ in nil }
        ) {
            (self.picture, self.job) = (picture, job)
        }

        /// The images' own URLs.
        package static let originals = Places(picture: { row, index in row.image_urls[index] })
    }

    let card: ResultCard
    let places: Places
    /// Whether the card carries what its page's script looks for.
    let isSearchable: Bool

    package init(card: ResultCard, places: Places = .originals, isSearchable: Bool = true) {
        (self.card, self.places, self.isSearchable) = (card, places, isSearchable)
    }

    private static let shownAnswers = 8
    private static let shownFurtherAnswers = 4
    /// A card is for looking at. The whole text is a result's.
    private static let longestText = 1200

    /// An `<article>`.
    package var html: HTML {
        let body = card.isObject ? object(card.rows[0]) : image
        return """
            <article class="card"\(isSearchable ? search : "")>
            \(body)\(foot)
            </article>

            """
    }

    private var search: HTML {
        let tasks = Set(card.rows.map(\.task)).sorted().joined(separator: " ")
        return " data-tasks=\"\(tasks)\" data-text=\"\(card.rows.map(\.searchText).joined(separator: " "))\""
    }

    // MARK: An image

    private var image: HTML {
        let captions = card.rows(shownAs: .text)
        let caption = captions.first?.text ?? found ?? card.rows[0].text
        let isSingle = card.imageURLs.count == 1
        let boxes = isSingle ? boxRows.flatMap(\.boxes) : []
        let frames = card.imageURLs.indices.map { picture(card.rows[0], $0, alternative: caption, boxes: boxes) }
        var body = isSingle ? frames[0] : strip(frames)
        body += "<div class=\"body\">"
        body += HTML(captions.map(self.caption))
        let answers = card.rows(shownAs: .answer)
        if !answers.isEmpty { body += "<dl class=\"qa\">\(answers.map(answer))</dl>" }
        body += HTML(boxRows.map(detection))
        return body + "</div>"
    }

    private var boxRows: [ResultRow] { card.rows(shownAs: .boxes) }

    /// What was found, for those who do not see the picture.
    private var found: String? {
        let labels = boxRows.flatMap(\.boxes).map(\.label)
        return labels.isEmpty ? nil : "detected: " + labels.prefix(20).joined(separator: ", ")
    }

    private func picture(
        _ row: ResultRow, _ index: Int, alternative: String, boxes: [ResultRow.LabelledBox]
    ) -> HTML {
        // The size keeps its room until the picture is there.
        var room: HTML = ""
        if let widths = row.widths, let heights = row.heights, widths.indices.contains(index),
            heights.indices.contains(index), let width = widths[index], let height = heights[index]
        {
            room = " width=\"\(width)\" height=\"\(height)\""
        }
        let drawn = card.rows.compactMap(\.draw_box)
        let picture: HTML = """
            <img loading="lazy" decoding="async" src="\(places.picture(row, index))"\(room) \
            alt="\(alternative.isEmpty ? "no text" : alternative.shortened(to: 300))">
            """
        let framed: HTML =
            places.job(row).map { "<a href=\"\($0)\" class=\"open\">\(picture)</a>" } ?? picture
        return """
            <figure class="frame">\(framed)\(OverlayHTML(boxes: boxes, drawn: index == 0 ? drawn : []).html)</figure>
            """
    }

    /// Pictures side by side, in one line or in lines of equal length.
    private func strip(_ pictures: [HTML]) -> HTML {
        let count = pictures.count <= 5 ? pictures.count : min(6, (pictures.count + 1) / 2)
        return "<div class=\"strip n\(count)\">\(pictures)</div>"
    }

    private func caption(_ row: ResultRow) -> HTML {
        """
        <p class="caption" dir="auto" title="\(row.prompts.first ?? "")">\(row.text.shortened(to: Self.longestText))\
        \(cut(row))</p><p class="score">\(score(row))</p>\(others(row))
        """
    }

    private func answer(_ row: ResultRow) -> HTML {
        // Of a choice, the share among its options.
        let probability = row.probabilities?.first ?? row.sum_logprob.map { exp($0) }
        let meter = probability.map { HTML.bar($0) } ?? ""
        let sure: HTML = probability.map { "<span class=\"p\">\(HTML.percent($0))</span>" } ?? ""
        return """
            <div><dt>\(ResultRow.question(row.prompts.first ?? "").shortened(to: 400))</dt>\
            <dd title="\(score(row))"><b dir="auto">\(row.text.shortened(to: Self.longestText))</b>\(cut(row))\(meter)\(sure)</dd>\
            \(others(row, "dd"))</div>
            """
    }

    private func detection(_ row: ResultRow) -> HTML {
        // The numbers are those of the overlay, which holds the boxes of all detections of this image.
        let before = boxRows.prefix { $0.job_id != row.job_id }.reduce(0) { $0 + $1.boxes.count }
        let chips = row.boxes.enumerated().map { index, box -> HTML in
            """
            <li class="\(HTML.hue(of: box.label))" data-box="\(before + index)" \
            data-score="\(Formats.fixed(box.score, 4))">\(box.label.shortened(to: 80))\
            <span class="p">\(HTML.percent(box.score))</span></li>
            """
        }
        let list: HTML = chips.isEmpty ? "<p class=\"none\">nothing found</p>" : "<ul class=\"chips\">\(chips)</ul>"
        let prompt = (row.prompts.first ?? row.task).shortened(to: 300)
        return """
            <div class="detect" title="\(row.text.shortened(to: 400))"><h3>\(prompt)\(cut(row))</h3>\(list)</div>
            """
    }

    /// The further samples or answers of a job.
    private func others(_ row: ResultRow, _ element: String? = nil) -> HTML {
        var list: HTML = ""
        if let answers = row.answers {
            list = hidden(Array(zip(answers, row.probabilities ?? [])).dropFirst())
        } else if row.texts.count > 1 {
            let items = row.texts.dropFirst().map { text -> HTML in "<li>\(text.shortened(to: 400))</li>" }
            list = "<details><summary>\(row.texts.count - 1) more</summary><ol>\(items)</ol></details>"
        }
        return list.isEmpty || element == nil ? list : "<dd class=\"more\">\(list)</dd>"
    }

    // MARK: An object

    private func object(_ row: ResultRow) -> HTML {
        let pairs = Array(zip(row.answers ?? [], row.probabilities ?? []))
        let views = row.image_urls.indices.map { picture(row, $0, alternative: "view \($0 + 1)", boxes: []) }
        let best: HTML? = pairs.first.map {
            "<p class=\"best\"><b>\($0.0.shortened(to: 200))</b><span class=\"p\">\(HTML.percent($0.1))</span></p>"
        }
        let shown = pairs.prefix(Self.shownAnswers).map(bar)
        let more = hidden(pairs.dropFirst(Self.shownAnswers))
        let questions = row.prompts.map { prompt -> HTML in "<li>\(ResultRow.question(prompt))</li>" }
        let samples = row.settings.samples ?? 1
        return """
            \(strip(views))<div class="body">\(best ?? "")\
            <ol class="bars">\(shown)</ol>\(more)\(row.followUps.map(followUp))\
            <details><summary>\(views.count) views × \(row.prompts.count) questions × \(samples) samples</summary>\
            <ol>\(questions)</ol></details></div>
            """
    }

    /// A further question about the object, and its answers.
    private func followUp(_ stage: FollowUpRow) -> HTML {
        let pairs = stage.shares.map { ($0.answer, $0.p) }
        let questions = stage.prompts.map(ResultRow.question).joined(separator: " ")
        let shown = pairs.prefix(Self.shownFurtherAnswers).map(bar)
        let bars: HTML = pairs.isEmpty ? "<p class=\"none\">no answer</p>" : "<ol class=\"bars\">\(shown)</ol>"
        return """
            <div class="stage"><h3>\(questions)</h3>\(bars)\
            \(hidden(pairs.dropFirst(Self.shownFurtherAnswers)))</div>
            """
    }

    private func hidden(_ answers: ArraySlice<(String, Double)>) -> HTML {
        guard !answers.isEmpty else { return "" }
        let bars = answers.map(bar)
        return "<details><summary>\(answers.count) more answers</summary><ol class=\"bars\">\(bars)</ol></details>"
    }

    private func bar(_ answer: String, _ probability: Double) -> HTML {
        """
        <li>\(HTML.bar(probability, class: "fill"))<span>\(answer.shortened(to: 200))</span>\
        <span class="p">\(HTML.percent(probability))</span></li>
        """
    }

    // MARK: Both

    private func score(_ row: ResultRow) -> String {
        guard let sum = row.sum_logprob, let norm = row.norm_logprob else { return "" }
        return "log-probability \(Formats.fixed(sum, 2)) · per length \(Formats.fixed(norm, 2))"
    }

    private func cut(_ row: ResultRow) -> HTML {
        switch row.finish_reason {
        case "length": " <span class=\"cut\" title=\"It reached max_tokens\">cut off</span>"
        case "repetition": " <span class=\"cut\" title=\"It repeated itself max_repeats times\">repeats</span>"
        default: ""
        }
    }

    private var foot: HTML {
        let keys = Set(card.rows.compactMap(\.key)).sorted().joined(separator: ", ")
        let name: HTML = keys.isEmpty ? "" : "<span class=\"key\">\(keys.shortened(to: 200))</span>"
        return """
            <footer>\(name)<span>job \(card.rows.map(number).joined(separator: ", "))</span>\
            <span>\(card.rows[0].model)</span>\(link)</footer>
            """
    }

    private func number(_ row: ResultRow) -> HTML {
        places.job(row).map { "<a href=\"\($0)\">\(row.job_id)</a>" } ?? "\(row.job_id)"
    }

    /// To the image itself, from pages that have no picture of it.
    private var link: HTML {
        guard places.job(card.rows[0]) == nil, let url = card.imageURLs.first,
            url.hasPrefix("https://") || url.hasPrefix("http://")
        else { return "" }
        return "<a class=\"original\" href=\"\(url)\" rel=\"noreferrer noopener\">original</a>"
    }
}

extension Sequence<HTML> {
    func joined(separator: HTML) -> HTML {
        var (joined, isFirst) = (HTML(""), true)
        for part in self {
            if !isFirst { joined += separator }
            joined += part
            isFirst = false
        }
        return joined
    }
}
