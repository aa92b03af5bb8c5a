import Queue

/// Ready-made values for tests.
public enum Samples {
    /// A caption job of one image.
    public static func caption(_ url: String = "https://example.org/a.jpg") -> JobSpec {
        JobSpec(task: .caption, imageURLs: [url])
    }

    /// A multiview job with default questions and samples.
    public static func multiview(views: Int = 2) -> JobSpec {
        JobSpec(
            task: .multiview, imageURLs: (1...views).map { "https://example.org/view\($0).png" },
            texts: ["What is this?", "What type of object is this?"])
    }

    /// A worker that serves the model `tiny`.
    public static func worker(models: [String] = ["tiny"], tasks: [AnnotationTask] = []) -> WorkerDescription {
        WorkerDescription(host: "test", pid: 1, version: "0.1.0", models: models, tasks: tasks)
    }

    /// A response with made-up scores.
    public static func response(_ text: String, sum: Float = -1.5, finish: FinishReason = .eos) -> ScoredText {
        ScoredText(text: text, sumLogprob: sum, normalisedLogprob: sum / 2, tokenCount: 3, finishReason: finish)
    }

    /// A view's responses: `texts` as [question][sample].
    public static func view(_ view: Int, _ texts: [[String]]) -> ViewResponses {
        ViewResponses(
            view: view, responses: texts.map { $0.map { response($0) } },
            imageSHA256: String(repeating: "0f", count: 32), finalURL: "https://example.org/view\(view + 1).png")
    }

    /// Provenance of the tiny model.
    public static func provenance(prompts: [String] = ["caption en"], images: Int = 1) -> Provenance {
        Provenance(
            model: "tiny", modelDigest: String(repeating: "ab", count: 32), version: "0.1.0", prompts: prompts,
            settings: DecodeSettings(seed: 7),
            imageSHA256: Array(repeating: String(repeating: "0f", count: 32), count: images),
            finalURLs: Array(repeating: "https://example.org/final.jpg", count: images),
            timings: ["fetch": 0.25, "prefill": 1.5])
    }

    /// A finished caption.
    public static func completed(_ text: String = "a cat on a mat") -> Outcome {
        .completed(AnnotationRecord(payload: .texts([response(text)]), provenance: provenance()))
    }

    /// A failed attempt.
    public static func failed(_ disposition: FailureDisposition, code: String = "http_503") -> Outcome {
        .failed(Failure(code: code, reason: "the server said no", disposition: disposition))
    }
}
