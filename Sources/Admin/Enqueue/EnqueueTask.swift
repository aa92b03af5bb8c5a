import Annotation
import ArgumentParser

/// `glossctl enqueue caption`, `glossctl enqueue vqa`, …: what they take follows from the task's definition.
struct EnqueueTask<Task: AnnotationTask>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        let task = Task()
        return CommandConfiguration(
            commandName: task.name.rawValue, abstract: task.summary,
            discussion: """
                EXAMPLES
                  \(examples.joined(separator: "\n  "))

                STYLES
                  \(styles.joined(separator: "\n  "))

                \(defaults)

                \(ExitStatus.help)
                """)
    }

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var submit: SubmitOptions
    @OptionGroup var spec: SpecOptions

    @Argument(help: imagesHelp)
    var urls: [String]
    @Flag(help: ArgumentHelp("All images are one input of one job.", visibility: Task().hasViews ? .hidden : .default))
    var together = false
    @Option(help: framesHelp)
    var frames: Int?
    @Option(help: drawBoxHelp)
    var drawBox: Box?
    @Option(name: textName, help: textHelp)
    var texts: [String] = []
    @Option(name: listName, help: listHelp)
    var list: String?
    @Option(name: .customLong("option"), help: optionHelp)
    var choices: [String] = []
    @Option(name: .customLong("follow-up"), help: followUpHelp)
    var followUps: [String] = []
    @Option(name: .customLong("ignore"), help: ignoreHelp)
    var ignored: [String] = []

    private var allTexts: [String] {
        (list ?? "").split(separator: ",").map { $0.trimmingWhitespace() }.filter { !$0.isEmpty } + texts
    }

    func validate() throws {
        let task = Task()
        if urls.count > 1 && !isOneInput && submit.key != nil {
            throw ValidationError("--key names one job, but there are \(urls.count) images; see also --together.")
        }
        let most = task.limits.imageCount
        if let frames, task.hasViews || !(1...most).contains(frames) {
            let reason = task.hasViews ? "is for images that are one input" : "must be 1 to \(most), not \(frames)"
            throw ValidationError("--frames \(reason).")
        }
        if drawBox != nil, task.hasViews || together || (frames ?? 1) > 1 {
            throw ValidationError("--draw-box is for jobs of one image.")
        }
        if let range = task.limits.optionCount, !range.contains(choices.count) {
            throw ValidationError(
                "\(task.name) needs \(range.lowerBound) to \(range.upperBound) times --option, not \(choices.count).")
        }
        if list != nil && task.separator == nil {
            throw ValidationError("\(task.name) takes no list: give --\(Self.noun) once for each.")
        }
        let style = spec.style.flatMap { name in task.styles.first { $0.name == name } } ?? task.styles[0]
        if allTexts.isEmpty && task.defaultTexts.isEmpty && style.textCount.lowerBound > 0 {
            throw ValidationError("\(task.name) in the style \(style.name) needs a --\(Self.noun).")
        }
    }

    func run() async throws {
        let inputs = isOneInput ? [urls] : urls.map { [$0] }
        let specs = inputs.map { images in
            spec.spec(
                Task().name, images: frames.map { count in (0..<count).map { images[$0 % images.count] } } ?? images,
                texts: allTexts.isEmpty ? nil : allTexts, options: choices, followUps: followUps, ignored: ignored,
                drawnBox: drawBox)
        }
        try await SubmitJobs(database: database, json: format.json).run(specs, submit.options())
    }

    private var isOneInput: Bool { together || frames != nil || Task().hasViews }
}

// MARK: Help, from the task's definition

extension EnqueueTask {
    private static var noun: String { Task().textNoun ?? "prompt" }

    private static var textName: NameSpecification {
        noun == "prompt" ? [.customLong(noun)] : [.customLong(noun), .customLong("prompt")]
    }

    private static var listName: NameSpecification { [.customLong(noun + "s")] }

    private static var imagesHelp: ArgumentHelp {
        Task().hasViews ? "The views of one object, an image each." : "The images, a job each."
    }

    private static var textHelp: ArgumentHelp {
        let task = Task()
        guard let noun = task.textNoun else { return "The whole prompt, with --style raw." }
        if task.styles[0].textCount.upperBound == 1 { return "The \(noun)." }
        let byDefault = task.defaultTexts.isEmpty ? "" : " Default: \(task.defaultTexts.joined(separator: " "))"
        return ArgumentHelp("A \(noun); repeat it for more.\(byDefault)", valueName: noun)
    }

    private static var listHelp: ArgumentHelp {
        ArgumentHelp(
            "Several, separated by commas.", valueName: "\(noun),\(noun)",
            visibility: Task().separator == nil ? .hidden : .default)
    }

    private static var framesHelp: ArgumentHelp {
        ArgumentHelp(
            "All images are one input of one job: its so many frames, repeated in their order or cut.",
            visibility: Task().hasViews ? .hidden : .default)
    }

    private static var drawBoxHelp: ArgumentHelp {
        ArgumentHelp(
            "A box in fractions of the height and the width, drawn in red into what the model sees.",
            valueName: "y1,x1,y2,x2", visibility: Task().hasViews ? .hidden : .default)
    }

    private static var optionHelp: ArgumentHelp {
        ArgumentHelp(
            "An answer to choose from; repeat it for each.", valueName: "text",
            visibility: Task().limits.optionCount == nil ? .hidden : .default)
    }

    private static var followUpHelp: ArgumentHelp {
        ArgumentHelp(
            "A further question; {answer} is the best answer to the first ones. Repeat it for more.",
            valueName: "question", visibility: Task().hasViews ? .default : .hidden)
    }

    private static var ignoreHelp: ArgumentHelp {
        ArgumentHelp(
            "An answer that counts for nothing, such as unanswerable; repeat it for more.", valueName: "answer",
            visibility: Task().hasViews ? .default : .hidden)
    }

    private static var examples: [String] {
        let task = Task()
        let start = "glossctl enqueue \(task.name) https://example.org/"
        let choices = task.limits.optionCount == nil ? "" : " --option yes --option no"
        let text = (task.textNoun.map { task.defaultTexts.isEmpty ? " --\($0) '…'" : "" } ?? "") + choices
        let one = "\(start)cat.jpg\(text) --key row-17"
        return task.hasViews ? ["\(start){1,2,3}.jpg --key object-3"] : [one, "\(start){1,2,3}.jpg\(text)"]
    }

    private static var styles: [String] {
        let width = Task().styles.map(\.name.count).max() ?? 0
        return Task().styles.map { style in
            style.name + String(repeating: " ", count: width - style.name.count + 2) + style.template
        }
    }

    private static var defaults: String {
        let settings = Task().defaults
        return "By default --max-tokens is \(settings.maxTokens), and --samples is \(settings.samples)."
    }
}

extension AnnotationTask {
    fileprivate var hasViews: Bool { limits.imagesAreViews }
}

extension Substring {
    fileprivate func trimmingWhitespace() -> String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
