import ArgumentParser
import Storage

/// `glossctl retry`
struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts dead jobs back with fresh attempts.",
        discussion: """
            EXAMPLES
              glossctl retry 17 18
              glossctl retry --batch photos

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var chosen: JobsOptions

    func validate() throws { try chosen.validateOne() }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let change = JobChange(
            participle: "retried", otherwise: "only dead jobs are retried"
        ) { try await administration.retry($0) }
        try await change.run(chosen.selections, on: administration, json: format.json)
    }
}
