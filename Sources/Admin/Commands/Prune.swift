import ArgumentParser
import Console
import Storage

/// `glossctl prune`
struct Prune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Deletes what is older than it has to be kept.",
        discussion: """
            A time has a unit: "90 days", 12h, 2w, "6 months". Keys stay unless --keep-keys is given: a job that is enqueued \
            again under the key of a deleted one is still a duplicate, or a conflict if it asks something else. It deletes in small transactions \
            and may be interrupted and run again at any time.

            On a terminal it says what it would delete, and asks. A script says --yes.

            EXAMPLES
              glossctl prune --dry-run
              glossctl prune --yes
              glossctl prune --keep-results '90 days' --keep-dead 2w

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var confirmation: ConfirmationOptions

    @Option(
        help: ArgumentHelp(
            "The history of attempts. Default: 30 days.", valueName: "time"),
        transform: KeepTime.init)
    var keepHistory: KeepTime?
    @Option(
        help: ArgumentHelp("Results, with their jobs. Default: for ever.", valueName: "time"),
        transform: KeepTime.init)
    var keepResults: KeepTime?
    @Option(help: ArgumentHelp("Dead jobs. Default: for ever.", valueName: "time"), transform: KeepTime.init)
    var keepDead: KeepTime?
    @Option(
        help: ArgumentHelp(
            "Keys of deleted jobs, by the age of the job. Default: for ever.", valueName: "time"),
        transform: KeepTime.init)
    var keepKeys: KeepTime?
    @Option(help: ArgumentHelp("The most rows of a kind in one transaction.", valueName: "rows"))
    var chunk = 10_000

    private static let usualHistory = "30 days"

    func validate() throws {
        guard (1...1_000_000).contains(chunk) else { throw ValidationError("--chunk must be 1 to 1000000.") }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let retention = Retention(
            history: keepHistory?.interval ?? Self.usualHistory, results: keepResults?.interval,
            dead: keepDead?.interval, keys: keepKeys?.interval)
        if !confirmation.yes {
            let plan = Self.plan(try await administration.wouldPrune(retention), retention)
            guard try confirmation.agree(to: plan, json: format.json) else { return }
        }
        let bar = ProgressBar("rows")
        defer { bar.finish() }
        let pruned = try await administration.prune(retention, most: chunk) {
            bar.show(nil, count: $0.attempts + $0.results + $0.dead + $0.keys)
        }
        if format.json { return try JSONText.say(pruned) }
        bar.finish()
        Console.say(
            "Deleted: \(Formats.count(pruned.results)) results, \(Formats.count(pruned.dead)) dead jobs, "
                + "\(Formats.count(pruned.attempts)) attempts, \(Formats.count(pruned.keys)) keys.")
    }

    private static func plan(_ counts: Pruned, _ retention: Retention) -> Plan {
        func words(_ count: Int, _ what: String, _ time: String?) -> String? {
            guard let time else { return nil }
            let number = count < Administration.mostCounted ? "" : "at least "
            return "\(number)\(Formats.count(count)) \(what) older than \(time)"
        }
        let parts = [
            words(counts.results, "results with their jobs", retention.results),
            words(counts.dead, "dead jobs", retention.dead),
            words(counts.attempts, "attempts", retention.history),
            words(counts.keys, "keys of deleted jobs", retention.keys),
        ]
        return Plan(
            sentence: "This deletes \(parts.compactMap(\.self).joined(separator: ", ")).",
            counts: [
                "results": counts.results, "dead": counts.dead, "attempts": counts.attempts, "keys": counts.keys,
            ])
    }
}
