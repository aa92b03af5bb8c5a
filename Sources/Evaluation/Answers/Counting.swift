/// Counts (TallyQA, CountBenchQA): number words up to twenty become digits, as big_vision does, and then texts must be
/// equal. Labels may call a question simple or complex, by its question type.
public struct Counting: TextMetric {
    private struct Evidence: Sendable {
        /// The count in the text; nil: it has none.
        var count: Int?
        var label: Int
    }

    public init() {}

    public var name: String { "counting" }

    public func start() -> any MetricRun {
        ItemRun<Evidence>(
            read: { item throws(EvaluationError) in
                let label = Self.numeral(try item.onlyAnswer())
                guard let labelled = Int(label), labelled >= 0 else {
                    throw EvaluationError(key: item.key, reason: "its answer '\(label)' is no count")
                }
                let text = item.text.map(Self.numeral)
                let count = text.flatMap { Int($0) }
                let isRight = text.map { PythonText.areEqual($0, label) } ?? false
                let score: Double? = isRight ? 1 : text != nil && count == nil ? nil : 0
                return (score, Evidence(count: count, label: labelled))
            },
            figures: Self.figures)
    }

    /// The number in digits if it is a word, else the text.
    private static func numeral(_ text: String) -> String { words[PythonText(text).lowercased()] ?? text }

    @Sendable private static func figures(_ items: ScoredItems<Evidence>, _ indices: [Int]) -> [Figure] {
        let errors = indices.map { index in
            items.evidence[index].count.map { abs(Double($0) - Double(items.evidence[index].label)) }
        }
        let byCount = Dictionary(grouping: indices) { items.evidence[$0].label }
        return [
            items.mean("accuracy", indices),
            .mean("within one", of: errors.map { ($0 ?? .infinity) <= 1 ? 1 : 0 }),
            .mean("mean absolute error", of: errors.filter { $0 != nil }),
        ] + items.meansByQuestionType("accuracy", indices)
            + byCount.sorted { $0.key < $1.key }.map { items.mean("accuracy count=\($0.key)", $0.value) }
    }

    private static let words: [PythonText: String] = {
        let names = [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
            "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
        ]
        let numbered = names.enumerated().map { (PythonText($1), String($0)) }
        return Dictionary(uniqueKeysWithValues: numbered + [(PythonText("none"), "0")])
    }()
}
