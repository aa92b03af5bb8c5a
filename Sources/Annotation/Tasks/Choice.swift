import Foundation

extension TaskName {
    /// Choose one of several answers to a question about an image.
    public static let choice = TaskName(known: "choice")
}

/// Chooses one of several answers to a question about an image: each is scored, and none is drawn.
struct ChoiceTask: AnnotationTask {
    let name = TaskName.choice
    let summary = "Choose one of several answers to a question about an image."
    let title = "Choices"
    let styles = [
        PromptStyle("answer", "answer {language} {text}", textCount: 1...1),
        // With two blanks, as big_vision writes it.
        PromptStyle("listed", "answer {language}  {text} choose from: {options}", textCount: 1...1),
        PromptStyle("bare", "{text}", textCount: 1...1),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = "question"
    /// `maxTokens` stands for the tokens of an option where a claim estimates its work.
    let defaults = DecodeSettings(maxTokens: 8)
    let limits = TaskLimits(sampleCount: 1, optionCount: 2...64)
    let resultViews = ["choice"]
    let presentation = Presentation.answer

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        let options = context.spec.options
        var view = context.responses(of: 0, responses[0] ?? [])
        guard !options.isEmpty, view.responses.first?.count == options.count else {
            throw NoResult(code: "no_answer", reason: "the model has not scored each of the options")
        }
        for index in options.indices { view.responses[0][index].text = options[index] }
        let probabilities = Self.shares(
            view.responses[0].map { Double(context.spec.score == .sum ? $0.sumLogprob : $0.normLogprob) })
        let ranked = options.indices.sorted { (-probabilities[$0], $0) < (-probabilities[$1], $1) }
        let distribution = ranked.map { AggregatedAnswer(answer: options[$0], probability: probabilities[$0]) }
        let stage = StageResult(prompts: context.spec.prompts, views: [view], distribution: distribution)
        return AnnotationResult(stages: [stage], score: Float(distribution[0].probability))
    }

    /// softmax.
    private static func shares(_ scores: [Double]) -> [Double] {
        let best = scores.max() ?? 0
        let weights = scores.map { exp($0 - best) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }
}
