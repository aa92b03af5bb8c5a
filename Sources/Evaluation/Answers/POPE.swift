/// POPE: is there an object in the image? Accuracy, and precision, recall and F1 of "yes". The labels are `yes` and
/// `no`.
public struct POPE: TextMetric, ClassMetric {
    /// How a text is read.
    public enum Variant: String, Sendable, CaseIterable {
        /// POPE's script: "no" if a word of the first sentence is No, no or not, and "yes" otherwise, whatever it says.
        case official = "pope"
        /// big_vision's: `yes` or `no` in any case, and nothing else. Another text is neither, and wrong.
        case bigVision = "pope-bv"
    }

    /// What was said, and what is right.
    private struct Evidence: Sendable {
        /// Whether it says yes; nil: neither yes nor no, or there is no result.
        var says: Bool?
        var isYes: Bool
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        ItemRun<Evidence>(
            read: { [variant] item throws(EvaluationError) in
                let label = PythonText(try item.onlyAnswer()).stripped().lowercased().string
                guard label == "yes" || label == "no" else {
                    throw EvaluationError(key: item.key, reason: "its answer is '\(label)'; POPE's are 'yes' and 'no'")
                }
                let says = item.text.flatMap { Self.read($0, variant) }
                let evidence = Evidence(says: says, isYes: label == "yes")
                if item.text == nil { return (0, evidence) }
                return (says.map { $0 == evidence.isYes ? 1 : 0 }, evidence)
            },
            figures: Self.figures)
    }

    public func classes(of item: EvaluatedItem) -> (label: String, answer: String?) {
        let label = PythonText(item.answers.first ?? "").stripped().lowercased().string
        return (label, item.text.flatMap { Self.read($0, variant) }.map { $0 ? "yes" : "no" })
    }

    private static func read(_ text: String, _ variant: Variant) -> Bool? {
        switch variant {
        case .official:
            let sentence = PythonText(text).scalars.prefix { $0 != "." }
            let words = PythonText(sentence).replacing(",", with: nil).split(separator: " ").map(\.string)
            return !words.contains { ["No", "no", "not"].contains($0) }
        case .bigVision:
            let lowered = PythonText(text).lowercased().string
            return lowered == "yes" ? true : lowered == "no" ? false : nil
        }
    }

    @Sendable private static func figures(_ items: ScoredItems<Evidence>, _ indices: [Int]) -> [Figure] {
        func count(_ isCounted: (Evidence) -> Bool) -> Int {
            indices.reduce(into: 0) { $0 += isCounted(items.evidence[$1]) ? 1 : 0 }
        }
        let right = count { $0.says == $0.isYes }
        let truePositives = count { $0.says == true && $0.isYes }
        let saidYes = count { $0.says == true }
        let positives = count(\.isYes)
        let valid = count { $0.says != nil }
        let precision = Self.ratio(truePositives, saidYes)
        let recall = Self.ratio(truePositives, positives)
        var f1: Double?
        if let precision, let recall, precision + recall > 0 { f1 = 2 * precision * recall / (precision + recall) }
        return [
            Figure(name: "accuracy", value: ratio(right, indices.count), count: indices.count),
            Figure(name: "precision", value: precision, count: saidYes),
            Figure(name: "recall", value: recall, count: positives),
            Figure(name: "F1", value: f1, count: indices.count),
            Figure(name: "yes ratio", value: ratio(saidYes, indices.count), count: indices.count),
            Figure(name: "valid", value: ratio(valid, indices.count), count: indices.count),
        ]
    }

    private static func ratio(_ count: Int, _ total: Int) -> Double? {
        total == 0 ? nil : Double(count) / Double(total)
    }
}
