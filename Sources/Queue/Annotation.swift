/// Why a response ended.
public enum FinishReason: String, Hashable, Sendable, Codable {
    /// The model ended it.
    case eos
    /// It reached `maxTokens` and is incomplete.
    case length
}

/// One response and its log-probabilities, those of the raw logits (natural logarithm, end token included).
public struct ScoredText: Hashable, Sendable, Codable {
    /// The text as the model wrote it.
    public var text: String
    /// The sum of its tokens' log-probabilities.
    public var sumLogprob: Float
    /// `sumLogprob` / ((5 + tokenCount) / 6)^0.6
    public var normalisedLogprob: Float
    /// Tokens, the end token included.
    public var tokenCount: Int
    /// Why it ended.
    public var finishReason: FinishReason

    /// A response with its scores.
    public init(
        text: String, sumLogprob: Float, normalisedLogprob: Float, tokenCount: Int, finishReason: FinishReason
    ) {
        self.text = text
        self.sumLogprob = sumLogprob
        self.normalisedLogprob = normalisedLogprob
        self.tokenCount = tokenCount
        self.finishReason = finishReason
    }

    enum CodingKeys: String, CodingKey {
        case text
        case sumLogprob = "sum_logprob"
        case normalisedLogprob = "norm_logprob"
        case tokenCount = "tokens"
        case finishReason = "finish"
    }
}

/// A detected thing. Coordinates are fractions of the image's height and width, 0...1.
public struct Box: Hashable, Sendable, Codable {
    /// What it is, as the model wrote it.
    public var label: String
    /// The probability of the box's tokens, 0...1; detections are ranked by it.
    public var score: Float
    /// Upper edge, left edge, lower edge, right edge.
    public var y1: Float, x1: Float, y2: Float, x2: Float

    /// A box.
    public init(label: String, score: Float, y1: Float, x1: Float, y2: Float, x2: Float) {
        self.label = label
        self.score = score
        self.y1 = y1
        self.x1 = x1
        self.y2 = y2
        self.x2 = x2
    }
}

/// All responses of one view of a `multiview` job. It is what a checkpoint keeps.
public struct ViewResponses: Hashable, Sendable, Codable {
    /// The view's index into the job's image URLs, from 0.
    public var view: Int
    /// The responses as [question][sample].
    public var responses: [[ScoredText]]
    /// The SHA-256 of the image's bytes, 64 hexadecimal digits.
    public var imageSHA256: String
    /// Where the image was found after redirects.
    public var finalURL: String
    /// The model that gave them: SHA-256 over its files. Responses of two models are never aggregated.
    public var modelDigest: String

    /// One view's responses.
    public init(
        view: Int, responses: [[ScoredText]], imageSHA256: String = "", finalURL: String = "", modelDigest: String = ""
    ) {
        self.view = view
        self.responses = responses
        self.imageSHA256 = imageSHA256
        self.finalURL = finalURL
        self.modelDigest = modelDigest
    }

    enum CodingKeys: String, CodingKey {
        case view, responses
        case imageSHA256 = "image_sha256"
        case finalURL = "final_url"
        case modelDigest = "model_digest"
    }
}

/// One answer of ScoreAgg with its share.
public struct AggregatedAnswer: Hashable, Sendable, Codable {
    /// The canonical answer.
    public var answer: String
    /// Its probability among all answers of the object.
    public var probability: Float

    /// An answer and its probability.
    public init(answer: String, probability: Float) {
        self.answer = answer
        self.probability = probability
    }

    enum CodingKeys: String, CodingKey {
        case answer
        case probability = "p"
    }
}

/// The result of a `multiview` job.
public struct MultiviewAnswer: Hashable, Sendable {
    /// The aggregated answers, most probable first; at least one.
    public var distribution: [AggregatedAnswer]
    /// The responses behind them, in order of view. All views have the same number of questions and samples.
    public var views: [ViewResponses]

    /// Aggregated answers and the responses behind them.
    public init(distribution: [AggregatedAnswer], views: [ViewResponses]) {
        self.distribution = distribution
        self.views = views
    }
}

/// What a finished job found.
public enum AnnotationPayload: Hashable, Sendable {
    /// Captions or answers, the best first; one per sample.
    case texts([ScoredText])
    /// Detections: the raw response and the boxes in it, in the model's order.
    case boxes(ScoredText, [Box])
    /// An object's answer.
    case multiview(MultiviewAnswer)
}

/// What is needed to run a job again and get the same, and where its time went.
public struct Provenance: Hashable, Sendable {
    /// The model's name, as configured.
    public var model: String
    /// SHA-256 over the model's files, 64 hexadecimal digits.
    public var modelDigest: String
    /// The version of gloss.
    public var version: String
    /// The prompts, word for word.
    public var prompts: [String]
    /// The settings that were used.
    public var settings: DecodeSettings
    /// One SHA-256 per image, 64 hexadecimal digits each.
    public var imageSHA256: [String]
    /// One URL per image, after redirects.
    public var finalURLs: [String]
    /// Seconds per stage: `fetch`, `decode`, and `vision`, `prefill`, `extend`, its share of the passes that it was part of.
    public var timings: [String: Double]

    /// Everything to run the job again.
    public init(
        model: String, modelDigest: String, version: String, prompts: [String], settings: DecodeSettings,
        imageSHA256: [String] = [], finalURLs: [String] = [], timings: [String: Double] = [:]
    ) {
        self.model = model
        self.modelDigest = modelDigest
        self.version = version
        self.prompts = prompts
        self.settings = settings
        self.imageSHA256 = imageSHA256
        self.finalURLs = finalURLs
        self.timings = timings
    }
}

/// A finished job's result, as it is recorded.
public struct AnnotationRecord: Hashable, Sendable {
    /// What was found.
    public var payload: AnnotationPayload
    /// How.
    public var provenance: Provenance

    /// A result.
    public init(payload: AnnotationPayload, provenance: Provenance) {
        self.payload = payload
        self.provenance = provenance
    }
}
