import Annotation
import Console
import Foundation
import Storage

/// The page around the cards.
struct PageHTML {
    let title: String
    let cards: [ResultCard]
    /// Jobs without a result, by code.
    let losses: [LossRow]
    /// The latest of them.
    let dead: [JobRow]
    /// Jobs that are neither done nor dead.
    let leftCount: Int

    /// All that stands before the first card.
    var head: HTML {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="referrer" content="no-referrer">
        <title>\(title) – Gloss</title>
        <style>\(HTML(stringLiteral: PageAssets.style))</style>
        </head>
        <body>
        <header class="top">
        <div class="name"><h1>\(title)</h1><p>annotated with Gloss and PaliGemma, \(Self.now)</p></div>
        <ul class="stats">\(stats)</ul>
        <div class="tools">
        <input type="search" id="filter" placeholder="Filter by text, label, answer, key …" aria-label="Filter">
        \(taskButtons)
        <label class="toggle"><input type="checkbox" id="boxes" checked> boxes and masks</label>
        <output id="count"></output>
        </div>
        </header>
        <main>

        """
    }

    /// What stands before a card: where another kind begins, the end of the one section and the start of the next.
    func opening(before index: Int) -> HTML {
        let isObject = cards[index].isObject
        guard index == 0 || cards[index - 1].isObject != isObject else { return "" }
        let isMixed = cards.contains { $0.isObject != isObject }
        let heading: HTML = isMixed ? "<h2>\(isObject ? "Objects" : "Images")</h2>" : ""
        let end: HTML = index == 0 ? "" : "</section>"
        return "\(end)\(heading)<section class=\"grid\(isObject ? " wide" : "")\">\n"
    }

    /// All that stands behind the last card.
    var tail: HTML {
        let end: HTML = cards.isEmpty ? "<p class=\"empty\">There are no results yet.</p>" : "</section>"
        return
            "\(end)</main>\n\(failures)<script>\(HTML(stringLiteral: PageAssets.script))</script>\n</body>\n</html>\n"
    }

    /// Jobs without a result.
    var deadCount: Int { losses.reduce(0) { $0 + $1.dead } }

    private static var now: String {
        Date().formatted(.iso8601.year().month().day().dateSeparator(.dash)) + " "
            + Date().formatted(.iso8601.time(includingFractionalSeconds: false)).prefix(5) + " UTC"
    }

    /// The tasks that have results, in their usual order.
    private var tasks: [any AnnotationTask] {
        let present = Set(cards.flatMap { $0.rows.map(\.task) })
        return TaskName.all.filter { present.contains($0.name.rawValue) }
    }

    private var stats: HTML {
        let rows = cards.flatMap(\.rows)
        let images = Set(cards.filter { !$0.isObject }.flatMap(\.imageURLs)).count
        let results = tasks.map { task in (rows.count { $0.task == task.name.rawValue }, task.title.lowercased()) }
        let boxes = rows.reduce(0) { $0 + $1.boxes.count }
        let numbers = [(images, "images")] + results + [(boxes, "boxes"), (deadCount, "failures")]
        let items = numbers.filter { $0.0 > 0 }.map { ($0.0, $0.0 == 1 ? Self.singular($0.1) : $0.1) }
        let list = (items + (leftCount > 0 ? [(leftCount, "to come")] : []))
            .map { number, name -> HTML in "<li><b>\(Formats.count(number))</b> \(name)</li>" }
        return HTML(list)
    }

    private static func singular(_ word: String) -> String {
        String(word.hasSuffix("xes") ? word.dropLast(2) : word.hasSuffix("s") ? word.dropLast() : word[...])
    }

    private var taskButtons: HTML {
        guard tasks.count > 1 else { return "" }
        let buttons = tasks.map { task -> HTML in
            """
            <button type="button" data-task="\(task.name.rawValue)" aria-pressed="false">\(task.title.lowercased())</button>
            """
        }
        return "<div class=\"tasks\">\(buttons)</div>"
    }

    private var failures: HTML {
        guard !dead.isEmpty else { return "" }
        let rows = dead.map { job -> HTML in
            """
            <tr><td>\(job.job_id)</td><td>\(job.task)</td><td>\(job.key ?? "")</td>\
            <td class="url">\((job.image_url ?? "").cut(to: 300))</td>\
            <td>\(job.reason ?? "")</td></tr>
            """
        }
        let codes = losses.map { loss -> HTML in
            """
            <tr><td>\(loss.code)</td><td>\(Formats.count(loss.dead))</td><td>\(Formats.count(loss.hosts))</td>\
            <td>\(loss.advice ?? "")</td></tr>
            """
        }
        let rest: HTML = dead.count < deadCount ? "<p>The latest \(Formats.count(dead.count)) of them:</p>" : ""
        return """
            <section class="failures"><h2>Without a result</h2><div class="scroll"><table><thead><tr><th scope="col">code</th>\
            <th scope="col">jobs</th><th scope="col">hosts</th><th scope="col">what to do</th></tr></thead><tbody>\(codes)\
            </tbody></table></div>\(rest)<div class="scroll"><table><thead><tr><th scope="col">job</th>\
            <th scope="col">task</th><th scope="col">key</th><th scope="col">image</th><th scope="col">why</th></tr></thead><tbody>\(rows)\
            </tbody></table></div></section>

            """
    }
}
