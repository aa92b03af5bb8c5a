extension TaskName {
    /// Ask a question about an image to which the answer is known.
    public static let question = TaskName(known: "question")
}

/// Asks a question about an image to which the answer is known (visual question generation).
struct QuestionWritingTask: AnnotationTask {
    let name = TaskName.question
    let summary = "Write the question about an image to which an answer belongs."
    let title = "Questions"
    let styles = [
        PromptStyle("question", "question {language} {text}", textCount: 1...1),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = "answer"
    let defaults = DecodeSettings(maxTokens: 32)
    let limits = TaskLimits(beamCount: 8)
    let resultViews = ["question"]
    let presentation = Presentation.answer

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        try .bestFirst(responses, context: context)
    }
}
