import ArgumentParser
import Console
import Storage

/// `glossctl wait`
struct Wait: AsyncParsableCommand {
    /// What it exits with beside the usual codes.
    enum Exit {
        /// All jobs have ended, some of them dead, and that counts as a failure.
        static let dead = ExitCode(2)
        /// The time is over, as with timeout(1).
        static let timeout = ExitCode(124)
    }

    static let configuration = CommandConfiguration(
        abstract: "Waits until the last job of a batch has ended, and says what was lost and why.",
        discussion: """
            It hears of the end by the notification gloss_batch_done, and looks itself every --interval seconds. A \
            restart of the database is survived. On a terminal it shows how far the batch is.

            EXAMPLES
              glossctl wait --batch photos
              glossctl wait --batch photos --timeout 2h --fail-on-dead && next-step

            EXIT CODES
              0    all jobs of the batch have ended; some may be dead
              1    there is no such batch, or the request was refused
              2    with --fail-on-dead: all have ended, and some are dead
              64   the command line is wrong
              69   the database cannot be reached at the beginning
              124  the time is over, and jobs are left
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @Option(help: "The batch.")
    var batch: String
    @Option(
        help: ArgumentHelp("The longest time to wait, with a unit: 90s, 30min, 2h, 3d.", valueName: "time"),
        transform: KeepTime.init)
    var timeout: KeepTime?
    @Flag(help: "Dead jobs are a failure: exit with 2.")
    var failOnDead = false
    @Option(help: ArgumentHelp("Between two looks, without a notification.", valueName: "seconds"))
    var interval = 10.0

    func validate() throws {
        guard interval >= 0.1, interval <= 3600 else { throw ValidationError("--interval must be 0.1 to 3600.") }
        if let timeout, timeout.duration == nil {
            throw ValidationError("--timeout takes s, min, h, d and w, since months and years differ in length.")
        }
    }

    func run() async throws {
        let start = ContinuousClock.now
        let end = timeout?.duration.map { start + $0 }
        let administration = database.administration()
        var row = try await administration.batch(named: batch)
        let listener = Listener(database.settings(), channel: "gloss_batch_done") { Console.note("glossctl: \($0)") }
        let bar = ProgressBar(batch.singleLine)
        defer { bar.finish() }
        var problem: String?
        while row.left > 0, end.map({ .now < $0 }) ?? true {
            bar.show(Self.progress(row))
            let pause = Duration.seconds(Console.errorIsTerminal ? min(interval, 2) : interval)
            await listener.wait(timeout: end.map { min(pause, $0 - .now) } ?? pause)
            do {
                row = try await administration.batch(named: batch)
                problem = nil
            } catch let error as StorageError where error.disposition == .retry {
                // The database may come back.
                if problem == nil { Console.note("glossctl: \(error.description); still waiting") }
                problem = error.description
            }
        }
        await listener.close()
        bar.finish()
        try await say(row, administration)
    }

    private func say(_ row: BatchRow, _ administration: Administration) async throws {
        let report = try await BatchReport(row, administration)
        if format.json {
            try JSONText.say(report)
        } else {
            report.lines(width: Console.width(), palette: .output).forEach(Console.say)
        }
        if row.left > 0 {
            let those = row.left == 1 ? "1 job is" : "\(Formats.count(row.left)) jobs are"
            Console.note("glossctl: \(those) left after \(timeout?.interval ?? "")")
            throw Exit.timeout
        }
        if failOnDead && row.dead > 0 { throw Exit.dead }
    }

    /// `█████░░░░ 50%  5,000 of 10,000  12 dead  8.2/s  10m 10s left`
    static func progress(_ row: BatchRow) -> String {
        let fraction = row.total > 0 ? Double(row.done + row.dead) / Double(row.total) : 0
        var parts = [
            "\(Formats.bar(fraction, width: 24)) \(Formats.fixed(fraction * 100, 0))%",
            "\(Formats.count(row.done + row.dead)) of \(Formats.count(row.total))",
        ]
        if row.dead > 0 { parts.append("\(Formats.count(row.dead)) dead") }
        if let rate = row.rate, rate > 0 { parts.append(Formats.rate(perSecond: rate)) }
        if row.paused {
            parts.append("paused")
        } else if let seconds = row.eta_seconds {
            parts.append("\(Formats.duration(seconds: seconds)) left")
        }
        return parts.joined(separator: "  ")
    }
}
