import Annotation
import Queue

/// A job that this daemon holds, from its claim to its receipt.
struct HeldJob {
    /// How far it is.
    enum State: Hashable {
        /// It waits for its turn to be fetched.
        case waiting
        /// Its images are on their way.
        case fetching
        /// It failed, and it is not yet known whether that is this machine's fault.
        case doubtful
        /// Its images are here.
        case ready
        /// The store is told that the engine begins it.
        case announced(Instant)
        /// The engine has its queries.
        case computing
        /// Its report is on the way to the store.
        case reporting
    }

    /// What is needed to decide about a failure later.
    struct Doubt {
        /// The origin of the URL that led to the one that failed.
        let via: String
        let isPermanent: Bool
    }

    let claimed: ClaimedJob
    /// What answers it: the model, alone or with an adapter.
    let identity: EngineIdentity
    /// What is left to ask: views that an earlier attempt finished are not asked again.
    let queries: [TaskQuery]
    /// Indices of the images that are needed for that.
    let imageIndices: [Int]
    /// The origins of these images.
    let origins: [String]
    /// What is left to compute at most.
    let work: JobWork
    /// Responses that the engine computes for it.
    let rowCount: Int
    var state = State.waiting
    /// The images that were asked for, by their index.
    var images: [Int: ImageID] = [:]
    var doubt: Doubt?
    /// When it was let in, or the last of its images moved on.
    var movedAt: Instant
    private(set) var sources: [Int: SourceImage] = [:]
    private var fetchSeconds = 0.0, decodeSeconds = 0.0
    /// The numbers of its queries that are not answered.
    var asked: Set<Int> = []
    /// By view and question.
    private var answers: [Int: [Int: [Generation]]] = [:]
    private var savedViews: Set<Int> = []
    private var cost = EngineCost()

    init(_ claimed: ClaimedJob, engine: EngineDescription, originOf: (String) -> String?, now: Instant) {
        movedAt = now
        identity = engine.identity(for: claimed.spec.model)
        let claimed = claimed.keepingViews(ofModel: identity.answeringDigest)
        self.claimed = claimed
        let done = Set(claimed.checkpoints.map(\.view))
        queries = claimed.spec.task.definition.queries(claimed.spec).filter { !done.contains($0.view) }
        imageIndices = Set(queries.flatMap(\.images)).sorted()
        work = claimed.work
        rowCount = queries.count * claimed.spec.settings.samples
        origins = Set(imageIndices.map { originOf(claimed.spec.imageURLs[$0]) ?? "" }).sorted()
    }

    var lease: Lease { claimed.lease }

    /// Which of two jobs comes first: the one of the lower priority, then the one that was claimed first.
    static func comesFirst(_ left: HeldJob, _ right: HeldJob) -> Bool {
        (left.claimed.priority, left.lease.fence) < (right.claimed.priority, right.lease.fence)
    }

    /// The share of its queries that is not answered, 0...1.
    var shareLeft: Double {
        if queries.isEmpty || state == .reporting { return 0 }
        return state == .computing ? Double(asked.count) / Double(queries.count) : 1
    }

    /// How far it is, for the heartbeat.
    var phase: JobPhase {
        switch state {
        case .waiting, .fetching, .doubtful, .ready, .announced: .fetch
        case .computing: .compute
        case .reporting: .record
        }
    }

    var hasAnswers: Bool { !answers.isEmpty }

    /// Whether all its images are here.
    var hasAllImages: Bool { sources.count == imageIndices.count }

    mutating func took(_ image: DecodedImage, index: Int) {
        sources[index] = image.source
        decodeSeconds += image.seconds
    }

    mutating func fetched(_ file: FetchedFile) { fetchSeconds += file.seconds }

    mutating func took(_ generations: [Generation], view: Int, question: Int, cost: EngineCost) {
        answers[view, default: [:]][question] = generations
        self.cost.visionSeconds += cost.visionSeconds
        self.cost.prefillSeconds += cost.prefillSeconds
        self.cost.decodeSeconds += cost.decodeSeconds
    }

    /// Views whose answers are complete and that were not taken before, as long as others are missing.
    mutating func takeFinishedViews(_ engine: EngineDescription) -> [ViewResponses] {
        let spec = claimed.spec
        guard spec.task.definition.limits.imagesAreViews, !asked.isEmpty else { return [] }
        let finished = answers.keys.sorted().filter {
            !savedViews.contains($0) && answers[$0]?.count == spec.prompts.count
        }
        savedViews.formUnion(finished)
        let context = context(engine)
        return finished.map { context.responses(of: $0, generations(of: $0)) }
    }

    /// What all its answers together mean.
    func outcome(_ engine: EngineDescription) -> Outcome {
        let spec = claimed.spec
        let views = Dictionary(uniqueKeysWithValues: answers.keys.map { ($0, generations(of: $0)) })
        do throws(NoResult) {
            let result = try spec.task.definition.result(
                views, checkpoints: claimed.checkpoints, context: context(engine))
            let provenance = Provenance(
                engine: identity, settings: spec.settings, images: allImages, timings: timings)
            return .completed(AnnotationRecord(result: result, provenance: provenance))
        } catch {
            return .failed(Failure(code: error.code, reason: error.reason, disposition: .permanent))
        }
    }

    private var timings: [String: Double] {
        [
            "fetch": fetchSeconds, "decode": decodeSeconds, "vision": cost.visionSeconds,
            "prefill": cost.prefillSeconds, "extend": cost.decodeSeconds,
        ]
    }

    /// The images of this attempt and of the views that earlier ones finished, in the order of the URLs.
    private var allImages: [SourceImage] {
        var images = sources
        for view in claimed.checkpoints where !view.images.isEmpty { images[view.view] = view.images[0] }
        return images.keys.sorted().compactMap { images[$0] }
    }

    private func context(_ engine: EngineDescription) -> TaskContext {
        TaskContext(
            spec: claimed.spec, images: sources, vocabulary: engine.vocabulary, modelDigest: identity.answeringDigest,
            maskDecoder: engine.maskDecoder)
    }

    private func generations(of view: Int) -> ViewGenerations {
        let questions = answers[view] ?? [:]
        return questions.keys.sorted().compactMap { questions[$0] }
    }
}
