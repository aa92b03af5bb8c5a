import Annotation
import Queue
import Storage

/// A daemon's part of the queue, without images and model. It registers with its first claim.
public actor Worker {
    private let store: PostgresJobStore
    private let model: String
    private var id: WorkerID?

    /// A worker of a database that serves one model.
    public init(_ database: TestDatabase, model: String = "m") {
        store = PostgresJobStore(database.settings(as: .worker))
        self.model = model
    }

    private func registered() async throws -> WorkerID {
        if let id { return id }
        let new = try await store.register(WorkerDescription(host: "test", pid: 1, version: "0.1.0", models: [model]))
        id = new
        return new
    }

    /// What is due.
    public func claim(_ limit: Int = 100) async throws -> [ClaimedJob] {
        try await store.claim(limit: limit, by: registered())
    }

    /// Ends a job without a result.
    public func fail(_ job: ClaimedJob, code: String, reason: String) async throws {
        let failure = Failure(code: code, reason: reason, disposition: .permanent)
        _ = try await store.record([JobReport(job, .failed(failure))], by: registered())
    }

    /// Leaves a host alone.
    public func park(_ origin: String) async throws {
        try await store.park(origin: origin, for: .seconds(60), reason: "too many failures")
    }

    /// Finishes a job with what was found.
    /// - Parameter images: what is known of its images; nil: they are samples.
    public func complete(_ job: ClaimedJob, _ result: AnnotationResult, images: [SourceImage]? = nil) async throws {
        let engine = EngineIdentity(
            model: model, digest: String(repeating: "a", count: 64), precision: "f32", version: "0.1.0")
        let sha256 = String(repeating: "b", count: 64)
        let provenance = Provenance(
            engine: engine, settings: job.spec.settings,
            images: images ?? job.spec.imageURLs.map { Samples.image($0, sha256: sha256) }, timings: ["fetch": 0.5])
        let record = AnnotationRecord(result: result, provenance: provenance)
        _ = try await store.record([JobReport(job, .completed(record))], by: registered())
    }

    /// Finishes a job of one question with these responses, the best first.
    public func complete(_ job: ClaimedJob, _ responses: [ScoredText], findings: [Finding] = []) async throws {
        try await complete(job, Samples.result(responses, prompts: job.spec.prompts, findings: findings))
    }

    /// A response as a model gives it.
    public static func text(_ text: String, _ sum: Float = -0.5) -> ScoredText { Samples.response(text, sum: sum) }
}
