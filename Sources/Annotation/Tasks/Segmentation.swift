extension TaskName {
    /// Find things and give their boxes and masks.
    public static let segment = TaskName(known: "segment")
}

/// Finds things and gives their boxes and masks.
struct SegmentationTask: AnnotationTask {
    let name = TaskName.segment
    let summary = "Find things in an image and give their boxes and masks."
    let title = "Segmentations"
    let styles = [
        PromptStyle("segment", "segment {texts}", textCount: 1...500),
        PromptStyle("bare", "{text}", textCount: 1...1),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = "thing"
    let separator: Character? = ";"
    /// A box with its outline has some 25 tokens.
    let defaults = DecodeSettings(maxTokens: 256)
    /// A mask is of one image.
    let limits = TaskLimits(imageCount: 1, sampleCount: 1)
    let resultViews = ["segmentation"]
    let presentation = Presentation.boxes

    func refusal(_ vocabulary: any Vocabulary) -> NoResult? {
        if let refusal = NoResult.noBoxes(vocabulary) { return refusal }
        guard vocabulary.codes.isEmpty else { return nil }
        return NoResult(
            code: "no_locations",
            reason: "the tokenizer of the model has no pieces <seg000> to <seg127>: it can't give masks")
    }

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        try .boxes(responses, context: context)
    }
}
