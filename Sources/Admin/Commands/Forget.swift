import ArgumentParser
import Storage

/// `glossctl forget`
struct Forget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Deletes jobs that have ended, with their results, and frees their keys.",
        discussion: """
            Jobs that are neither done nor dead stay: cancel them before. It deletes some thousands a transaction.

            EXAMPLES
              glossctl forget 17
              glossctl forget --batch photos

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var chosen: JobsOptions

    func validate() throws {
        try chosen.validateOne()
        guard !chosen.group.all else {
            throw ValidationError("forget does not take --all: name what is to go, or use prune.")
        }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let bar = ProgressBar("jobs")
        let change = JobChange(participle: "forgotten", otherwise: "only jobs that have ended are forgotten") {
            try await administration.forget($0) { bar.show(nil, count: $0) }
        }
        defer { bar.finish() }
        try await change.run(chosen.selections, on: administration, json: format.json)
    }
}
