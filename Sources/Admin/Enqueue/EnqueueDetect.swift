import ArgumentParser
import Queue

/// `glossctl enqueue detect`
struct EnqueueDetect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract: "Find things in an image and give their boxes.",
        discussion: """
            EXAMPLES
              glossctl enqueue detect https://example.org/cat.jpg --things cat,dog
              glossctl enqueue detect https://example.org/cat.jpg --thing cat --thing dog

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var submit: SubmitOptions
    @OptionGroup var spec: SpecOptions

    @Argument(help: "The image.")
    var url: String
    @Option(help: "What to look for, separated by commas.")
    var things: String?
    @Option(name: .customLong("thing"), help: "One more thing to look for.")
    var more: [String] = []

    private var all: [String] {
        let listed = (things ?? "").split(separator: ",").map { String($0.trimmingPrefix(while: \.isWhitespace)) }
        return listed.map { String($0.reversed().drop(while: \.isWhitespace).reversed()) }.filter { !$0.isEmpty } + more
    }

    func validate() throws {
        if all.isEmpty { throw ValidationError("Say what to look for: --things cat,dog or --thing cat.") }
    }

    func run() async throws {
        try await SubmitJobs(database: database, json: format.json)
            .run([spec.spec(.detect, images: [url], texts: all)], submit.options())
    }
}
