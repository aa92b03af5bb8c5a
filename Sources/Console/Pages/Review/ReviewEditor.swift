import Annotation
import Foundation

/// The part of a review's form that mends the answer: fields, which the script draws over the picture.
struct ReviewEditor {
    let row: ResultRow

    private static let mostBoxes = 1000

    var html: HTML {
        """
        <details id="edit" class="edit"><summary>Edit <kbd>e</kbd></summary>
        \(fields)<button type="submit" name="verdict" value="edit" class="edit" aria-keyshortcuts="Control+Enter">\
        Save the edit <kbd>ctrl+enter</kbd></button></details>
        """
    }

    private var fields: HTML {
        switch row.presentation {
        case .boxes: boxes
        case .text: text
        case .answer, .distribution: (row.answers ?? []).count > 1 ? options(row.answers ?? []) : text
        }
    }

    private var text: HTML {
        // A line of its own: a browser drops the first end of a line.
        """
        <label class="field whole" for="text"><span>Text</span>\
        <textarea id="text" name="text" rows="6" dir="auto">
        \(row.text)</textarea></label>
        """
    }

    /// What was to choose from; another answer may be written all the same.
    private func options(_ answers: [String]) -> HTML {
        let items = answers.prefix(200).map { answer -> HTML in "<option value=\"\(answer)\"></option>" }
        return """
            <label class="field whole" for="text"><span>Answer</span>\
            <input id="text" name="text" value="\(row.text)" list="answers" dir="auto" autocomplete="off"></label>\
            <datalist id="answers">\(items)</datalist>
            """
    }

    // MARK: Boxes

    private var boxes: HTML {
        let found = row.findings.filter { $0.y1 != nil }
        guard found.count <= Self.mostBoxes else {
            return "<p class=\"none\">There are more than \(Self.mostBoxes) boxes: too many to mend here.</p>"
        }
        let labels = Set(found.map(\.label) + row.prompts.flatMap(Self.asked)).sorted()
        let suggestions = labels.map { label -> HTML in "<option value=\"\(label)\"></option>" }
        let masks: HTML =
            found.contains { $0.mask != nil }
            ? "<p class=\"soft\">A box keeps its mask while it stays where it is; one that is moved has none.</p>" : ""
        return """
            <p class="soft" id="box-keys">Drag a box, or one of its corners; drag where there is none to draw one. \
            By keyboard: Tab, arrows, Shift and arrows, Delete.</p>\(masks)
            <div class="scroll"><table class="box-rows"><thead><tr><th scope="col">Label</th><th scope="col">Top</th>\
            <th scope="col">Left</th><th scope="col">Bottom</th><th scope="col">Right</th><th scope="col">Delete</th></tr></thead>
            <tbody id="box-rows">\(found.enumerated().map { Self.line($1, "\($0 + 1)") })</tbody></table></div>
            <template id="box-row">\(Self.line(nil, ""))</template>
            <datalist id="labels">\(suggestions)</datalist>
            <p><button type="button" id="add-box" hidden>Add a box</button></p>
            """
    }

    /// What a prompt such as `detect cat ; dog` asks for.
    private static func asked(_ prompt: String) -> [String] {
        prompt.split(separator: " ", maxSplits: 1).dropFirst().joined().components(separatedBy: " ; ")
            .filter { !$0.isEmpty }
    }

    /// The fields of a box; nil: of one that the script adds.
    private static func line(_ found: FoundRow?, _ number: String) -> HTML {
        let edges = [
            ("y1", "top", found?.y1), ("x1", "left", found?.x1), ("y2", "bottom", found?.y2),
            ("x2", "right", found?.x2),
        ].map { name, words, edge -> HTML in
            """
            <td><input type="number" name="\(name)" min="0" max="1" step="0.005" \
            value="\(edge.map(ReviewAnswer.shown) ?? "")" aria-label="\(words) of box \(number)"></td>
            """
        }
        let name = found.map { "\($0.n)" } ?? ""
        return """
            <tr><td><input type="hidden" name="box" value="\(name)">\
            <input type="hidden" name="image" value="\(found?.image ?? 1)">\
            <input name="box-label" value="\(found?.label ?? "")" list="labels" aria-label="label of box \(number)" \
            autocomplete="off"></td>\(edges)\
            <td><input type="checkbox" name="gone" value="\(name)" aria-label="delete box \(number)"></td></tr>

            """
    }
}
