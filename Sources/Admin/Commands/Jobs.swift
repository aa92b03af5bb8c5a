import Annotation
import ArgumentParser
import Console
import Queue
import Storage

/// `glossctl jobs`
struct Jobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists jobs, newest first.",
        discussion: """
            EXAMPLES
              glossctl jobs --state dead --batch photos
              glossctl jobs --key row-17 --json
              glossctl jobs --limit 100 --before 5000

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Option(help: "ready, scheduled, paused, leased, done, dead or pruned.")
    var state: String?
    @Option(help: "Only jobs of this batch.")
    var batch: String?
    @Option(help: "Only jobs of this task.")
    var task: TaskName?
    @Option(help: "Only jobs with this key.")
    var key: String?
    @Option(help: "The most jobs.")
    var limit = 50
    @Option(help: ArgumentHelp("Only jobs with a lower number: for the next page.", valueName: "job"))
    var before: Int64?

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit must be above 0, not \(limit).") }
    }

    func run() async throws {
        let filter = JobFilter(state: state, batch: batch, task: task, key: key)
        let administration = database.administration()
        if let batch { try await administration.batch(named: batch) }
        if let key { try await administration.requireJob(withKey: key) }
        let before = before.map(JobID.init(rawValue:))
        let rows = try await administration.jobs(filter, limit: limit, before: before)
        if format.json {
            for row in rows { try JSONText.say(row) }
        } else if rows.isEmpty {
            Console.note("There is no such job.")
        } else {
            Self.table(rows).lines(width: Console.width(), palette: .output).forEach(Console.say)
        }
        if rows.count == limit, let last = rows.last {
            let total = try await Self.total(filter, before, administration)
            if total.count > rows.count {
                let least = total.isExact ? "" : "more than "
                Console.note(
                    "\(Formats.count(rows.count)) of \(least)\(Formats.count(total.count)) jobs. "
                        + "The next ones: --before \(last.job_id)")
            }
        }
    }

    /// How many jobs there are in all. Groups are counted already; others are counted here, up to a limit.
    private static func total(
        _ filter: JobFilter, _ before: JobID?, _ administration: Administration
    ) async throws -> (count: Int, isExact: Bool) {
        if filter.state == nil, filter.key == nil, before == nil, filter.batch == nil || filter.task == nil {
            let selection = filter.batch.map(JobSelection.batch) ?? filter.task.map(JobSelection.task) ?? .everything
            let counts = try await GroupCounts(selection, administration)
            return (counts.left + counts.done + counts.dead, true)
        }
        let count = try await administration.jobCount(filter, before: before, most: mostCounted)
        return (count, count < mostCounted)
    }

    /// Counting goes so far, which takes about a second.
    private static let mostCounted = 20_000

    /// One row a job.
    static func table(_ jobs: [JobRow]) -> Table {
        var table = Table([
            .number("JOB"), .text("TASK"), .text("STATE"), .text("TRIES"), .text("AT"), .flexible("KEY"),
            .flexible("BATCH"), .flexible("IMAGE OR REASON"),
        ])
        for job in jobs {
            table.add([
                Table.Cell("\(job.job_id)"), Table.Cell(job.task), Table.Cell(job.state, style(of: job.state)),
                Table.Cell("\(job.attempts)/\(job.max_attempts)"), Table.Cell(Formats.time(job.at ?? job.created_at)),
                Table.Cell(job.key), Table.Cell(job.batch),
                job.state == "done" ? Table.Cell(job.image_url) : Table.Cell(job.reason ?? job.image_url),
            ])
        }
        return table
    }

    /// How a state looks.
    static func style(of state: String) -> Palette.Style {
        switch state {
        case "done": .green
        case "dead": .red
        case "leased": .cyan
        case "paused", "scheduled": .yellow
        default: .plain
        }
    }
}

extension Administration {
    /// - Throws: `CommandError`, the same from every command, if no job has the key.
    func requireJob(withKey key: String) async throws {
        guard try await !jobs(JobFilter(key: key), limit: 1).isEmpty else {
            throw CommandError(.failed, "there is no job with the key \"\(key)\"")
        }
    }
}
