extension TaskName {
    /// Answer one question about an image.
    public static let vqa = TaskName(known: "vqa")
}

/// Answers one question about an image.
struct QuestionTask: AnnotationTask {
    let name = TaskName.vqa
    let summary = "Answer a question about an image."
    let title = "Answers"
    let styles = [
        PromptStyle("answer", "answer {language} {text}", textCount: 1...1),
        PromptStyle("bare", "{text}", textCount: 1...1),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = "question"
    let defaults = DecodeSettings(maxTokens: 32)
    let limits = TaskLimits(beamCount: 8)
    let resultViews = ["answer"]
    let presentation = Presentation.answer

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        try .bestFirst(responses, context: context)
    }
}
