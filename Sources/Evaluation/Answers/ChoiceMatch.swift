/// The option that a text names, by letter or by its words: "(a)", "A.", "b", or the option itself in any case. MMVP's
/// official grader is GPT-4; this one says nil where it finds no option.
public struct ChoiceMatch: TextMetric, ClassMetric {
    public init() {}

    public var name: String { "choice" }

    public func start() -> any MetricRun {
        ItemRun(mean: "accuracy") { item throws(EvaluationError) in
            let answer = try item.onlyAnswer()
            guard let right = Self.choice(answer, of: item.choices) else {
                throw EvaluationError(
                    key: item.key, reason: "its answer '\(answer)' is neither a letter nor one of its choices")
            }
            guard let text = item.text else { return 0 }
            return Self.choice(text, of: item.choices).map { $0 == right ? 1 : 0 }
        }
    }

    public func classes(of item: EvaluatedItem) -> (label: String, answer: String?) {
        func name(_ text: String) -> String? {
            Self.choice(text, of: item.choices).map { index in
                item.choices.isEmpty ? String(UnicodeScalar(UInt8(97 + index))) : item.choices[index]
            }
        }
        return (item.answers.first.flatMap(name) ?? "", item.text.flatMap(name))
    }

    /// The option's index; nil: the text names none.
    private static func choice(_ text: String, of choices: [String]) -> Int? {
        let lowered = PythonText(text).stripped().lowercased()
        if let index = choices.firstIndex(where: { PythonText($0).stripped().lowercased() == lowered }) { return index }
        var letters = lowered.scalars[...]
        if letters.first == "(" { letters = letters.dropFirst() }
        guard let letter = letters.first, ("a"..."z").contains(letter) else { return nil }
        let rest = letters.dropFirst().prefix { $0 != " " }
        guard rest.allSatisfy({ $0 == ")" || $0 == "." || $0 == ":" }), !rest.isEmpty || letters.count == 1 else {
            return nil
        }
        let index = Int(letter.value) - 97
        return choices.isEmpty || index < choices.count ? index : nil
    }
}
