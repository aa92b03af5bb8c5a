import Annotation
import Queue

@testable import Work

/// A state machine that is fed by hand.
struct Harness {
    private(set) var state: WorkState
    private(set) var now = ContinuousClock.now
    let worker = WorkerID(number: 1, identity: "one")
    private var lastFence: Int64 = 0

    init(_ settings: WorkSettings = WorkSettings()) {
        let identity = EngineIdentity(model: "m", digest: "digest", precision: "f32", version: "1")
        let adapted = EngineIdentity(
            model: "a", digest: "digest", adapterDigest: "lora", precision: "f32", version: "1")
        state = WorkState(
            settings,
            engine: EngineDescription(identity: identity, adapters: ["a": adapted], vocabulary: NoVocabulary()),
            originOf: SimulatedWeb.origin, seed: 1, now: now)
    }

    mutating func pass(_ seconds: Double) { now += .seconds(seconds) }

    @discardableResult
    mutating func take(_ event: Event) -> [Effect] { state.handle([event], now: now) }

    mutating func register() {
        take(.started)
        take(.registered(worker))
    }

    /// Lets a file come, and all its images be decoded.
    mutating func bring(_ file: FileID, content: String = "bytes") -> [Effect] {
        var effects = take(.fileFetched(file, FetchedFile(byteCount: 10, origin: "https://a.org", seconds: 0.1)))
        var count = 0
        while count < effects.decodes.count {
            effects += decode(effects.decodes[count].image, content: content)
            count += 1
        }
        return effects
    }

    /// Lets an image be decoded.
    mutating func decode(_ image: ImageID, content: String = "bytes") -> [Effect] {
        let info = ImageInfo(sha256: content, width: 2, height: 1, orientation: 1, format: "png", byteCount: 10)
        let decoded = DecodedImage(source: SourceImage(info: info, finalURL: "u"), byteCount: 100, seconds: 0.1)
        return take(.imageMeasured(image, decodeBytes: 10)) + take(.imageDecoded(image, decoded))
    }

    mutating func claim(_ spec: JobSpec, checkpoints: [ViewResponses] = [], attempt: Int = 1) -> ClaimedJob {
        lastFence += 1
        return ClaimedJob(
            lease: Lease(job: JobID(rawValue: lastFence), fence: lastFence), attempt: attempt, spec: spec,
            checkpoints: checkpoints)
    }
}

extension [Effect] {
    var fetches: [(file: FileID, url: String)] {
        compactMap { if case .fetch(let file, let url) = $0 { (file, url) } else { nil } }
    }

    var decodes: [(image: ImageID, file: FileID)] {
        compactMap { if case .decode(let image, let file, _, _) = $0 { (image, file) } else { nil } }
    }

    var cancelledFetches: [FileID] {
        compactMap { if case .cancelFetch(let file) = $0 { file } else { nil } }
    }

    var discardedFiles: [FileID] {
        compactMap { if case .discardFile(let file) = $0 { file } else { nil } }
    }

    var letGo: [Int64] { compactMap { if case .letGo(let holder) = $0 { holder } else { nil } } }

    var submitted: [EngineQuery] {
        compactMap { if case .submit(let queries) = $0 { queries } else { nil } }.flatMap(\.self)
    }

    var records: [JobReport] {
        compactMap { if case .record(let reports, _) = $0 { reports } else { nil } }.flatMap(\.self)
    }

    var begins: [[Lease]] { compactMap { if case .begin(let leases, _) = $0 { leases } else { nil } } }

    var stop: StopReason? { lazy.compactMap { if case .stop(let reason) = $0 { reason } else { nil } }.first }

    func has(_ isWanted: (Effect) -> Bool) -> Bool { contains(where: isWanted) }
}
