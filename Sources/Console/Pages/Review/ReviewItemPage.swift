import Annotation

/// One result, as large as the window has room for, and what a reviewer may say of it.
enum ReviewItemPage {
    static func reply(_ readers: ReaderPool, _ job: Int64, _ query: URLQuery) async throws -> Reply {
        let filter = try ReviewFilter(query)
        guard let item = try await ReviewItem.read(readers, job, filter) else {
            return Layout.problem("Job \(job) has no result.", status: 404)
        }
        let name = (item.row.key ?? "Job \(job)").shortened(to: 160)
        let back = filter.query.address("/review")
        return Layout(
            title: "Review: \(name)", section: .review, statements: item.statements,
            body: """
                <div class="head"><h1>\(name)</h1><p>\(item.row.task) · <a href="/job/\(job)">job \(job)</a> · \
                \(item.row.model.shortened(to: 60)) · <a href="\(back)">\(filter.policy.words)</a></p>\
                \(ReviewPage.said(query))</div>
                <div class="item review">\(picture(item))<div>\(forms(item, filter))\(item.figures.summary)</div></div>
                """
        ).reply()
    }

    private static func picture(_ item: ReviewItem) -> HTML {
        let card = CardHTML(
            card: ResultCard(rows: [item.row]), places: ResultReads.places(.page, links: false), isSearchable: false)
        return "<div><h2 class=\"away\">Result</h2>\(card.html)</div>"
    }

    // MARK: What a reviewer may say

    private static func forms(_ item: ReviewItem, _ filter: ReviewFilter) -> HTML {
        guard item.mayReview else { return "<p class=\"warn\">You are no reviewer here, and may only look.</p>" }
        let job = item.row.job_id
        let said: HTML =
            item.said.map { said in
                let word = ReviewPage.Verdict(rawValue: said.verdict)?.past ?? said.verdict
                return "<p class=\"soft\">\(word) by you, \(Parts.time(said.at)). Another verdict replaces it.</p>"
            } ?? ""
        // Enter in a field must press no button: the first one of a form, which is switched off.
        return """
            <h2>Verdict</h2>\(said)<form id="review" method="post" action="/review/\(job)" novalidate>\
            <button type="submit" disabled hidden>None</button>\(filter.hidden)\
            <input type="hidden" name="fence" value="\(item.fence)">
            <div class="verdicts">\(button(.accept, "Accept", "a"))\(button(.reject, "Reject", "x"))\
            \(button(.skip, "Skip", "Space"))\(button(.looked, "Looked at", "l"))</div>
            \(ReviewEditor(row: item.row).html)
            <label class="field note" for="note"><span>Note</span>\
            <input id="note" name="note" maxlength="2000" autocomplete="off"></label></form>
            <form id="undo" method="post" action="/review/undo">\(filter.hidden)\
            <input type="hidden" name="job" value="\(job)">\
            <button type="submit" aria-keyshortcuts="u">Undo the last one <kbd>u</kbd></button></form>
            \(help(item.row.presentation == .boxes))
            """
    }

    private static func button(_ verdict: ReviewPage.Verdict, _ words: String, _ key: String) -> HTML {
        """
        <button type="submit" name="verdict" value="\(verdict.rawValue)" \
        aria-keyshortcuts="\(key)">\(words) <kbd>\(key.lowercased())</kbd></button>
        """
    }

    /// Keys do nothing without the script, which shows the switch.
    private static func help(_ hasBoxes: Bool) -> HTML {
        var keys = [
            ("a", "accept"), ("x", "reject"), ("space", "skip"), ("l", "looked at, without a verdict"), ("e", "edit"),
            ("u", "undo the last verdict"), ("?", "these keys"), ("Ctrl+Enter", "save the edit"),
            ("Esc", "leave the editor"),
        ]
        if hasBoxes {
            keys += [
                ("Tab", "the next box, in the editor"), ("arrows", "move it"),
                ("Shift+arrows", "move its lower right corner"),
                ("Enter", "write its label"), ("Delete", "delete it, or bring it back"),
            ]
        }
        let rows = keys.map { key, words -> HTML in "<div><dt><kbd>\(key)</kbd></dt><dd>\(words)</dd></div>" }
        return """
            <label class="toggle" id="shortcut-switch" hidden><input type="checkbox" id="shortcuts" checked> \
            keys of one letter</label>
            <details id="help"><summary>Keys</summary><dl class="facts">\(rows)</dl></details>
            """
    }
}
