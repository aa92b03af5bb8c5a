extension TaskName {
    /// Describe an image.
    public static let caption = TaskName(known: "caption")
}

/// Describes an image.
struct CaptionTask: AnnotationTask {
    let name = TaskName.caption
    let summary = "Describe an image."
    let title = "Captions"
    let styles = [
        PromptStyle("caption", "caption {language}", textCount: 0...0),
        PromptStyle("cap", "cap {language}", textCount: 0...0),
        PromptStyle("describe", "describe {language}", textCount: 0...0),
        PromptStyle("box", "caption {box}", textCount: 1...1),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = nil
    let defaults = DecodeSettings(maxTokens: 64)
    let limits = TaskLimits(beamCount: 8)
    let resultViews = ["caption"]
    let presentation = Presentation.text

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        try .bestFirst(responses, context: context)
    }
}

extension AnnotationResult {
    /// The samples of one question about one input, the most probable first.
    static func bestFirst(
        _ responses: [Int: ViewGenerations], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        let samples = (responses[0]?.first ?? []).sorted { $0.sumLogprob > $1.sumLogprob }
        guard let best = samples.first else {
            throw NoResult(code: "no_answer", reason: "the model gave no answer")
        }
        let stage = StageResult(prompts: context.spec.prompts, views: [context.responses(of: 0, [samples])])
        return AnnotationResult(stages: [stage], score: Float(best.normLogprob))
    }
}
