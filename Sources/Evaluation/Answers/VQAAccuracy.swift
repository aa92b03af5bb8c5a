/// The accuracy of VQA: an answer that three people gave is right, one that fewer gave is partly so.
public struct VQAAccuracy: TextMetric {
    /// Who computes it.
    public enum Variant: String, Sendable, CaseIterable {
        /// The official script of VQA v2, which big_vision follows: the mean over the people, each left out in turn, of
        /// min(1, matches among the others / 3). Texts are normalised only where people disagree. VizWiz and OKVQA too.
        case vqaV2 = "vqa-v2"
        /// A-OKVQA's script, and big_vision's for OKVQA, A-OKVQA and VizWiz: min(1, matches / 3) of equal texts.
        case simple = "vqa-simple"
        /// TextVQA's evaluator (M4C, MMF): always normalised, and of exactly ten people.
        case textVQA = "textvqa"
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        switch variant {
        case .vqaV2: ItemRun(mean: "accuracy", score: Self.officialScore)
        case .textVQA: ItemRun(mean: "accuracy", score: Self.textVQAScore)
        case .simple: ItemRun(mean: "accuracy", score: Self.simpleScore)
        }
    }

    @Sendable private static func simpleScore(_ item: EvaluatedItem) throws(EvaluationError) -> Double {
        try item.requireAnswers()
        guard let text = item.text else { return 0 }
        return min(1, Double(item.answers.count { PythonText.areEqual($0, text) }) / 3)
    }

    @Sendable private static func officialScore(_ item: EvaluatedItem) throws(EvaluationError) -> Double {
        try item.requireAnswers()
        guard let raw = item.text else { return 0 }
        var text = VQAText.stripped(raw)
        var answers = item.answers.map(VQAText.stripped)
        if Set(answers).count > 1 {
            text = VQAText.normalised(text)
            answers = answers.map(VQAText.normalised)
        }
        return leaveOneOut(matches: answers.count { $0 == text }, people: answers.count)
    }

    @Sendable private static func textVQAScore(_ item: EvaluatedItem) throws(EvaluationError) -> Double {
        guard item.answers.count == 10 else {
            throw EvaluationError(
                key: item.key, reason: "it has \(item.answers.count) answers; TextVQA's accuracy is defined on 10")
        }
        guard let text = item.text.map(VQAText.normalisedForTextVQA) else { return 0 }
        return leaveOneOut(matches: item.answers.count { VQAText.normalisedForTextVQA($0) == text }, people: 10)
    }

    /// The mean over the people, each left out in turn, of min(1, matches among the others / 3). People are left out by
    /// position: equal answers of two people are two.
    static func leaveOneOut(matches: Int, people: Int) -> Double {
        let amongOthers = Double(matches) * min(1, Double(matches - 1) / 3)
        return (amongOthers + Double(people - matches) * min(1, Double(matches) / 3)) / Double(people)
    }
}
