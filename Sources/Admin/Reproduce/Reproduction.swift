import Annotation
import Inference
import Queue
import Storage

/// What came of running a result again: what `--json` prints of it.
struct Reproduction: Encodable, Sendable {
    /// In one word. Those of the last three are of results that were computed here and are not the same.
    enum Outcome: String, Encodable, CaseIterable {
        /// All the same bits.
        case same
        /// A file is not the one that was annotated.
        case imageChanged = "image_changed"
        case imageNotFetched = "image_not_fetched"
        /// No model, adapter or mask decoder of those that were given gave the result, or this version cannot read it.
        case modelNotHere = "model_not_here"
        /// It was computed here in another precision.
        case otherPrecision = "other_precision"
        /// Another version of gloss gave it.
        case otherVersion = "other_version"
        case differs
        /// It could not be computed again.
        case failed

        /// As people read it.
        var words: String { rawValue.replacing("_", with: " ") }
    }

    /// An image whose file has changed.
    struct ChangedImage: Encodable, Sendable {
        /// From 1.
        let image: Int
        let url: String
        /// SHA-256, 64 hexadecimal digits.
        let recorded, here: String
    }

    let job: Int64
    let fence: Int64
    let task: String
    let outcome: Outcome
    /// What differs, for a person; nil: nothing.
    var detail: String?
    /// Of the log-probabilities, in nats; nil: none differs.
    var largestDifference: Double?
    var firstToken: ResultComparison.FirstToken?
    /// All that differs.
    var differences: [String]?
    var changedImages: [ChangedImage]?
    let modelDigest: String
    let precision: String
    let glossVersion: String
    /// The machine that gave the result.
    let host: String?

    init(_ stored: StoredResult, _ outcome: Outcome, _ detail: String? = nil) {
        (job, fence, task) = (stored.lease.job.rawValue, stored.lease.fence, stored.task)
        (self.outcome, self.detail) = (outcome, detail)
        (modelDigest, precision, glossVersion) = (stored.engine.digest, stored.engine.precision, stored.engine.version)
        host = stored.host
    }

    enum CodingKeys: String, CodingKey {
        case job, fence, task, outcome, detail, differences, precision, host
        case largestDifference = "largest_difference"
        case firstToken = "first_token"
        case changedImages = "changed_images"
        case modelDigest = "model_digest"
        case glossVersion = "gloss_version"
    }
}
