import Annotation
import Queue

/// Ready-made values for tests.
public enum Samples {
    /// A caption job of one image.
    public static func caption(_ url: String = "https://example.org/a.jpg") -> JobSpec {
        JobSpec(task: .caption, imageURLs: [url])
    }

    /// A multiview job with default samples.
    public static func multiview(views: Int = 2) -> JobSpec {
        JobSpec(
            task: .multiview, imageURLs: (1...views).map { "https://example.org/view\($0).png" },
            texts: ["What is this?", "What type of object is this?"])
    }

    /// A worker that serves the model `tiny`.
    public static func worker(
        models: [String] = ["tiny"], tasks: [TaskName] = TaskName.allCases, rescueAfter: Duration = .seconds(15)
    ) -> WorkerDescription {
        WorkerDescription(
            host: "test", pid: 1, version: "0.1.0", models: models, tasks: tasks, rescueAfter: rescueAfter)
    }

    /// A response with made-up scores.
    public static func response(_ text: String, sum: Float = -1.5, finish: FinishReason = .eos) -> ScoredText {
        ScoredText(text: text, sumLogprob: sum, normLogprob: sum / 2, tokenCount: 3, finishReason: finish)
    }

    /// An image of which nothing but its hash matters.
    public static func image(
        _ url: String = "https://example.org/final.jpg", sha256: String = String(repeating: "0f", count: 32)
    ) -> SourceImage {
        let info = ImageInfo(
            sha256: sha256, width: 640, height: 480, orientation: 1, format: "jpeg", byteCount: 51_200)
        return SourceImage(info: info, finalURL: url)
    }

    /// A view's responses: `texts` as [question][sample].
    public static func view(_ view: Int, _ texts: [[String]]) -> ViewResponses {
        ViewResponses(
            view: view, responses: texts.map { $0.map { response($0) } },
            images: [image("https://example.org/view\(view + 1).png")])
    }

    /// Provenance of the tiny model.
    public static func provenance(images: Int = 1) -> Provenance {
        let engine = EngineIdentity(
            model: "tiny", digest: String(repeating: "ab", count: 32), precision: "f32", version: "0.1.0")
        return Provenance(
            engine: engine, settings: DecodeSettings(seed: 7), images: Array(repeating: image(), count: images),
            timings: ["fetch": 0.25, "prefill": 1.5])
    }

    /// The result of a task with one view and one question.
    public static func result(
        _ responses: [ScoredText], prompts: [String] = ["caption en"], findings: [Finding] = [],
        notUnderstood: Int = 0
    ) -> AnnotationResult {
        let stage = StageResult(prompts: prompts, views: [ViewResponses(view: 0, responses: [responses])])
        return AnnotationResult(
            stages: [stage], findings: findings, score: responses.first?.normLogprob,
            notUnderstoodCount: notUnderstood)
    }

    /// The result of a multiview job.
    public static func result(
        _ distribution: [AggregatedAnswer], prompts: [String], views: [ViewResponses]
    ) -> AnnotationResult {
        let stage = StageResult(prompts: prompts, views: views, distribution: distribution)
        return AnnotationResult(stages: [stage], score: distribution.first.map { Float($0.probability) })
    }

    /// A finished job.
    public static func completed(_ result: AnnotationResult, images: Int = 1) -> Outcome {
        .completed(AnnotationRecord(result: result, provenance: provenance(images: images)))
    }

    /// A finished caption.
    public static func completed(_ text: String = "a cat on a mat") -> Outcome { completed(result([response(text)])) }

    /// A failed attempt.
    public static func failed(_ disposition: FailureDisposition, code: String = "http_503") -> Outcome {
        .failed(Failure(code: code, reason: "the server said no", disposition: disposition))
    }
}
