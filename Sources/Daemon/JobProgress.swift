import Foundation
import Inference
import Queue

/// One job on its way through the model: what was answered, and when it is done. No I/O.
struct JobProgress: Sendable {
    let job: ClaimedJob
    private let origins: [Int: ImageOrigin]
    private let modelDigest: String
    /// [view][question] → its samples.
    private var responses: [Int: [Int: [Generation]]] = [:]
    private var savedViews: Set<Int>
    private var failure: InferenceError?
    private var seconds = Scheduler.StageSeconds()

    /// `modelDigest`: of the model that answers; the job's finished views must be of the same.
    init(_ job: ClaimedJob, _ origins: [Int: ImageOrigin], modelDigest: String) {
        self.job = job
        self.modelDigest = modelDigest
        self.origins = origins
        savedViews = Set(job.doneViews.map(\.view))
    }

    private var spec: JobSpec { job.spec }
    private var isMultiview: Bool { spec.task == .multiview }

    /// Images that were fetched for it.
    var imageCount: Int { origins.count }
    var hasAnswers: Bool { !responses.isEmpty }

    mutating func take(_ answer: Scheduler.Completion, view: Int, question: Int) {
        seconds.vision += answer.seconds.vision
        seconds.prefill += answer.seconds.prefill
        seconds.extend += answer.seconds.extend
        switch answer.result {
        case .success(let samples): responses[view, default: [:]][question] = samples
        case .failure(let error): failure = failure ?? error
        }
    }

    /// Views that are complete and not kept yet, as long as the job itself is not done.
    mutating func takeUnsavedViews() -> [ViewResponses] {
        guard isMultiview, failure == nil, !isComplete else { return [] }
        let views = responses.keys.sorted().filter { isComplete(view: $0) && !savedViews.contains($0) }
        savedViews.formUnion(views)
        return views.map(viewResponses)
    }

    /// Whether all is answered, or a query failed for good.
    var hasEnded: Bool { failure != nil || isComplete }

    /// parse → aggregate: the report of a job that has ended.
    func report(_ annotator: Annotator) -> JobReport {
        JobReport(job, failure.map { .failed(Failure($0)) } ?? outcome(annotator))
    }

    private func isComplete(view: Int) -> Bool { responses[view]?.count == spec.prompts.count }

    private var isComplete: Bool {
        guard isMultiview else { return isComplete(view: 0) }
        return origins.keys.allSatisfy { isComplete(view: $0) }
    }

    private func outcome(_ annotator: Annotator) -> Outcome {
        let inOrder = origins.keys.sorted().map { origins[$0]! }
        let timings = [
            "fetch": inOrder.reduce(0) { $0 + $1.fetchSeconds }, "decode": inOrder.reduce(0) { $0 + $1.decodeSeconds },
            "vision": seconds.vision, "prefill": seconds.prefill, "extend": seconds.extend,
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
            imageSHA256: origins[view]?.sha256 ?? "", finalURL: origins[view]?.finalURL ?? "", modelDigest: modelDigest)
    }
}

extension ClaimedJob {
    /// What it asks about its images (by their index), in order: view, question, and the images that go together.
    func queries(_ images: [Int: PreparedImage]) -> [(view: Int, question: Int, images: [PreparedImage])] {
        let views = images.keys.sorted()
        guard spec.task == .multiview else { return [(0, 0, views.map { images[$0]! })] }
        return views.flatMap { view in spec.prompts.indices.map { (view, $0, [images[view]!]) } }
    }
}
