import ArgumentParser
import Storage

/// `glossctl resume`
struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Undoes pause.",
        discussion: """
            Each pause is undone by its own resume: --all does not resume a batch that was paused by name. --host also \
            takes up a host again that daemons have parked because it failed.

            EXAMPLES
              glossctl resume --batch photos
              glossctl resume --host images.example.org
              glossctl resume --all

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
            try await administration.resume(selection)
            if format.json {
                try JSONText.say(["resumed": selection.json])
            } else {
                Console.say("Resumed \(selection.words).")
            }
        }
    }
}
