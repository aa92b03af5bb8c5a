/// RSVQA: the mean over the question types of their accuracies, as big_vision's `acc_avg`, so that a frequent type
/// counts as much as a rare one. A text is right if it equals one of the answers in lower case.
public struct RSVQA: TextMetric {
    /// The types whose answers are not numbers.
    private static let notNumeric: Set<String> = ["comp", "presence", "rural_urban"]

    public init() {}

    public var name: String { "rsvqa" }

    public func start() -> any MetricRun {
        ItemRun<Void>(
            read: { item throws(EvaluationError) in
                try item.requireAnswers()
                guard item.questionType != nil else {
                    throw EvaluationError(
                        key: item.key, reason: "it has no question_type, over which RSVQA is averaged")
                }
                return (ExactMatch.isRight(item, .exactLower) ? 1 : 0, ())
            },
            figures: { items, indices in
                let types = items.meansByQuestionType("accuracy", indices)
                let notNumeric = types.filter { type in
                    Self.notNumeric.contains { type.name == "accuracy question_type=\($0)" }
                }
                return [
                    .mean("accuracy over types", of: types.map(\.value)), items.mean("accuracy", indices),
                    .mean("accuracy over non-numeric types", of: notNumeric.map(\.value)),
                ] + types
            })
    }
}
