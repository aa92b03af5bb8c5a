/// How the model's prompt is formed from a job's text.
public enum PromptStyle: String, Hashable, Sendable, Codable, CaseIterable {
    /// `caption {language}`
    case caption
    /// `cap {language}`
    case cap
    /// `describe {language}`
    case describe
    /// `ocr`
    case ocr
    /// `answer {language} {question}`
    case answer
    /// `detect {thing} ; {thing}`
    case detect
    /// The text as it stands.
    case raw
}

/// How tokens are chosen. The same (model, images, prompt, settings) gives the same output.
public struct DecodeSettings: Hashable, Sendable, Codable {
    /// The most tokens of one response, the end token included.
    public var maxTokens: Int
    /// Responses per prompt, 1...64.
    public var samples: Int
    /// Beams; 1 is greedy or sampled decoding.
    public var beams: Int
    /// 0 is greedy.
    public var temperature: Float
    /// Sample among the `topK` likeliest tokens; 0 is all.
    public var topK: Int
    /// Sample among the likeliest tokens whose probabilities reach `topP`; 1 is all.
    public var topP: Float
    /// The seed of the random numbers, 0...Int64.max.
    public var seed: UInt64

    /// Settings; the defaults are greedy decoding of one response.
    public init(
        maxTokens: Int = 64, samples: Int = 1, beams: Int = 1, temperature: Float = 0, topK: Int = 0, topP: Float = 1,
        seed: UInt64 = 0
    ) {
        self.maxTokens = maxTokens
        self.samples = samples
        self.beams = beams
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    enum CodingKeys: String, CodingKey {
        case maxTokens = "max_tokens"
        case samples, beams, temperature
        case topK = "top_k"
        case topP = "top_p"
        case seed
    }
}

extension DecodeSettings {
    /// The settings of a job that says nothing: what the SQL functions use as their defaults.
    public static func defaults(for task: AnnotationTask) -> DecodeSettings {
        switch task {
        case .caption: DecodeSettings(maxTokens: 64)
        case .vqa: DecodeSettings(maxTokens: 32)
        case .detect: DecodeSettings(maxTokens: 256)
        case .multiview: DecodeSettings(maxTokens: 24, samples: 5, temperature: 1)
        }
    }
}

/// Which score of a response ScoreAgg adds up. Both are kept.
public enum ResponseScore: String, Hashable, Sendable, Codable {
    /// The sum of the log-probabilities.
    case sum
    /// That sum divided by ((5 + n) / 6)^0.6, n = tokens with the end token.
    case normalised
}

/// What a job asks: immutable from the moment it is enqueued.
public struct JobSpec: Hashable, Sendable {
    /// What is asked.
    public var task: AnnotationTask
    /// The images. Several are one input of several images, except for `multiview`, where each is a view.
    public var imageURLs: [String]
    /// How the prompt is formed.
    public var style: PromptStyle
    /// The language code that goes into the prompt.
    public var language: String
    /// The user's texts: the question of `vqa`, the questions of `multiview`, the things of `detect`.
    public var texts: [String]
    /// How tokens are chosen.
    public var settings: DecodeSettings
    /// Which score a `multiview` job aggregates.
    public var score: ResponseScore
    /// The model's name or digest; nil is any.
    public var model: String?
    /// The colour under transparent pixels, 0xRRGGBB; nil is white.
    public var background: UInt32?

    /// A spec; `style` and `settings` default to the task's own.
    public init(
        task: AnnotationTask, imageURLs: [String], style: PromptStyle? = nil, language: String = "en",
        texts: [String] = [], settings: DecodeSettings? = nil, score: ResponseScore = .sum,
        model: String? = nil, background: UInt32? = nil
    ) {
        self.task = task
        self.imageURLs = imageURLs
        self.style = style ?? task.defaultStyle
        self.language = language
        self.texts = texts
        self.settings = settings ?? .defaults(for: task)
        self.score = score
        self.model = model
        self.background = background
    }

    /// The prompts that the model gets, in order: one, or one per question of a `multiview` job.
    public var prompts: [String] {
        switch style {
        case .caption, .cap, .describe: ["\(style.rawValue) \(language)"]
        case .ocr: ["ocr"]
        case .answer: texts.map { "answer \(language) \($0)" }
        case .detect: ["detect " + texts.joined(separator: " ; ")]
        case .raw: texts
        }
    }

    /// Views of a `multiview` job; 1 for the others, whose images are one input.
    public var viewCount: Int { task == .multiview ? imageURLs.count : 1 }
}

extension AnnotationTask {
    /// The style of a job that names none.
    public var defaultStyle: PromptStyle {
        switch self {
        case .caption: .caption
        case .vqa, .multiview: .answer
        case .detect: .detect
        }
    }
}
