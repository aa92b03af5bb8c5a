import ArgumentParser
import Queue

/// `glossctl enqueue vqa`
struct EnqueueVqa: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vqa",
        abstract: "Answer a question about an image.",
        discussion: """
            EXAMPLES
              glossctl enqueue vqa https://example.org/cat.jpg --question 'what colour?'
              glossctl enqueue vqa https://example.org/{a,b}.jpg --question 'what differs?'

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var submit: SubmitOptions
    @OptionGroup var spec: SpecOptions

    @Argument(help: "The image; several are one input.")
    var urls: [String]
    @Option(help: "The question.")
    var question: String

    func run() async throws {
        try await SubmitJobs(database: database, json: format.json)
            .run([spec.spec(.vqa, images: urls, texts: [question])], submit.options())
    }
}
