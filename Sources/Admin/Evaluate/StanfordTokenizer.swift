import Evaluation

/// Stanford's own PTBTokenizer, in Java: for numbers that equal the official tool's to the last bit, where a caption's
/// end depends on how the next one begins.
struct StanfordTokenizer {
    /// The path of `stanford-corenlp-3.4.1.jar`, as pycocoevalcap's wheel has it.
    let jar: String

    /// Cuts the references of all items, then their texts, each in the items' order as pycocoevalcap does. What it
    /// returns is for ``CaptionTokenizer/ptbTokens``.
    /// - Throws: `CommandError` if there is no Java or no such jar, or if a line is lost.
    func cut(_ items: [EvaluatedItem]) throws -> [EvaluatedItem] {
        var references = try cut(items.flatMap(\.answers))[...]
        var texts = try cut(items.compactMap(\.text))[...]
        return items.map { item in
            var item = item
            item.answers = Array(references.prefix(item.answers.count))
            references = references.dropFirst(item.answers.count)
            if item.text != nil { item.text = texts.popFirst() }
            return item
        }
    }

    private func cut(_ captions: [String]) throws -> [String] {
        if captions.isEmpty { return [] }
        return try JavaProgram(jar: jar, what: "the jar of Stanford CoreNLP 3.4.1").lines(
            ["-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"],
            input: captions.map(PTBTokenizer.line).joined(separator: "\n"), isNamed: true, count: captions.count)
    }
}
