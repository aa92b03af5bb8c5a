import Annotation
import Queue
import TestSupport
import Testing

@Suite struct ClaimedJobTests {
    /// Responses of two models must not be aggregated under the digest of one.
    @Test func keepsOnlyTheViewsOfOneModel() {
        let views = ["a", "b", "a", ""].enumerated().map { index, digest in
            ViewResponses(view: index, responses: [], modelDigest: digest)
        }
        let lease = Lease(job: JobID(rawValue: 7), fence: 3)
        let job = ClaimedJob(
            lease: lease, key: "k", attempt: 2, rescueCount: 1, spec: Samples.caption(), checkpoints: views)
        let kept = job.keepingViews { $0.modelDigest == "a" }
        #expect(kept.checkpoints.map(\.view) == [0, 2])
        #expect(job.keepingViews { $0.modelDigest == "c" }.checkpoints.isEmpty)
        #expect(kept.lease == lease && kept.key == "k" && kept.attempt == 2 && kept.rescueCount == 1)
        #expect(kept.spec == job.spec && kept.maxAttempts == job.maxAttempts)
    }
}
