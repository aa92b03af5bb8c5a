/// A task's definition as JSON: what `glossctl migrate` writes into `gloss.task`, and doctor compares with it.
public struct TaskRow: Hashable, Sendable, Codable {
    /// A style by its name.
    public struct Style: Hashable, Sendable, Codable {
        /// `PromptStyle.template`
        public var prompt: String
        /// The least and the most texts.
        public var texts: [Int]
    }

    /// What the task accepts.
    public struct Limits: Hashable, Sendable, Codable {
        /// The most images of a job.
        public var images: Int
        /// Whether each image is a view.
        public var views: Bool
        /// The most samples of a query.
        public var samples: Int
        /// The most beams.
        public var beams: Int
        /// The least and the most options; nil: it takes none.
        public var options: [Int]?
    }

    /// The task's name.
    public var name: String
    /// What it does, in one sentence.
    public var summary: String
    /// The style of a job that names none.
    public var defaultStyle: String
    /// The styles by their names.
    public var styles: [String: Style]
    /// The settings of a job that says nothing.
    public var defaults: DecodeSettings
    /// The texts of a job that gives none.
    public var defaultTexts: [String]
    /// What a user calls one of its texts.
    public var textNoun: String?
    /// What the task accepts.
    public var limits: Limits
    /// What separates the texts in `prompt`, for styles that join texts; nil: `prompt` is one text.
    public var separator: String?

    public init(_ task: any AnnotationTask) {
        name = task.name.rawValue
        summary = task.summary
        defaultStyle = task.styles[0].name
        styles = Dictionary(
            uniqueKeysWithValues: task.styles.map {
                ($0.name, Style(prompt: $0.template, texts: [$0.textCount.lowerBound, $0.textCount.upperBound]))
            })
        defaults = task.defaults
        defaultTexts = task.defaultTexts
        textNoun = task.textNoun
        limits = Limits(
            images: task.limits.imageCount, views: task.limits.imagesAreViews, samples: task.limits.sampleCount,
            beams: task.limits.beamCount, options: task.limits.optionCount.map { [$0.lowerBound, $0.upperBound] })
        separator = task.separator.map { String($0) }
    }

    enum CodingKeys: String, CodingKey {
        case name, summary, styles, defaults, limits, separator
        case defaultStyle = "default_style"
        case defaultTexts = "default_texts"
        case textNoun = "text_noun"
    }
}
