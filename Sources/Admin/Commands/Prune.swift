import ArgumentParser
import Storage

/// `glossctl prune`
struct Prune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Deletes what is older than it has to be kept.",
        discussion: """
            Times are as PostgreSQL reads them: "90 days", 12h, 2w. Keys stay: a job that is enqueued again under the key of a \
            deleted one is still a duplicate, or a conflict if it asks something else. It deletes in small transactions \
            and may be interrupted and run again at any time.

            EXAMPLES
              glossctl prune
              glossctl prune --keep-results '90 days' --keep-dead 2w

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Option(help: ArgumentHelp("The history of attempts of jobs that have ended.", valueName: "time"))
    var keepHistory = "30 days"
    @Option(help: ArgumentHelp("Results, with their jobs. Default: for ever.", valueName: "time"))
    var keepResults: String?
    @Option(help: ArgumentHelp("Dead jobs. Default: for ever.", valueName: "time"))
    var keepDead: String?
    @Option(help: ArgumentHelp("The most rows of a kind in one transaction.", valueName: "rows"))
    var chunk = 10_000

    func validate() throws {
        guard (1...1_000_000).contains(chunk) else { throw ValidationError("--chunk must be 1 to 1000000.") }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let bar = ProgressBar("rows")
        defer { bar.finish() }
        let retention = Retention(history: keepHistory, results: keepResults, dead: keepDead)
        let pruned = try await administration.prune(retention, most: chunk) {
            bar.show(nil, count: $0.attempts + $0.results + $0.dead)
        }
        if format.json { return try JSONText.say(pruned) }
        bar.finish()
        Console.say(
            "Deleted: \(Formats.count(pruned.results)) results, \(Formats.count(pruned.dead)) dead jobs, "
                + "\(Formats.count(pruned.attempts)) attempts.")
    }
}
