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
        PromptStyle("detect", "detect {texts}", textCount: 1...500),
        PromptStyle("bare", "{text}", textCount: 1...1),
        PromptStyle("raw", "{text}", textCount: 1...1),
    ]
    let textNoun: String? = "thing"
    let separator: Character? = ";"
    let defaults = DecodeSettings(maxTokens: 256)
    let limits = TaskLimits(sampleCount: 1)
    let resultViews = ["detection"]
    let presentation = Presentation.boxes

    func refusal(_ vocabulary: any Vocabulary) -> NoResult? { .noBoxes(vocabulary) }

    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        try .boxes(responses, context: context)
    }
}

extension NoResult {
    /// Of a model without locations.
    static func noBoxes(_ vocabulary: any Vocabulary) -> NoResult? {
        guard vocabulary.locations.isEmpty else { return nil }
        return NoResult(
            code: "no_locations",
            reason: "the tokenizer of the model has no pieces <loc0000> to <loc1023>: it can't give boxes")
    }
}

extension AnnotationResult {
    /// The boxes of one response.
    static func boxes(
        _ responses: [Int: ViewGenerations], context: TaskContext
    ) throws(NoResult) -> AnnotationResult {
        var result = try AnnotationResult.bestFirst(responses, context: context)
        guard let response = responses[0]?.first?.first else { return result }
        let spec = context.spec
        // A bare expression is itself what was asked for (RefCOCO).
        let things = spec.style == "bare" ? spec.texts : spec.prompts.flatMap(DetectionParser.things(askedBy:))
        let parsed = DetectionParser(context.vocabulary).parse(response, things: things)
        result.findings = parsed.findings.masked(by: context.maskDecoder) { index in
            context.images[index].map { ($0.info.height, $0.info.width) }
        }
        result.notUnderstoodCount = parsed.notUnderstoodCount
        result.score = parsed.findings.map(\.score).max()
        return result
    }
}
