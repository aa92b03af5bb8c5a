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
    public var task: TaskName
    /// The images. Several are one input of several images, except for a task whose images are views.
    public var imageURLs: [String]
    /// The name of the style: how the prompt is formed.
    public var style: String
    /// The language code that goes into the prompt.
    public var language: String
    /// The user's texts: a question, questions, names of things.
    public var texts: [String]
    /// The answers to choose from, of a task that chooses; else empty.
    public var options: [String]
    /// Questions of further stages, one each, in order: `{answer}` stands for the best answer of the first stage.
    public var followUps: [String]
    /// Answers that count for nothing when answers are aggregated, compared in their canonical form.
    public var ignored: [String]
    /// How tokens are chosen.
    public var settings: DecodeSettings
    /// Which score is aggregated.
    public var score: ResponseScore
    /// The model's name or digest; nil is any.
    public var model: String?
    /// The colour under transparent pixels, 0xRRGGBB; nil is white.
    public var background: UInt32?
    /// A box that is drawn into the one image before the model sees it; nil: none.
    public var drawnBox: Box?

    /// A spec; `style`, `settings` and `texts` default to the task's own.
    public init(
        task: TaskName, imageURLs: [String], style: String? = nil, language: String = "en", texts: [String]? = nil,
        options: [String] = [], followUps: [String] = [], ignored: [String] = [], settings: DecodeSettings? = nil,
        score: ResponseScore = .sum, model: String? = nil, background: UInt32? = nil, drawnBox: Box? = nil
    ) {
        let definition = task.definition
        self.task = task
        self.imageURLs = imageURLs
        self.style = style ?? definition.styles[0].name
        self.language = language
        self.texts = texts ?? definition.defaultTexts
        self.options = options
        self.followUps = followUps
        self.ignored = ignored
        self.settings = settings ?? definition.defaults
        self.score = score
        self.model = model
        self.background = background
        self.drawnBox = drawnBox
    }

    /// The prompts that the model gets, in order.
    public var prompts: [String] { promptStyle.prompts(texts, language: language, options: options) }

    /// The style by its name; the task's own if the name is not one of its styles.
    public var promptStyle: PromptStyle {
        let styles = task.definition.styles
        return styles.first { $0.name == style } ?? styles[0]
    }

    /// Views: each image of a task whose images are views; else all images are one.
    public var viewCount: Int { task.definition.limits.imagesAreViews ? imageURLs.count : 1 }
}
