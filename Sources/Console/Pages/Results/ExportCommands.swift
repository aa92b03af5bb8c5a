import Annotation

/// The same results as files: commands that a person runs in a shell, as the page's SQL is run in psql.
enum ExportCommands {
    /// One a format that has a place for the results.
    static func lines(_ filter: ResultsFilter) -> [String] {
        let task = filter.task.flatMap(TaskName.init)
        let hasBoxes = task.map { $0.definition.presentation == .boxes } ?? true
        let hasImages = task.map { !$0.definition.limits.imagesAreViews } ?? true
        // Without --nested a line is a thing that was found.
        let condition = hasBoxes ? condition(filter) : []
        var all: [String] = []
        if hasImages { all.append(command(["jsonl"] + (hasBoxes ? [] : ["--nested"]), filter, condition)) }
        if hasBoxes { all.append(command(["coco"], filter, condition)) }
        if task.map({ $0.definition.presentation == .text }) == true {
            all.append(command(["coco", "--kind", "captions"], filter, []))
        }
        if task.map({ $0.definition.presentation == .distribution }) == true {
            all.append(command(["objaverse"], filter, []))
        }
        return all
    }

    /// Filters of the page that the commands do not have.
    static func omissions(_ filter: ResultsFilter) -> [String] {
        let task = filter.task.flatMap(TaskName.init)
        let hasBoxes = task.map { $0.definition.presentation == .boxes } ?? true
        return [
            filter.text.map { _ in "text" }, filter.finish.map { _ in "how it ended" },
            filter.reviewed.map { _ in "reviewed" },
            filter.answer.map { _ in "answer" },
            filter.least == nil && filter.most == nil ? nil : "probability",
            hasBoxes || filter.label == nil ? nil : "label",
            hasBoxes || (filter.low == nil && filter.high == nil) ? nil : "score",
        ].compactMap(\.self)
    }

    /// What stands below the results.
    static func html(_ filter: ResultsFilter) -> HTML {
        let omitted = omissions(filter)
        let note: HTML =
            omitted.isEmpty
            ? "" : "<p class=\"soft\">The commands have no filter by \(omitted.joined(separator: ", ")).</p>"
        let blocks = lines(filter).map { line -> HTML in "<pre class=\"sql\">\(line)</pre>" }
        return """
            <details class="statements" id="files"><summary>As JSONL, as COCO</summary>\(note)\(blocks)</details>
            """
    }

    private static func command(_ words: [String], _ filter: ResultsFilter, _ condition: [String]) -> String {
        let options = [("--batch", filter.batch), ("--task", filter.task), ("--model", filter.model)]
            .compactMap { name, value in value.map { "\(name) \(quoted($0))" } }
        let selection = condition.isEmpty ? [] : ["--where \(quoted(condition.joined(separator: " and ")))"]
        return (["glossctl export"] + words + options + selection).joined(separator: " ")
    }

    private static func condition(_ filter: ResultsFilter) -> [String] {
        [
            filter.label.map { "label = '\($0.replacing("'", with: "''"))'" }, filter.low.map { "score >= \($0)" },
            filter.high.map { "score <= \($0)" },
        ].compactMap(\.self)
    }

    /// As a shell takes it as it is.
    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy { ConsoleServer.isTokenCharacter($0) }
        return isPlain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
