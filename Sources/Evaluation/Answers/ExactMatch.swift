/// A text is right if it equals one of the answers.
public struct ExactMatch: TextMetric, ClassMetric {
    /// What is made equal before the two are compared.
    public enum Variant: String, Sendable, CaseIterable {
        /// Nothing: GQA, xGQA, NLVR2, AI2D, A-OKVQA's multiple choice.
        case exact
        /// Upper and lower case: big_vision's `to_lower`, for OCR-VQA and RSVQA.
        case exactLower = "exact-lower"
        /// Case, ASCII punctuation, articles and white space, as SQuAD's script does.
        case squad
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        ItemRun(mean: "accuracy") { [variant] item throws(EvaluationError) in
            try item.requireAnswers()
            return Self.isRight(item, variant) ? 1 : 0
        }
    }

    public func classes(of item: EvaluatedItem) -> (label: String, answer: String?) {
        func name(_ text: String) -> String { variant == .exact ? text : Self.normalise(text, variant).string }
        let labels = item.answers.map(name)
        guard let answer = item.text.map(name) else { return (labels.first ?? "", nil) }
        return (labels.first { PythonText.areEqual($0, answer) } ?? labels.first ?? "", answer)
    }

    static func isRight(_ item: EvaluatedItem, _ variant: Variant) -> Bool {
        guard let text = item.text else { return false }
        if variant == .exact { return item.answers.contains { PythonText.areEqual($0, text) } }
        let normalised = normalise(text, variant)
        return item.answers.contains { normalise($0, variant) == normalised }
    }

    private static func normalise(_ text: String, _ variant: Variant) -> PythonText {
        let lowered = PythonText(text).lowercased()
        return variant == .squad ? withoutArticles(withoutPunctuation(lowered)) : lowered
    }

    private static func withoutPunctuation(_ text: PythonText) -> PythonText {
        PythonText(
            text.scalars.filter { scalar in
                switch scalar.value {
                case 33...47, 58...64, 91...96, 123...126: false
                default: true
                }
            })
    }

    /// The articles are words between what is no letter, number or underscore; what is left is joined by single blanks.
    private static func withoutArticles(_ text: PythonText) -> PythonText {
        let articles = [PythonText("a"), PythonText("an"), PythonText("the")]
        var kept: [Unicode.Scalar] = []
        var word: [Unicode.Scalar] = []
        func end() {
            kept.append(contentsOf: articles.contains(PythonText(word)) ? [" "] : word)
            word = []
        }
        for scalar in text.scalars {
            if PythonText.isWord(scalar) {
                word.append(scalar)
            } else {
                end()
                kept.append(scalar)
            }
        }
        end()
        return PythonText.joined(PythonText(kept).split())
    }
}
