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

    private let order: Shared<Order>
    /// What it asks, and is answered.
    private var run: Shared<JobRun>
    /// Indices of the images that are needed for that and for what follows.
    private(set) var imageIndices: [Int] = []
    /// The URLs of these images, and their origins.
    private(set) var urls: [String] = []
    private(set) var origins: [String] = []
    var state = State.waiting
    /// The images that were asked for, by their index.
    var images: [Int: ImageID] = [:]
    /// When it was let in, or the last of its images moved on.
    var movedAt: Instant
    private(set) var sources: [Int: SourceImage] = [:]
    private var fetchSeconds = 0.0, decodeSeconds = 0.0
    /// The numbers of its queries that are not answered.
    var asked: Set<Int> = []
    /// Whether the engine keeps its images for what it may ask on.
    var holdsImages = false
    private var answeredCount = 0
    private var cost = EngineCost()

    init(_ claimed: ClaimedJob, engine: EngineDescription, originOf: (String) -> String?, now: Instant) {
        movedAt = now
        let identity = engine.identity(for: claimed.spec.model)
        let kept = claimed.keepingViews { $0.modelDigest == identity.answeringDigest }
        order = Shared(Order(claimed: kept, identity: identity, work: kept.work))
        run = Shared(JobRun(claimed.spec, checkpoints: kept.checkpoints))
        plan(engine)
        let spec = claimed.spec
        // Which views the further stages lack is known when there is an answer to ask on with.
        imageIndices = mayAskOn ? Array(spec.imageURLs.indices) : Set(queries.flatMap(\.images)).sorted()
        urls = imageIndices.map { spec.imageURLs[$0] }
        origins = Set(urls.map { originOf($0) ?? "" }).sorted()
    }

    /// What was known when it was claimed.
    private struct Order {
        let claimed: ClaimedJob
        let identity: EngineIdentity
        let work: JobWork
    }

    var claimed: ClaimedJob { order.value.claimed }
    /// What answers it: the model, alone or with an adapter.
    var identity: EngineIdentity { order.value.identity }
    /// What is left to compute at most, when it was claimed.
    var work: JobWork { order.value.work }
    var lease: Lease { order.value.claimed.lease }

    /// Responses that the engine computes for `queries`.
    var rowCount: Int { queries.reduce(0) { $0 + $1.rowCount } }

    /// What the engine is asked next, or was asked last.
    var queries: [TaskQuery] { run.value.queries }

    /// Whether there may be questions after those of `queries`.
    var mayAskOn: Bool { run.value.mayAskOn }

    /// Finds out what to ask next, by what is answered: nothing when all is.
    mutating func plan(_ engine: EngineDescription) { run.value.plan(context(engine)) }

    /// Which of two jobs comes first: the one of the lower priority, then the one that was claimed first.
    static func comesFirst(_ left: HeldJob, _ right: HeldJob) -> Bool {
        (left.claimed.priority, left.lease.fence) < (right.claimed.priority, right.lease.fence)
    }

    /// The share of its queries, those of further stages too, that is not answered, 0...1.
    var shareLeft: Double {
        if queries.isEmpty || state == .reporting { return 0 }
        return 1 - min(1, Double(answeredCount) / Double(max(1, work.prefills)))
    }

    /// How far it is, for the heartbeat.
    var phase: JobPhase {
        switch state {
        case .waiting, .fetching, .doubtful, .ready, .announced: .fetch
        case .computing: .compute
        case .reporting: .record
        }
    }

    var hasAnswers: Bool { run.value.hasAnswers }

    /// Whether all its images are here.
    var hasAllImages: Bool { sources.count == imageIndices.count }

    mutating func took(_ image: DecodedImage, index: Int) {
        sources[index] = image.source
        decodeSeconds += image.seconds
    }

    /// Whether one of its images is under a URL.
    func wants(_ url: String) -> Bool { urls.contains(url) }

    mutating func fetched(_ file: FetchedFile) { fetchSeconds += file.seconds }

    /// Whether an earlier attempt saw another image in this place.
    func contradicts(_ image: DecodedImage, index: Int) -> Bool {
        claimed.checkpoints.contains { view in
            view.view == index && view.images.contains { $0.info.sha256 != image.source.info.sha256 }
        }
    }

    mutating func took(_ generations: [Generation], _ query: TaskQuery, cost: EngineCost) {
        run.value.took(generations, query)
        answeredCount += 1
        self.cost.visionSeconds += cost.visionSeconds
        self.cost.prefillSeconds += cost.prefillSeconds
        self.cost.decodeSeconds += cost.decodeSeconds
    }

    /// Views whose answers are complete and that were not taken before.
    mutating func takeFinishedViews(_ engine: EngineDescription) -> [ViewResponses] {
        run.value.takeFinishedViews(context(engine))
    }

    /// What all its answers together mean.
    func outcome(_ engine: EngineDescription) -> Outcome {
        do throws(NoResult) {
            let provenance = Provenance(
                engine: identity, settings: claimed.spec.settings, images: allImages, timings: timings)
            return .completed(AnnotationRecord(result: try run.value.result(context(engine)), provenance: provenance))
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
}
