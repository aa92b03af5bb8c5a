import Evaluation

/// METEOR 1.5, by its own program in Java, as pycocoevalcap runs it.
struct Meteor {
    /// The path of `meteor-1.5.jar`, with `data/paraphrase-en.gz` beside it.
    let jar: String

    /// METEOR of all items.
    /// - Parameter items: captions and references; an item without a text has an empty caption.
    /// - Throws: `CommandError` if there is no Java or no such jar.
    func score(_ items: [EvaluatedItem], _ tokenizer: CaptionTokenizer) throws -> Double {
        let lines = items.map { item in
            let caption = tokenizer.cut(item.text ?? "").replacing("|||", with: "").replacing("  ", with: " ")
            return (["SCORE"] + item.answers.map(tokenizer.cut) + [caption]).joined(separator: " ||| ")
        }
        let program = JavaProgram(jar: jar, what: "the jar of METEOR 1.5")
        let arguments = ["-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", jar, "-", "-", "-stdio", "-l", "en", "-norm"]
        let statistics = try program.lines(arguments, input: lines.joined(separator: "\n") + "\n", count: items.count)
        let scores = try program.lines(
            arguments, input: (["EVAL"] + statistics).joined(separator: " ||| ") + "\n", count: items.count + 1)
        guard let score = scores.last.flatMap({ Double($0) }) else {
            throw CommandError(.failed, "\(jar) wrote \"\(scores.last ?? "")\", which is no score")
        }
        return score
    }
}

extension TextEvaluation {
    /// METEOR of the captions that are scored, and of those that they are compared with. It has no interval: the program would run
    /// for each draw.
    func meteor(_ jar: String, _ results: TextResults, against other: TextResults?, _ tokenizer: CaptionTokenizer)
        throws
        -> EvaluationReport.Line
    {
        let meteor = Meteor(jar: jar)
        func score(_ results: TextResults) throws -> Double {
            let items = items.map { item($0, results) }
            return try meteor.score(try cutter?.cut(items) ?? items, cutter == nil ? tokenizer : .ptbTokens)
        }
        var line = EvaluationReport.Line(name: "METEOR", value: try score(results), count: items.count)
        if let other {
            line.against = try score(other)
            if let value = line.value, let against = line.against { line.difference = value - against }
        }
        return line
    }
}
