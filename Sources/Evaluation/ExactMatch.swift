/// A text is right if it equals one of the answers.
public struct ExactMatch: TextMetric {
    /// What is made equal before the two are compared.
    public enum Variant: String, Sendable, CaseIterable {
        /// Nothing: GQA, xGQA, NLVR2, AI2D, A-OKVQA's multiple choice.
        case exact
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        ItemRun<Bool>(
            read: { item throws(EvaluationError) in
                guard !item.answers.isEmpty else { throw EvaluationError(key: item.key, reason: "it has no answers") }
                guard let text = item.text else { return false }
                return item.answers.contains { $0.utf8.elementsEqual(text.utf8) }
            },
            score: { $0 ? 1 : 0 },
            figures: { evidence, indices in
                let right = indices.reduce(into: 0) { $0 += evidence[$1] ? 1 : 0 }
                let value = indices.isEmpty ? nil : Double(right) / Double(indices.count)
                return [Figure(name: "accuracy", value: value, count: indices.count)]
            })
    }
}
