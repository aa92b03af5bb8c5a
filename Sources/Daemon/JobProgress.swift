import Foundation
import Inference
import Queue

/// One job on its way through the model: which queries it has, what was answered, and when it is done. No I/O.
struct JobProgress: Sendable {
    let job: ClaimedJob
    private let images: [Int: PreparedImage]
    private let modelDigest: String
    /// [view][question] → its samples.
    private var responses: [Int: [Int: [Generation]]] = [:]
    private var savedViews: Set<Int>
    private var failure: InferenceError?
    private var seconds = 0.0
    private(set) var isReported = false

    /// `modelDigest`: of the model that answers; the job's finished views must be of the same.
    init(_ job: ClaimedJob, _ images: [Int: PreparedImage], modelDigest: String) {
        self.job = job
        self.modelDigest = modelDigest
        self.images = images
        savedViews = Set(job.doneViews.map(\.view))
    }

    private var spec: JobSpec { job.spec }
    private var isMultiview: Bool { spec.task == .multiview }

    /// The questions that are still to be asked. `job` is this job's index in the batch.
    func queries(job index: Int) -> [Query] {
        func query(_ view: Int, _ question: Int, _ images: [PreparedImage]) -> Query {
            Query(
                job: index, view: view, question: question, images: images, prompt: spec.prompts[question],
                settings: Inference.DecodeSettings(spec.settings, view: view, question: question))
        }
        guard isMultiview else { return [query(0, 0, images.keys.sorted().map { images[$0]! })] }
        return images.keys.sorted().flatMap { view in
            spec.prompts.indices.map { query(view, $0, [images[view]!]) }
        }
    }

    mutating func take(_ answered: Answered) {
        seconds += answered.seconds
        switch answered.result {
        case .success(let samples): responses[answered.query.view, default: [:]][answered.query.question] = samples
        case .failure(let error): failure = failure ?? error
        }
    }

    /// Views that are complete and not kept yet, as long as the job itself is not done.
    mutating func takeUnsavedViews() -> [ViewResponses] {
        guard isMultiview, !isReported, failure == nil, !isComplete else { return [] }
        let views = responses.keys.sorted().filter { isComplete(view: $0) && !savedViews.contains($0) }
        savedViews.formUnion(views)
        return views.map(viewResponses)
    }

    /// The report, once: when all is answered, or a query failed for good.
    mutating func end(_ annotator: Annotator) -> JobReport? {
        guard !isReported, failure != nil || isComplete else { return nil }
        isReported = true
        if let failure { return JobReport(job, .failed(Failure(failure))) }
        return JobReport(job, outcome(annotator))
    }

    private func isComplete(view: Int) -> Bool { responses[view]?.count == spec.prompts.count }

    private var isComplete: Bool {
        guard isMultiview else { return isComplete(view: 0) }
        return images.keys.allSatisfy { isComplete(view: $0) }
    }

    private func outcome(_ annotator: Annotator) -> Outcome {
        let inOrder = images.keys.sorted().map { images[$0]! }
        let timings = [
            "fetch": inOrder.reduce(0) { $0 + $1.fetchSeconds }, "decode": inOrder.reduce(0) { $0 + $1.decodeSeconds },
            "inference": seconds,
        ]
        if isMultiview { return aggregate(annotator, timings) }
        let samples = (responses[0]?[0] ?? []).sorted { $0.sumLogProbability > $1.sumLogProbability }
        guard let best = samples.first else {
            return .failed(Failure(code: "no_answer", reason: "the model gave no answer", disposition: .permanent))
        }
        let provenance = annotator.provenance(
            spec, sha256: inOrder.map(\.sha256), finalURLs: inOrder.map(\.finalURL), timings: timings)
        let payload: AnnotationPayload =
            spec.task == .detect
            ? .boxes(ScoredText(best), annotator.boxes(best)) : .texts(samples.map(ScoredText.init))
        return .completed(AnnotationRecord(payload: payload, provenance: provenance))
    }

    /// ScoreAgg over all views × questions, the checkpointed ones included.
    private func aggregate(_ annotator: Annotator, _ timings: [String: Double]) -> Outcome {
        let views = (job.doneViews + responses.keys.map(viewResponses)).sorted { $0.view < $1.view }
        let answers = ScoreAgg.aggregate(
            views.flatMap(\.responses).map { samples in
                samples.map {
                    ScoreAgg.Response(
                        text: $0.text, score: Double(spec.score == .sum ? $0.sumLogprob : $0.normalisedLogprob))
                }
            })
        guard !answers.isEmpty else {
            let reason = "none of the \(views.count) views' responses has a word"
            return .failed(Failure(code: "no_answer", reason: reason, disposition: .permanent))
        }
        let provenance = annotator.provenance(
            spec, sha256: views.map(\.imageSHA256), finalURLs: views.map(\.finalURL), timings: timings)
        let distribution = answers.map { AggregatedAnswer(answer: $0.text, probability: Float($0.probability)) }
        let payload = AnnotationPayload.multiview(MultiviewAnswer(distribution: distribution, views: views))
        return .completed(AnnotationRecord(payload: payload, provenance: provenance))
    }

    private func viewResponses(_ view: Int) -> ViewResponses {
        let questions = responses[view] ?? [:]
        return ViewResponses(
            view: view, responses: questions.keys.sorted().map { questions[$0]!.map(ScoredText.init) },
            imageSHA256: images[view]?.sha256 ?? "", finalURL: images[view]?.finalURL ?? "", modelDigest: modelDigest)
    }
}
