import ArgumentParser
import Storage

/// `glossctl pause`
struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Gives out no jobs of a batch, of a task, with images of a host, or none at all.",
        discussion: """
            Jobs that workers hold run on. New jobs may be enqueued; they wait.

            EXAMPLES
              glossctl pause --batch photos
              glossctl pause --host images.example.org
              glossctl pause --all

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var stop: StopOptions

    func validate() throws { try stop.validateOne() }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        for selection in stop.selections {
            if case .batch(let name) = selection { try await administration.batch(named: name) }
            try await administration.pause(selection)
            if format.json {
                try JSONText.say(["paused": selection.json])
            } else {
                Console.say("Paused \(selection.words). Jobs that workers hold run on.")
            }
        }
    }
}
