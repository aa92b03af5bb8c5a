extension TaskName {
    /// Ask several questions of several views of one object and aggregate the answers.
    public static let multiview = TaskName(known: "multiview")
}

/// Asks several questions of several views of one object and aggregates the answers (ScoreAgg).
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
    let resultViews = ["multiview", "multiview_response"]
    let presentation = Presentation.distribution

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        let views = (checkpoints + responses.map { context.responses(of: $0.key, $0.value) }).sorted {
            $0.view < $1.view
        }
        let score = context.spec.score
        let distribution = ScoreAgg.aggregate(
            views.flatMap(\.responses).map { samples in
                samples.map {
                    ScoreAgg.Response(text: $0.text, score: Double(score == .sum ? $0.sumLogprob : $0.normLogprob))
                }
            })
        guard let best = distribution.first else {
            let reason = "none of the \(views.count) views' responses has a word"
            throw NoResult(code: "no_answer", reason: reason)
        }
        let stage = StageResult(prompts: context.spec.prompts, views: views, distribution: distribution)
        return AnnotationResult(stages: [stage], score: Float(best.probability))
    }
}
