import ArgumentParser
import Storage

/// `glossctl cancel`
struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ends jobs that are neither done nor dead.",
        discussion: """
            A worker that holds one drops it.

            EXAMPLES
              glossctl cancel 17
              glossctl cancel --batch photos

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var chosen: JobsOptions

    func validate() throws { try chosen.validateOne() }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let change = JobChange(
            participle: "cancelled", otherwise: "only jobs that are neither done nor dead are cancelled"
        ) { try await administration.cancel($0) }
        try await change.run(chosen.selections, on: administration, json: format.json)
    }
}
