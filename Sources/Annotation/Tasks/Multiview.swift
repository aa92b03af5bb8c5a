extension TaskName {
    /// Ask several questions of several views of one object and aggregate the answers.
    public static let multiview = TaskName(known: "multiview")
}

/// Asks several questions of several views of one object and aggregates the answers (ScoreAgg). Follow-up questions about
/// the best answer are asked of the same views, and aggregated each for itself.
struct MultiviewTask: AnnotationTask {
    let name = TaskName.multiview
    let summary = "Ask about several views of one object, and aggregate the answers (ScoreAgg)."
    let title = "Objects"
    let styles = [
        PromptStyle("answer", "answer {language} {text}", textCount: 1...16),
        PromptStyle("raw", "{text}", textCount: 1...16),
    ]
    let textNoun: String? = "question"
    /// The questions of the paper (Kabra et al. 2024).
    let defaultTexts = [
        "What is this?", "What type of object is this?", "What is in the image?", "Describe the object in the image",
    ]
    let defaults = DecodeSettings(maxTokens: 24, samples: 5, temperature: 1)
    let limits = TaskLimits(imageCount: 64, imagesAreViews: true)
    let resultViews = ["multiview", "multiview_stage", "multiview_response"]
    let presentation = Presentation.distribution

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        let views = checkpoints + responses.map { context.responses(of: $0.key, $0.value) }
        let stage = StageResult(aggregating: views, of: context.spec, prompts: context.spec.prompts)
        guard let best = stage.distribution.first else { throw noAnswer(views) }
        return AnnotationResult(stages: [stage], score: Float(best.probability))
    }

    private func noAnswer(_ views: [ViewResponses]) -> NoResult {
        let answers = Set(views.flatMap(\.responses).joined().map { ScoreAgg.canonical($0.text) }).subtracting([""])
        let reason =
            answers.isEmpty
            ? "none of the \(views.count) views' responses has a word"
            : "the job ignores every answer that its \(views.count) views were given: "
                + answers.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
        return NoResult(code: "no_answer", reason: reason)
    }
}
