import Queue

extension JobStore {
    /// Leases up to `limit` jobs, whatever they cost.
    public func claim(limit: Int, by worker: WorkerID) async throws -> [ClaimedJob] {
        try await claim(ClaimBudget(jobs: limit, bytes: .max), by: worker)
    }
}

extension Outcome {
    /// The job goes back without burning an attempt.
    public static func released(
        reason: String, after delay: Duration = .zero, cause: Release.Cause = .shutdown
    ) -> Outcome {
        .released(Release(cause, reason: reason, delay: delay))
    }
}
