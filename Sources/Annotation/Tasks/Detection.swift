extension TaskName {
    /// Find things and give their boxes.
    public static let detect = TaskName(known: "detect")
}

/// Finds things and gives their boxes.
struct DetectionTask: AnnotationTask {
    let name = TaskName.detect
    let summary = "Find things in an image and give their boxes."
    let title = "Detections"
    let styles = [
        PromptStyle("detect", "detect {texts}", textCount: 1...32),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = "thing"
    let separator: Character? = ";"
    let defaults = DecodeSettings(maxTokens: 256)
    let limits = TaskLimits(sampleCount: 1)
    let resultViews = ["detection"]
    let presentation = Presentation.boxes

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        guard !context.vocabulary.locations.isEmpty else {
            throw NoResult(
                code: "no_locations",
                reason: "the tokenizer of the model has no pieces <loc0000> to <loc1023>: it can't give boxes")
        }
        var result = try AnnotationResult.bestFirst(responses, context: context)
        guard let response = responses[0]?.first?.first else { return result }
        let parsed = DetectionParser(context.vocabulary).parse(response)
        result.findings = parsed.findings
        result.notUnderstoodCount = parsed.notUnderstoodCount
        result.score = parsed.findings.map(\.score).max()
        return result
    }
}
