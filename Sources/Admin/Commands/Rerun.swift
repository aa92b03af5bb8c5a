import ArgumentParser
import Storage

/// `glossctl rerun`
struct Rerun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs jobs again that are done or dead.",
        discussion: """
            A key goes on naming its job. Until there is a new result the views of results have none; the old one is in \
            gloss.superseded.

            EXAMPLES
              glossctl rerun 17
              glossctl rerun --batch photos

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var chosen: JobsOptions

    func validate() throws { try chosen.validateOne() }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let change = JobChange(
            participle: "rerun", otherwise: "only jobs that are done or dead are rerun"
        ) { try await administration.rerun($0) }
        try await change.run(chosen.selections, on: administration, json: format.json)
    }
}
