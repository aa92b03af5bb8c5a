import ArgumentParser
import Storage

/// `glossctl rerun`
struct Rerun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs jobs again that are done or dead.",
        discussion: """
            A key goes on naming its job. Until there is a new result the views of results have none; the old one is in \
            gloss.superseded. A batch, a task or all are rerun when you agree: on a terminal it says how many jobs they \
            are, and asks; a script says --yes.

            EXAMPLES
              glossctl rerun 17
              glossctl rerun --batch photos
              glossctl rerun --batch photos --yes

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var chosen: JobsOptions
    @OptionGroup var confirmation: ConfirmationOptions

    func validate() throws { try chosen.validateOne() }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let change = JobChange(
            participle: "rerun", otherwise: "only jobs that are done or dead are rerun",
            question: JobChange.Question(
                verb: "This runs again",
                consequence: "Until they are done again, the views of results have none of them."
            ) { $0.done + $0.dead }
        ) { try await administration.rerun($0) }
        try await change.run(
            chosen.selections, on: administration, json: format.json, confirmation: confirmation)
    }
}
