import ArgumentParser
import Storage

/// `glossctl cancel`
struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ends jobs that are neither done nor dead.",
        discussion: """
            A worker that holds one drops it. A batch, a task or all are cancelled when you agree: on a terminal it says \
            how many jobs they are, and asks; a script says --yes.

            EXAMPLES
              glossctl cancel 17
              glossctl cancel --batch photos
              glossctl cancel --batch photos --yes

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
            participle: "cancelled", otherwise: "only jobs that are neither done nor dead are cancelled",
            question: JobChange.Question(
                verb: "This cancels", consequence: "Workers drop those that they hold.", count: \.left)
        ) { try await administration.cancel($0) }
        try await change.run(
            chosen.selections, on: administration, json: format.json, confirmation: confirmation)
    }
}
