import Annotation
import Foundation
import Testing

@testable import Console

@Suite struct CardTests {
    @Test(arguments: [
        ("<script>alert('x') & \"y\"</script>", "&lt;script&gt;alert(&#39;x&#39;) &amp; &quot;y&quot;&lt;/script&gt;"),
        ("a\u{0}b\u{1B}c\nd", "a\u{FFFD}b\u{FFFD}c\nd"), ("gnp.\u{202E}exe\u{2069}", "gnp.\u{FFFD}exe\u{FFFD}"),
        ("\u{FFFE}", "\u{FFFD}"), ("ä猫🙂", "ä猫🙂"), ("", ""),
    ])
    func escapes(text: String, expected: String) {
        #expect(HTML.escape(text) == expected)
        let html: HTML = "<p title=\"\(text)\">\(text)</p>"
        #expect(html.description == "<p title=\"\(expected)\">\(expected)</p>")
    }

    /// What is HTML already is not escaped again.
    @Test func htmlStandsInHTML() {
        let inner: HTML = "<b>\("a & b")</b>"
        let parts: [HTML] = ["<i>1</i>", "<i>\(2)</i>"]
        let outer: HTML = "<p>\(inner)\(parts)\(-3)</p>"
        #expect(outer.description == "<p><b>a &amp; b</b><i>1</i><i>2</i>-3</p>")
    }

    @Test(arguments: [(0, "0.0%"), (0.0001, "<0.1%"), (0.5, "50.0%"), (0.99951, "100%"), (1.2, "100%")])
    func percents(probability: Double, expected: String) { #expect(HTML.percent(probability) == expected) }

    private func row(_ task: String, job: Int, url: String, _ more: String = "") throws -> ResultRow {
        try ResultRow(
            json: """
                {"job_id":\(job),"task":"\(task)","key":null,"text":"<b>t</b>","sum_logprob":-0.1,"norm_logprob":-0.1,
                 "finish_reason":"eos","texts":["<b>t</b>"],"image_urls":["\(url)"],"prompts":["answer en <q>?"],
                 "model":"<m>","settings":{"samples":1}\(more)}
                """)
    }

    private func found(_ n: Int, _ label: String, _ score: Double, _ edges: [Double]) throws -> FoundRow {
        let names = zip(["y1", "x1", "y2", "x2"], edges).map { ",\"\($0)\":\($1)" }.joined()
        return try FoundRow(json: "{\"job_id\":1,\"n\":\(n),\"label\":\"\(label)\",\"score\":\(score)\(names)}")
    }

    @Test func nothingOfTheUsersIsMarkup() throws {
        let box = try found(1, "<l>", 0.5, [0, 0, 1, 1])
        let evil = "http://a/\\\"><script>"
        for task in ["caption", "vqa", "detect"] {
            var row = try row(task, job: 1, url: evil)
            row.findings = task == "detect" ? [box] : []
            let html = CardHTML(card: ResultCard(rows: [row])).html.description
            for markup in ["<b>t", "<q>", "<m>", "<l>", "<script>"] { #expect(!html.contains(markup), "\(task)") }
        }
        let answers = ",\"answers\":[\"<b>t\"],\"probabilities\":[1]"
        let object = ResultCard(rows: [try row("multiview", job: 1, url: evil, answers)])
        #expect(!CardHTML(card: object).html.description.contains("<b>t"))
    }

    @Test func oneCardAnImageAndOneAnObject() throws {
        let rows = [
            try row("vqa", job: 3, url: "http://b"), try row("multiview", job: 1, url: "http://a"),
            try row("caption", job: 2, url: "http://a"), try row("detect", job: 4, url: "http://a"),
        ]
        let cards = ResultCard.group(rows)
        #expect(cards.map { $0.rows.map(\.job_id) } == [[2, 4], [3], [1]])
        #expect(cards.map(\.isObject) == [false, false, true])
    }

    @Test func boxesLieWithinTheImage() throws {
        var row = try row("detect", job: 1, url: "http://a")
        row.findings = [
            try found(1, "a", 0.2, [-1, 0, 0.5, 2]), try found(2, "no box", 1, []),
            try found(3, "b", 0.9, [0.1, 0.2, 0.3, 0.4]),
        ]
        #expect(row.boxes.map(\.label) == ["b", "a"])
        #expect(row.boxes[1] == ResultRow.LabelledBox(label: "a", score: 0.2, y1: 0, x1: 0, y2: 0.5, x2: 1))
        #expect(
            CardHTML(card: ResultCard(rows: [row])).html.description.contains(
                "x=\"20.00%\" y=\"10.00%\" width=\"20.00%\" height=\"20.00%\""))
    }

    @Test func masksLieOverTheImage() throws {
        var row = try row("segment", job: 1, url: "http://a", ",\"draw_box\":[0.25,0.5,0.75,1]")
        let json = { (n: Int, mask: String) in
            """
            {"job_id":1,"n":\(n),"label":"<l>","score":0.5,"y1":0,"x1":0,"y2":1,"x2":1,"width":4,"height":3,"mask":\(mask)}
            """
        }
        row.findings = [
            try FoundRow(json: json(1, "\"0<\"")), try FoundRow(json: json(2, "null")),
            try FoundRow(json: json(3, "\"<script>\"")),
        ]
        let html = CardHTML(card: ResultCard(rows: [row])).html.description
        #expect(html.components(separatedBy: "<path ").count == 2, "one can be read")
        #expect(
            html.contains("transform=\"translate(0.0000 0.0000) scale(250.0000 333.3333)\" d=\"M0 0h4v3h-4z\""),
            "\(html)")
        #expect(html.contains("<rect class=\"drawn\" x=\"50.00%\" y=\"25.00%\" width=\"50.00%\" height=\"50.00%\"/>"))
        #expect(!html.contains("<script>"))
    }

    /// Behind an object's answers those of each follow-up question, with the answer that it names.
    @Test func anObjectShowsItsFollowUps() throws {
        let shares = ",\"answers\":[\"mug\",\"cup\"],\"probabilities\":[0.75,0.25]"
        var row = try row("multiview", job: 1, url: "http://a", shares)
        let colours = (1...6).map { "{\"answer\":\"<c\($0)>\",\"p\":0.\(7 - $0)}" }.joined(separator: ",")
        let stage = { (number: Int, prompt: String, distribution: String) in
            """
            {"job_id":1,"stage":\(number),"prompts":["answer en \(prompt)"],"distribution":\(distribution),"key":"k"}
            """
        }
        row.followUps = [
            try FollowUpRow(json: stage(2, "what colour is the <mug>?", "[\(colours)]")),
            try FollowUpRow(json: stage(3, "where is the mug?", "null")),
        ]
        let html = CardHTML(card: ResultCard(rows: [row])).html.description
        let order = [
            ">mug<", ">75.0%<", ">cup<", "<h3>what colour is the &lt;mug&gt;?</h3>", ">&lt;c1&gt;<", ">60.0%<",
            ">2 more answers<", ">&lt;c6&gt;<", ">10.0%<", "<h3>where is the mug?</h3>", ">no answer<",
        ]
        var rest = html[...]
        for part in order {
            let place = try #require(rest.range(of: part), "\(part) in \(rest)")
            rest = rest[place.upperBound...]
        }
        #expect(row.searchText.contains("<c6>") && row.searchText.contains("where is the mug?"))
    }

    @Test func aChoiceShowsTheSharesOfItsOptions() throws {
        let shares = ",\"answers\":[\"<b>t\",\"no\"],\"probabilities\":[0.75,0.25]"
        let html = CardHTML(card: ResultCard(rows: [try row("choice", job: 1, url: "http://a", shares)])).html
            .description
        #expect(
            html.contains("<span class=\"p\">75.0%</span>") && html.contains("<rect width=\"75.00%\""), "not exp(sum)")
        #expect(html.contains("1 more answers") && html.contains("<span>no</span><span class=\"p\">25.0%</span>"))
        #expect(!html.contains("<b>t"))
    }

    @Test(arguments: [("eos", nil), ("length", "cut off"), ("repetition", "repeats")])
    func whatWasCutSaysSo(reason: String, note: String?) throws {
        var row = try row("caption", job: 1, url: "http://a")
        row.finish_reason = reason
        let html = CardHTML(card: ResultCard(rows: [row])).html.description
        #expect(html.contains("class=\"cut\"") == (note != nil))
        if let note { #expect(html.contains(">\(note)</span>")) }
    }

    /// A task of a newer version is shown as the text that it gave.
    @Test func aTaskUnknownHereIsShown() throws {
        let card = ResultCard(rows: [try row("dream", job: 1, url: "http://a")])
        #expect(CardHTML(card: card).html.description.contains("&lt;b&gt;t&lt;/b&gt;"))
    }

    @Test(arguments: [("answer en what is it?", "what is it?"), ("caption en", "caption en"), ("answer", "answer")])
    func questions(prompt: String, expected: String) { #expect(ResultRow.question(prompt) == expected) }
}
