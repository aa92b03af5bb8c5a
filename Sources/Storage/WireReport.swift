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
        }
    }
}

/// A result of any task. The names are those of the columns of `gloss.annotation`; the first stage's stand among them.
struct WireResult: Encodable {
    var model: String
    var digest: String
    var adapter_digest: String?
    var mask_digest: String?
    var precision: String
    var resize: String
    var window: Int?
    var version: String
    var settings: DecodeSettings
    var timings: [String: Double]
    /// 64 hexadecimal digits an image, in the order of the job's image URLs.
    var image_sha256: [String]
    var final_urls: [String]
    var images: [ImageInfo]
    var score: Float?
    var not_understood: Int
    var findings: [WireFinding]
    /// The stages after the first.
    var stages: [WireStage]?
    private let first: WireStage

    init(_ record: AnnotationRecord) {
        let (engine, provenance, result) = (record.provenance.engine, record.provenance, record.result)
        (model, digest, version) = (engine.model, engine.digest, engine.version)
        (adapter_digest, mask_digest) = (engine.adapterDigest, engine.maskDecoderDigest)
        (precision, resize, window) = (engine.precision, engine.resize, engine.window)
        (settings, timings) = (provenance.settings, provenance.timings)
        image_sha256 = provenance.images.map(\.info.sha256)
        final_urls = provenance.images.map(\.finalURL)
        images = provenance.images.map(\.info)
        (score, not_understood) = (result.score, result.notUnderstoodCount)
        findings = result.findings.enumerated().map { WireFinding($1, number: $0 + 1) }
        let all = result.stages.enumerated().map { WireStage($1, number: $0 + 1) }
        first = all.first ?? WireStage(StageResult(prompts: [], views: []), number: 1)
        stages = all.count > 1 ? Array(all.dropFirst()) : nil
    }

    enum CodingKeys: CodingKey {
        case model, digest, adapter_digest, mask_digest, precision, resize, window, version, settings, timings
        case image_sha256, final_urls, images, score, not_understood, findings, stages
    }

    func encode(to encoder: any Encoder) throws {
        try first.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(model, forKey: .model)
        try container.encode(digest, forKey: .digest)
        try container.encodeIfPresent(adapter_digest, forKey: .adapter_digest)
        try container.encodeIfPresent(mask_digest, forKey: .mask_digest)
        try container.encode(precision, forKey: .precision)
        try container.encode(resize, forKey: .resize)
        try container.encodeIfPresent(window, forKey: .window)
        try container.encode(version, forKey: .version)
        try container.encode(settings, forKey: .settings)
        try container.encode(timings, forKey: .timings)
        try container.encode(image_sha256, forKey: .image_sha256)
        try container.encode(final_urls, forKey: .final_urls)
        try container.encode(images, forKey: .images)
        try container.encodeIfPresent(score, forKey: .score)
        try container.encode(not_understood, forKey: .not_understood)
        try container.encode(findings, forKey: .findings)
        try container.encodeIfPresent(stages, forKey: .stages)
    }
}
