import ArgumentParser
import Queue

/// `glossctl enqueue multiview`
struct EnqueueMultiview: AsyncParsableCommand {
    /// The questions of a job that names none: those of the SQL function.
    static let questions = [
        "What is this?", "What type of object is this?", "What is in the image?", "Describe the object in the image",
    ]

    static let configuration = CommandConfiguration(
        commandName: "multiview",
        abstract: "Ask about several views of one object, and aggregate the answers (ScoreAgg).",
        discussion: """
            EXAMPLES
              glossctl enqueue multiview objaverse:abc https://example.org/{0,1,2,3}.jpg
              glossctl enqueue multiview mug https://example.org/{1,2}.jpg \\
                --question 'what is this?' --question 'what is it made of?' --samples 3

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var submit: SubmitOptions
    @OptionGroup var spec: SpecOptions

    @Argument(help: "The object's name; it is the job's key unless --key gives another.")
    var object: String
    @Argument(help: "The views, an image each.")
    var viewURLs: [String]
    @Option(name: .customLong("question"), help: "A question; repeat it for more. Default: those of the paper.")
    var asked: [String] = []
    @Option(help: "Which score of a response is aggregated: sum or normalised.")
    var score = ResponseScore.sum

    func run() async throws {
        let questions = asked.isEmpty ? Self.questions : asked
        try await SubmitJobs(database: database, json: format.json)
            .run(
                [spec.spec(.multiview, images: viewURLs, texts: questions, score: score)],
                submit.options(key: object))
    }
}
