import Queue
import Storage
import TestSupport

/// A daemon's part of the queue, without images and model.
struct Worker {
    let store: PostgresJobStore

    init(_ database: TestDatabase) { store = PostgresJobStore(database.settings(as: .worker)) }

    /// Claims as a new daemon.
    func claim(_ limit: Int = 100) async throws -> [ClaimedJob] {
        let id = try await store.register(WorkerDescription(host: "test", pid: 1, version: "0.1.0", models: ["m"]))
        return try await store.claim(limit: limit, by: id)
    }

    func fail(_ job: ClaimedJob, code: String, reason: String) async throws {
        let failure = Failure(code: code, reason: reason, disposition: .permanent)
        _ = try await store.record([JobReport(job, .failed(failure))])
    }

    func park(_ host: String) async throws {
        try await store.park(host: host, for: .seconds(60), reason: "too many failures")
    }

    /// Finishes a job with a payload.
    func complete(_ job: ClaimedJob, _ payload: AnnotationPayload) async throws {
        let provenance = Provenance(
            model: "m", modelDigest: String(repeating: "a", count: 64), version: "0.1.0", prompts: job.spec.prompts,
            settings: job.spec.settings,
            imageSHA256: job.spec.imageURLs.map { _ in String(repeating: "b", count: 64) },
            finalURLs: job.spec.imageURLs, timings: ["fetch": 0.5])
        _ = try await store.record([
            JobReport(job, .completed(AnnotationRecord(payload: payload, provenance: provenance)))
        ])
    }

    /// A response as a model gives it.
    static func text(_ text: String, _ sum: Float = -0.5) -> ScoredText {
        ScoredText(text: text, sumLogprob: sum, normalisedLogprob: sum / 2, tokenCount: 3, finishReason: .eos)
    }
}
