extension TaskName {
    /// Read the text in an image.
    public static let ocr = TaskName(known: "ocr")
}

/// Reads all the text in an image, in one response; its lines are kept.
struct TextReadingTask: AnnotationTask {
    let name = TaskName.ocr
    let summary = "Read the text in an image."
    let title = "Texts"
    let styles = [
        PromptStyle("ocr", "ocr", textCount: 0...0),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = nil
    let defaults = DecodeSettings(maxTokens: 512)
    let limits = TaskLimits(sampleCount: 32, beamCount: 8)
    let resultViews = ["ocr"]
    let presentation = Presentation.text

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        try .bestFirst(responses, context: context)
    }
}
