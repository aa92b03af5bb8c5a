/// ScienceQA: the letter in "The answer is X." at the start of a text, in any case, as big_vision reads it. The label is a
/// letter, or such a sentence.
public struct ScienceQA: TextMetric {
    public init() {}

    public var name: String { "scienceqa" }

    public func start() -> any MetricRun {
        ItemRun<Judgement>(
            read: { item throws(EvaluationError) in
                let answer = try item.onlyAnswer()
                let lowered = PythonText(answer).lowercased()
                let isLetter = lowered.count == 1 && ("a"..."z").contains(lowered.scalars[0])
                guard let label = isLetter ? lowered.scalars[0] : Self.letter(answer) else {
                    throw EvaluationError(
                        key: item.key, reason: "its answer '\(answer)' is neither a letter nor 'The answer is X.'")
                }
                guard let text = item.text else { return Judgement(0, of: item) }
                return Judgement(Self.letter(text).map { $0 == label ? 1 : 0 }, of: item)
            },
            score: \.score,
            figures: { judgements, indices in
                [
                    Means.all("accuracy", judgements, indices),
                    Means.mean("parse failures", of: indices.map { judgements[$0].score == nil ? 1 : 0 }),
                ] + Means.byType("accuracy", judgements, indices)
            })
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
