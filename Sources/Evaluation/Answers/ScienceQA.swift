/// ScienceQA: the letter in "The answer is X." at the start of a text, in any case, as big_vision reads it. The label
/// is a letter, or such a sentence.
public struct ScienceQA: TextMetric, ClassMetric {
    public init() {}

    public var name: String { "scienceqa" }

    public func start() -> any MetricRun {
        ItemRun<Void>(
            read: { item throws(EvaluationError) in
                let answer = try item.onlyAnswer()
                guard let label = Self.label(answer) else {
                    throw EvaluationError(
                        key: item.key, reason: "its answer '\(answer)' is neither a letter nor 'The answer is X.'")
                }
                guard let text = item.text else { return (0, ()) }
                return (Self.letter(text).map { $0 == label ? 1 : 0 }, ())
            },
            figures: { items, indices in
                [
                    items.mean("accuracy", indices),
                    .mean("parse failures", of: indices.map { items.scores[$0] == nil ? 1 : 0 }),
                ] + items.meansByType("accuracy", indices)
            })
    }

    public func classes(of item: EvaluatedItem) -> (label: String, answer: String?) {
        (item.answers.first.flatMap(Self.label).map(String.init) ?? "", item.text.flatMap(Self.letter).map(String.init))
    }

    /// A letter that stands alone, or that of a sentence.
    private static func label(_ answer: String) -> Unicode.Scalar? {
        let lowered = PythonText(answer).lowercased()
        let isLetter = lowered.count == 1 && ("a"..."z").contains(lowered.scalars[0])
        return isLetter ? lowered.scalars[0] : letter(answer)
    }

    /// The letter of `the answer is ([a-z])\.`, matched at the start.
    private static func letter(_ text: String) -> Unicode.Scalar? {
        let lowered = PythonText(text).lowercased().scalars
        let start = PythonText("the answer is ").scalars
        guard lowered.starts(with: start), lowered.count >= start.count + 2, lowered[start.count + 1] == "." else {
            return nil
        }
        let letter = lowered[start.count]
        return ("a"..."z").contains(letter) ? letter : nil
    }
}
