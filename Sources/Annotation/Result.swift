/// A decoded image: a row of `gloss.image`.
public struct ImageInfo: Hashable, Sendable, Codable {
    /// SHA-256 of the file's bytes, 64 hexadecimal digits.
    public var sha256: String
    /// Pixels from left to right, as the image is shown upright.
    public var width: Int
    /// Pixels from top to bottom, as the image is shown upright.
    public var height: Int
    /// The EXIF orientation that decoding applied, 1...8; 1: none.
    public var orientation: Int
    /// `jpeg`, `png`, `webp`, `gif`, `bmp`, `avif`, `tiff` or `heic`.
    public var format: String
    /// Bytes of the file.
    public var byteCount: Int

    public init(sha256: String, width: Int, height: Int, orientation: Int, format: String, byteCount: Int) {
        self.sha256 = sha256
        self.width = width
        self.height = height
        self.orientation = orientation
        self.format = format
        self.byteCount = byteCount
    }

    enum CodingKeys: String, CodingKey {
        case sha256, width, height, orientation, format
        case byteCount = "byte_count"
    }
}

/// An image and where it was found.
public struct SourceImage: Hashable, Sendable, Codable {
    /// What it is.
    public var info: ImageInfo
    /// Its URL after redirects.
    public var finalURL: String

    public init(info: ImageInfo, finalURL: String) {
        self.info = info
        self.finalURL = finalURL
    }

    enum CodingKeys: String, CodingKey {
        case info
        case finalURL = "final_url"
    }
}

/// All responses of one view in one stage of a job. It is what a checkpoint keeps.
public struct ViewResponses: Hashable, Sendable, Codable {
    /// The stage of the job's questions, from 1.
    public var stage: Int
    /// The view's index, from 0. Of a `multiview` job it is the index of its image; other jobs have one view.
    public var view: Int
    /// The responses as [question][sample].
    public var responses: [[ScoredText]]
    /// The images of the view, in order.
    public var images: [SourceImage]
    /// The digest of the model that gave them. Responses of two models are never aggregated.
    public var modelDigest: String
    /// The answer that the questions name, the best one of the first stage; nil in the first stage.
    public var answer: String?

    public init(
        stage: Int = 1, view: Int, responses: [[ScoredText]], images: [SourceImage] = [], modelDigest: String = "",
        answer: String? = nil
    ) {
        self.answer = answer
        self.stage = stage
        self.view = view
        self.responses = responses
        self.images = images
        self.modelDigest = modelDigest
    }

    enum CodingKeys: String, CodingKey {
        case stage, view, responses, images, answer
        case modelDigest = "model_digest"
    }
}

/// An answer of a distribution with its share.
public struct AggregatedAnswer: Hashable, Sendable, Codable {
    /// The canonical answer.
    public var answer: String
    /// Its probability among all answers of the object.
    public var probability: Double

    public init(answer: String, probability: Double) {
        self.answer = answer
        self.probability = probability
    }

    enum CodingKeys: String, CodingKey {
        case answer
        case probability = "p"
    }
}

/// What one stage of a job asked and was answered.
public struct StageResult: Hashable, Sendable {
    /// The prompts, word for word: one a question.
    public var prompts: [String]
    /// The responses, in order of view. All views have the same number of questions and samples.
    public var views: [ViewResponses]
    /// The aggregated answers, most probable first; empty for a task that aggregates nothing.
    public var distribution: [AggregatedAnswer]

    public init(prompts: [String], views: [ViewResponses], distribution: [AggregatedAnswer] = []) {
        self.prompts = prompts
        self.views = views
        self.distribution = distribution
    }
}

/// What a finished job found.
public struct AnnotationResult: Hashable, Sendable {
    /// What was asked and answered: one stage or more.
    public var stages: [StageResult]
    /// What was found in the images, in the model's order.
    public var findings: [Finding]
    /// One number to sort results of a task by, larger is surer: a text's length-normalised log-probability, the score
    /// of the best finding, the probability of the best answer. Nil: nothing was found.
    public var score: Float?
    /// Parts of the responses that could not be read.
    public var notUnderstoodCount: Int

    public init(stages: [StageResult], findings: [Finding] = [], score: Float?, notUnderstoodCount: Int = 0) {
        self.stages = stages
        self.findings = findings
        self.score = score
        self.notUnderstoodCount = notUnderstoodCount
    }

    /// The best response of the first view and question.
    public var best: ScoredText? { stages.first?.views.first?.responses.first?.first }

    /// The most probable aggregated answer of the first stage.
    public var answer: AggregatedAnswer? { stages.first?.distribution.first }
}

/// What makes an answer: two equal engines give equal results.
public struct EngineIdentity: Hashable, Sendable, Codable {
    /// The model's name, as configured.
    public var model: String
    /// SHA-256 that names the model's files and its arithmetic, 64 hexadecimal digits.
    public var digest: String
    /// That of the adapter; nil: none.
    public var adapterDigest: String?
    /// That of the mask decoder; nil: none.
    public var maskDecoderDigest: String?
    /// What names the model with its adapter: views of a job that another one has finished are asked again.
    public var answeringDigest: String { [digest, adapterDigest].compactMap(\.self).joined(separator: "+") }
    /// The arithmetic: `f32`, `bf16`, `int8`, …
    public var precision: String
    /// How images are resized: `bicubic`.
    public var resize: String
    /// The attention window in tokens; nil: none.
    public var window: Int?
    /// The version of gloss.
    public var version: String

    public init(
        model: String, digest: String, adapterDigest: String? = nil, maskDecoderDigest: String? = nil,
        precision: String, resize: String = "bicubic", window: Int? = nil, version: String
    ) {
        self.model = model
        self.digest = digest
        self.adapterDigest = adapterDigest
        self.maskDecoderDigest = maskDecoderDigest
        self.precision = precision
        self.resize = resize
        self.window = window
        self.version = version
    }
}

/// What is needed to run a job again and get the same, and where its time went.
public struct Provenance: Hashable, Sendable {
    /// What computed it.
    public var engine: EngineIdentity
    /// The settings that were used.
    public var settings: DecodeSettings
    /// The job's images, in the order of its image URLs.
    public var images: [SourceImage]
    /// Seconds per stage of the pipeline: `fetch`, `decode`, and `vision`, `prefill`, `extend`, its share of the passes
    /// it was part of.
    public var timings: [String: Double]

    public init(
        engine: EngineIdentity, settings: DecodeSettings, images: [SourceImage] = [], timings: [String: Double] = [:]
    ) {
        self.engine = engine
        self.settings = settings
        self.images = images
        self.timings = timings
    }
}

/// A finished job's result, as it is recorded.
public struct AnnotationRecord: Hashable, Sendable {
    /// What was found.
    public var result: AnnotationResult
    /// How.
    public var provenance: Provenance

    public init(result: AnnotationResult, provenance: Provenance) {
        self.result = result
        self.provenance = provenance
    }
}
