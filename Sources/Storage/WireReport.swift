import Annotation
import Queue

/// A report as `gloss.record` takes it.
struct WireReport: Encodable {
    var job: Int64
    var fence: Int64
    var outcome: String
    /// Of a failure or a release.
    var code: String?
    var reason: String?
    /// Of a retry or a release: seconds from now.
    var delay: Double?
    /// Of a failure: whether it is permanent.
    var permanent: Bool?
    /// Of a release.
    var cause: Release.Cause?
    /// Of a release: the parked origin that it waits for, and whether `gloss.park_origin` has returned.
    var origin: String?
    var known: Bool?
    /// Of a completion.
    var result: WireResult?

    init(_ report: JobReport, retryPolicy: RetryPolicy, jitter: Double) {
        job = report.lease.job.rawValue
        fence = report.lease.fence
        switch report.outcome {
        case .completed(let record):
            outcome = "completed"
            result = WireResult(record)
        case .failed(let failure):
            outcome = "failed"
            (code, reason) = (failure.code, failure.reason)
            switch failure.disposition {
            case .permanent: permanent = true
            case .retry(let requested):
                permanent = false
                delay =
                    retryPolicy.delay(afterAttempt: report.attempt, requested: requested, jitter: jitter).seconds
            }
        case .released(let release):
            outcome = "released"
            (code, reason) = (release.code, release.reason)
            (cause, delay) = (release.cause, release.delay.seconds)
            (origin, known) = (release.origin?.name, release.origin?.isConfirmed)
        }
    }
}

extension WireReport {
    /// Reports of one call, as short as can be: an engine is named by the first result, and by those of another one.
    static func all(_ reports: [JobReport], retryPolicy: RetryPolicy) -> [WireReport] {
        var wire = reports.map { WireReport($0, retryPolicy: retryPolicy, jitter: .random(in: 0..<1)) }
        guard let first = wire.firstIndex(where: { $0.result != nil }) else { return wire }
        for index in wire.indices where index > first && wire[index].result?.engine == wire[first].result?.engine {
            wire[index].result?.engine = nil
        }
        return wire
    }
}

/// What makes an answer. The names are those of the columns of `gloss.engine`.
struct WireEngine: Encodable, Equatable {
    var model: String
    var digest: String
    var adapter_digest: String?
    var mask_digest: String?
    var precision: String
    var resize: String
    var window: Int?
    var version: String

    init(_ engine: EngineIdentity) {
        (model, digest, version) = (engine.model, engine.digest, engine.version)
        (adapter_digest, mask_digest) = (engine.adapterDigest, engine.maskDecoderDigest)
        (precision, resize, window) = (engine.precision, engine.resize, engine.window)
    }
}

/// A result of any task. The names are those of the columns of `gloss.annotation`; the engine's and the first stage's stand
/// among them.
struct WireResult: Encodable {
    /// Nil: that of the call's first result.
    var engine: WireEngine?
    var settings: DecodeSettings
    var timings: [String: Double]
    /// 64 hexadecimal digits an image, in the order of the job's image URLs.
    var image_sha256: [String]
    var final_urls: [String]
    var images: [ImageInfo]
    var score: Float?
    /// Nil: 0.
    var not_understood: Int?
    /// Nil: none.
    var findings: [WireFinding]?
    /// The stages after the first.
    var stages: [WireStage]?
    private let first: WireStage

    init(_ record: AnnotationRecord) {
        let (provenance, result) = (record.provenance, record.result)
        engine = WireEngine(provenance.engine)
        (settings, timings) = (provenance.settings, provenance.timings)
        image_sha256 = provenance.images.map(\.info.sha256)
        final_urls = provenance.images.map(\.finalURL)
        images = provenance.images.map(\.info)
        score = result.score
        not_understood = result.notUnderstoodCount == 0 ? nil : result.notUnderstoodCount
        findings = result.findings.isEmpty ? nil : result.findings.enumerated().map { WireFinding($1, number: $0 + 1) }
        let all = result.stages.enumerated().map { WireStage($1, number: $0 + 1) }
        first = all.first ?? WireStage(StageResult(prompts: [], views: []), number: 1)
        stages = all.count > 1 ? Array(all.dropFirst()) : nil
    }

    enum CodingKeys: CodingKey {
        case settings, timings
        case image_sha256, final_urls, images, score, not_understood, findings, stages
    }

    func encode(to encoder: any Encoder) throws {
        try engine?.encode(to: encoder)
        try first.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(settings, forKey: .settings)
        try container.encode(timings, forKey: .timings)
        try container.encode(image_sha256, forKey: .image_sha256)
        try container.encode(final_urls, forKey: .final_urls)
        try container.encode(images, forKey: .images)
        try container.encodeIfPresent(score, forKey: .score)
        try container.encodeIfPresent(not_understood, forKey: .not_understood)
        try container.encodeIfPresent(findings, forKey: .findings)
        try container.encodeIfPresent(stages, forKey: .stages)
    }
}
