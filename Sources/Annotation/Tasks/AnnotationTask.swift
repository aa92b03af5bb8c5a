/// How a prompt is formed from a job's texts and language.
public struct PromptStyle: Hashable, Sendable {
    /// Its name: what a user writes.
    public let name: String
    /// The prompt: `{language}` stands for the language, `{text}` for a text (one prompt a text), `{texts}` for all
    /// texts, joined, `{box}` for the locations of a text that is a box, `y1,x1,y2,x2` in fractions, `{options}` for the
    /// options, joined as big_vision does.
    public let template: String
    /// How many texts it takes.
    public let textCount: ClosedRange<Int>

    public init(_ name: String, _ template: String, textCount: ClosedRange<Int>) {
        self.name = name
        self.template = template
        self.textCount = textCount
    }

    /// The prompts of a job.
    public func prompts(_ texts: [String], language: String, options: [String] = []) -> [String] {
        let shared = [
            "language": language, "texts": texts.joined(separator: " ; "), "options": options.joined(separator: " \t "),
        ]
        guard template.contains("{text}") || template.contains("{box}") else { return [filled(shared)] }
        return texts.map { text in
            filled(shared.merging(["text": text, "box": PromptText.locations(text)]) { $1 })
        }
    }

    /// The template with values in place of their names, each looked at once: a user's text may hold the letters of a
    /// placeholder.
    private func filled(_ values: [String: String]) -> String {
        var (prompt, rest) = ("", template[...])
        while let start = rest.firstIndex(of: "{"), let end = rest[start...].firstIndex(of: "}") {
            let name = String(rest[rest.index(after: start)..<end])
            prompt += rest[..<start]
            prompt += values[name] ?? "{\(name)}"
            rest = rest[rest.index(after: end)...]
        }
        return prompt + rest
    }
}

/// What a task accepts.
public struct TaskLimits: Hashable, Sendable {
    /// The most images of a job.
    public var imageCount: Int
    /// Whether each image is a view, with queries of its own; else all images are one input.
    public var imagesAreViews: Bool
    /// The most samples of a query.
    public var sampleCount: Int
    /// The most beams.
    public var beamCount: Int
    /// How many options a job gives, of a task that chooses; nil: it takes none.
    public var optionCount: ClosedRange<Int>?

    public init(
        imageCount: Int = 16, imagesAreViews: Bool = false, sampleCount: Int = 64, beamCount: Int = 1,
        optionCount: ClosedRange<Int>? = nil
    ) {
        self.imageCount = imageCount
        self.imagesAreViews = imagesAreViews
        self.sampleCount = sampleCount
        self.beamCount = beamCount
        self.optionCount = optionCount
    }
}

/// What a report shows of a result.
public enum Presentation: String, Hashable, Sendable {
    /// The best text.
    case text
    /// The question and the best answer, with the others' shares if there are any.
    case answer
    /// Boxes over the image.
    case boxes
    /// The distribution of an object's answers, beside its views.
    case distribution
}

/// A query of a job: one prompt about some of its images.
public struct TaskQuery: Hashable, Sendable {
    /// The stage of the job's questions, from 1.
    public var stage: Int
    /// The view, from 0.
    public var view: Int
    /// The question, from 0.
    public var question: Int
    /// Indices into the job's image URLs, in order.
    public var images: [Int]
    /// The prompt, without newline.
    public var prompt: String
    /// How tokens are chosen.
    public var settings: DecodeSettings
    /// Responses to score instead of drawing any, each with its end token; empty: responses are drawn. One generation
    /// each, in order.
    public var options: [String]

    /// Responses that the engine computes for it: samples, beams or options.
    public var rowCount: Int { options.isEmpty ? settings.samples * settings.beams : options.count }

    public init(
        stage: Int = 1, view: Int, question: Int, images: [Int], prompt: String, settings: DecodeSettings,
        options: [String] = []
    ) {
        self.stage = stage
        self.view = view
        self.question = question
        self.images = images
        self.prompt = prompt
        self.settings = settings
        self.options = options
    }
}

/// The responses to one view's questions, as [question][sample].
public typealias ViewGenerations = [[Generation]]

/// Why a job has no result although the model responded. Another attempt would give none either.
public struct NoResult: Error, Hashable, Sendable {
    /// A stable word to count by, such as `no_answer`.
    public var code: String
    /// One sentence.
    public var reason: String

    public init(code: String, reason: String) {
        self.code = code
        self.reason = reason
    }
}

/// A task: what a job asks of the model and what becomes of the responses. Each is one file of this folder and one line
/// in `TaskName.all`; `gloss.task` gets its row from here.
public protocol AnnotationTask: Sendable {
    /// A task has no state: all of one type are the same.
    init()

    /// Its name in SQL and on the command line.
    var name: TaskName { get }
    /// What it does, in one sentence.
    var summary: String { get }
    /// The heading of its results in a report.
    var title: String { get }
    /// The ways to form a prompt, the default first.
    var styles: [PromptStyle] { get }
    /// What a user calls one of its texts: `question`, `thing`; nil: only the style `raw` takes a text.
    var textNoun: String? { get }
    /// The texts of a job that gives none.
    var defaultTexts: [String] { get }
    /// What separates the texts in `prompt`; nil: `prompt` is one text.
    var separator: Character? { get }
    /// The settings of a job that says nothing.
    var defaults: DecodeSettings { get }
    /// What it accepts.
    var limits: TaskLimits { get }
    /// The views of results, in the schema `gloss`, that only this task has.
    var resultViews: [String] { get }
    /// What a report shows.
    var presentation: Presentation { get }

    /// Why a model with these tokens can give no result, whatever it is shown; nil: it may give one.
    func refusal(_ vocabulary: any Vocabulary) -> NoResult?

    /// Reads and combines the responses of all views in the first stage: what is recorded, but for further stages.
    ///
    /// - Parameters:
    ///   - responses: those of this attempt, by view.
    ///   - checkpoints: views that an earlier attempt finished in that stage.
    ///   - context: the spec, the images by index, the vocabulary and the model's digest.
    func result(
        _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses], context: TaskContext
    ) throws(NoResult) -> AnnotationResult
}

/// What a task knows beside the responses.
public struct TaskContext: Sendable {
    /// What was asked.
    public var spec: JobSpec
    /// The images that were fetched in this attempt, by their index.
    public var images: [Int: SourceImage]
    /// The model's special tokens.
    public var vocabulary: any Vocabulary
    /// The model's digest.
    public var modelDigest: String
    /// What makes masks of codes; nil: nothing, and the codes stay alone.
    public var maskDecoder: (any MaskDecoder)?

    public init(
        spec: JobSpec, images: [Int: SourceImage], vocabulary: any Vocabulary, modelDigest: String,
        maskDecoder: (any MaskDecoder)? = nil
    ) {
        self.spec = spec
        self.images = images
        self.vocabulary = vocabulary
        self.modelDigest = modelDigest
        self.maskDecoder = maskDecoder
    }

    /// A view's responses as they are stored. `answer`: the one that the questions of a further stage name.
    public func responses(
        of view: Int, _ generations: ViewGenerations, stage: Int = 1, answer: String? = nil
    ) -> ViewResponses {
        let indices = spec.task.definition.limits.imagesAreViews ? [view] : Array(spec.imageURLs.indices)
        return ViewResponses(
            stage: stage, view: view, responses: generations.map { $0.map { ScoredText($0, spec.settings) } },
            images: indices.compactMap { images[$0] }, modelDigest: modelDigest, answer: answer)
    }
}

extension AnnotationTask {
    /// One text a prompt.
    public var separator: Character? { nil }
    /// None.
    public var defaultTexts: [String] { [] }
    /// The usual limits.
    public var limits: TaskLimits { TaskLimits() }
    /// Every model will do.
    public func refusal(_ vocabulary: any Vocabulary) -> NoResult? { nil }

    /// What a job asks in a stage, in order: each prompt of each view. `answer` is the first stage's best one; the
    /// first stage has no use for it.
    ///
    /// Queries draw from random streams of their own, seed + 1,000,000 · (stage − 1) + 1000 · view + question, so that
    /// `glossctl infer --seed` repeats any of them.
    public func queries(_ spec: JobSpec, stage: Int = 1, answer: String = "") -> [TaskQuery] {
        let prompts = spec.prompts(stage: stage, answer: answer)
        return (0..<spec.viewCount).flatMap { view in
            prompts.enumerated().map { question, prompt in
                var settings = spec.settings
                settings.seed &+= UInt64(1_000_000 * (stage - 1) + 1000 * view + question)
                return TaskQuery(
                    stage: stage, view: view, question: question,
                    images: limits.imagesAreViews ? [view] : Array(spec.imageURLs.indices), prompt: prompt,
                    settings: settings, options: spec.options)
            }
        }
    }
}

/// The special tokens of a model, as far as tasks read them.
public protocol Vocabulary: Sendable {
    /// The ids of `<loc0000>` … `<loc1023>` with their values; empty for a model without them.
    var locations: [Int: Int] { get }
    /// The ids of `<seg000>` … `<seg127>` with their values; empty for a model without them.
    var codes: [Int: Int] { get }
    /// The ids of a semicolon, alone and after a blank.
    var separators: Set<Int> { get }
    /// The text of some tokens.
    func decode(_ ids: [Int]) -> String
}
