/// ChartQA's relaxed accuracy: a number is right within 5 % of the answer, any other text if it is equal.
public struct RelaxedAccuracy: TextMetric {
    /// Which numbers may be off.
    public enum Variant: String, Sendable, CaseIterable {
        /// All of them, years too, as pix2struct and big_vision compute it.
        case relaxed
        /// Not whole numbers of 1000 to 2999, which may be years: 2008 is not 2010.
        case strictYears = "relaxed-strict"
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        ItemRun(mean: "relaxed accuracy") { [variant] item throws(EvaluationError) in
            try item.requireAnswers()
            guard let text = item.text.map({ PythonText($0) }) else { return 0 }
            return item.answers.contains { Self.isRight(text, PythonText($0), variant) } ? 1 : 0
        }
    }

    private static func isRight(_ text: PythonText, _ answer: PythonText, _ variant: Variant) -> Bool {
        guard let value = number(text), let target = number(answer), target != 0 else {
            return text.lowercased() == answer.lowercased()
        }
        let isYear = (1000...2999).contains(target) && target == target.rounded() && answer.scalars.last != "%"
        if variant == .strictYears && isYear { return value == target }
        return abs(value - target) / abs(target) <= 0.05
    }

    /// The number, a hundredth of it before `%`; nil: it is none. "1,000" is none.
    private static func number(_ text: PythonText) -> Double? {
        guard text.scalars.last == "%" else { return text.float }
        guard let last = text.scalars.lastIndex(where: { $0 != "%" }) else { return nil }
        return PythonText(text.scalars[...last]).float.map { $0 / 100 }
    }
}
