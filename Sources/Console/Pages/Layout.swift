import Foundation

/// What stands around each page.
struct Layout {
    /// The pages that one goes to.
    enum Section: String, CaseIterable {
        case overview = "Overview"
        case results = "Results"
        case objects = "Objects"
        case compare = "Compare"
        case review = "Review"
        case failures = "Failures"
        case evaluations = "Evaluations"

        var path: String { self == .overview ? "/" : "/" + rawValue.lowercased() }
    }

    let title: String
    var section: Section?
    /// What the page shows, as SQL.
    var statements: [Statement] = []
    let body: HTML

    func reply(status: Int = 200) -> Reply { Reply(html, status: status) }

    /// A page that says why there is none.
    static func problem(_ sentence: String, status: Int, detail: HTML = "") -> Reply {
        let word = Reply.phrase(status)
        return Layout(
            title: word,
            body: "<section class=\"problem\"><h1>\(word)</h1><p role=\"alert\">\(sentence)</p>\(detail)</section>"
        ).reply(status: status)
    }

    var html: HTML {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>\(title) – Gloss</title>
        <link rel="icon" href="\(Assets.icon.address)">
        <link rel="stylesheet" href="\(Assets.style.address)">
        <script src="\(Assets.script.address)" defer></script>
        </head>
        <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header class="bar"><p class="brand">Gloss</p>
        <nav aria-label="Pages"><ul>\(links)</ul></nav>
        <form class="find" action="/find" role="search"><label for="find">Job or key</label>
        <input id="find" name="q" type="search" autocomplete="off"></form></header>
        <main id="content">
        \(body)
        \(sql)
        </main>
        </body>
        </html>

        """
    }

    private var links: HTML {
        HTML(
            Section.allCases.map { one in
                let mark: HTML = one == section ? " aria-current=\"page\"" : ""
                return "<li><a href=\"\(one.path)\"\(mark)>\(one.rawValue)</a></li>"
            })
    }

    private var sql: HTML {
        guard !statements.isEmpty else { return "" }
        let blocks = statements.map { statement -> HTML in "<pre class=\"sql\">\(statement.text);</pre>" }
        return """
            <details class="statements"><summary>The same as SQL</summary>\(blocks)</details>
            """
    }
}

/// Parts that several pages have.
enum Parts {
    /// A table.
    /// - Parameters:
    ///   - name: what the table is, for those who do not see it.
    ///   - columns: their headings; those of numbers begin with `#`.
    ///   - rows: cells by column, the first of which names its row.
    static func table(_ name: String, _ columns: [String], _ rows: [[HTML]], empty: String) -> HTML {
        guard !rows.isEmpty else { return "<p class=\"none\">\(empty)</p>" }
        let heads = columns.map { column -> HTML in
            column.hasPrefix("#")
                ? "<th scope=\"col\" class=\"number\">\(column.dropFirst())</th>" : "<th scope=\"col\">\(column)</th>"
        }
        let lines = rows.map { cells -> HTML in
            let cells = cells.enumerated().map { index, cell -> HTML in
                let isNumber = columns.indices.contains(index) && columns[index].hasPrefix("#")
                if index == 0, !isNumber { return "<th scope=\"row\">\(cell)</th>" }
                return isNumber ? "<td class=\"number\">\(cell)</td>" : "<td>\(cell)</td>"
            }
            return "<tr>\(cells)</tr>\n"
        }
        return """
            <div class="scroll" tabindex="0" role="region" aria-label="\(name)"><table><thead><tr>\(heads)</tr></thead>
            <tbody>\(lines)</tbody></table></div>
            """
    }

    /// Names and what belongs to them.
    static func facts(_ pairs: [(String, HTML)]) -> HTML {
        let items = pairs.filter { !$0.1.isEmpty }.map { name, value -> HTML in
            "<div><dt>\(name)</dt><dd>\(value)</dd></div>"
        }
        return items.isEmpty ? "" : "<dl class=\"facts\">\(items)</dl>"
    }

    /// What programs read; empty: nothing.
    static func code(_ text: String?) -> HTML {
        guard let text, !text.isEmpty else { return "" }
        return "<code>\(text)</code>"
    }

    /// Things below each other; many of them only when they are asked for.
    static func list(_ items: [HTML], of noun: String) -> HTML {
        guard !items.isEmpty else { return "" }
        let list: HTML = "<ul class=\"urls\">\(items.map { item -> HTML in "<li>\(item)</li>" })</ul>"
        return items.count < 3 ? list : "<details><summary>\(items.count) \(noun)</summary>\(list)</details>"
    }

    /// A time of the database.
    static func time(_ iso: String?) -> HTML {
        guard let iso else { return "" }
        // HTML has milliseconds at the most.
        let zone = iso.dropFirst(19).drop { $0 == "." || $0.isNumber }
        guard iso.dropFirst(10).first == "T" else { return "\(iso)" }
        return "<time datetime=\"\(iso.prefix(19))\(zone)\">\(Formats.time(iso))</time>"
    }

    /// A choice among some words.
    static func choice(_ name: String, _ label: String, _ options: [(String, String)], _ chosen: String?) -> HTML {
        let items = options.map { value, words -> HTML in
            let mark: HTML = value == (chosen ?? "") ? " selected" : ""
            return "<option value=\"\(value)\"\(mark)>\(words)</option>"
        }
        return """
            <label class="field" for="f-\(name)"><span>\(label)</span>\
            <select id="f-\(name)" name="\(name)">\(items)</select></label>
            """
    }

    /// A line to write in.
    static func input(
        _ name: String, _ label: String, _ value: String?, hint: String = "", suggestions: [String] = []
    ) -> HTML {
        let list: HTML
        let link: HTML
        if suggestions.isEmpty {
            (list, link) = ("", "")
        } else {
            let items = suggestions.map { one -> HTML in "<option value=\"\(one)\"></option>" }
            (list, link) = ("<datalist id=\"l-\(name)\">\(items)</datalist>", " list=\"l-\(name)\"")
        }
        return """
            <label class="field" for="f-\(name)"><span>\(label)</span>\
            <input id="f-\(name)" name="\(name)" value="\(value ?? "")" placeholder="\(hint)"\(link) \
            autocomplete="off"></label>\(list)
            """
    }

    /// A number to write.
    static func number(_ name: String, _ label: String, _ value: String?, hint: String = "") -> HTML {
        """
        <label class="field short" for="f-\(name)"><span>\(label)</span>\
        <input id="f-\(name)" name="\(name)" type="number" step="any" value="\(value ?? "")" \
        placeholder="\(hint)"></label>
        """
    }

    /// A form that asks for the same page with other filters.
    /// - Parameters:
    ///   - further: those that few need.
    ///   - isOpen: whether they are shown at once, as when one of them is set.
    ///   - action: another button; Enter presses the first one, which only asks.
    static func filters(
        _ path: String, _ fields: [HTML], further: [HTML] = [], isOpen: Bool = false, action: HTML = ""
    ) -> HTML {
        let open: HTML = isOpen ? " open" : ""
        let more: HTML =
            further.isEmpty
            ? "" : "<details class=\"further\"\(open)><summary>More filters</summary><div>\(further)</div></details>"
        return """
            <form class="filters" action="\(path)">\(fields)\
            <button type="submit">Show</button>\(action)<a class="reset" href="\(path)">Reset</a>\(more)</form>
            """
    }

    /// To the next page of a list.
    static func more(_ address: String?, _ words: String = "More") -> HTML {
        address.map { "<p class=\"more-link\"><a href=\"\($0)\" rel=\"next\">\(words)</a></p>" } ?? ""
    }

    /// A text of any length: a long one in a box that scrolls, by keyboard too.
    static func long(_ text: String) -> HTML {
        text.utf8.count > 600
            ? "<div class=\"said long\" dir=\"auto\" tabindex=\"0\">\(text)</div>"
            : "<div class=\"said\" dir=\"auto\">\(text)</div>"
    }

    /// Where an image came from: a link only if it leads to the web.
    static func url(_ text: String) -> HTML {
        let shown = text.shortened(to: 300)
        guard text.hasPrefix("https://") || text.hasPrefix("http://") else { return code(shown) }
        return "<a href=\"\(text)\" rel=\"noreferrer noopener\">\(shown)</a>"
    }

    /// What hides boxes below a score, at once; the script shows it.
    static let slider: HTML = """
        <div class="slider" hidden><label for="threshold">Boxes from a score of</label>
        <input id="threshold" type="range" min="0" max="1" step="0.01" value="0">
        <output id="threshold-value" for="threshold">0.00</output>
        <label class="toggle"><input type="checkbox" id="boxes" checked> boxes and masks</label></div>
        """
}
