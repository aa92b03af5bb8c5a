import ArgumentParser
import Queue

/// `glossctl enqueue caption`
struct EnqueueCaption: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caption",
        abstract: "Describe images.",
        discussion: """
            EXAMPLES
              glossctl enqueue caption https://example.org/cat.jpg --key row-17
              glossctl enqueue caption https://example.org/{1,2,3}.jpg --language de
              glossctl enqueue caption https://example.org/cat.jpg \\
                --style raw --prompt 'caption en'

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var submit: SubmitOptions
    @OptionGroup var spec: SpecOptions

    @Argument(help: "The images, a job each.")
    var urls: [String]
    @Flag(help: "All images are one input of one job.")
    var together = false
    @Option(help: "The whole prompt, with --style raw.")
    var prompt: String?

    func validate() throws {
        if urls.count > 1 && !together && submit.key != nil {
            throw ValidationError("--key names one job, but there are \(urls.count) images; see also --together.")
        }
    }

    func run() async throws {
        let inputs = together ? [urls] : urls.map { [$0] }
        let specs = inputs.map { spec.spec(.caption, images: $0, texts: prompt.map { [$0] } ?? []) }
        try await SubmitJobs(database: database, json: format.json).run(specs, submit.options())
    }
}
