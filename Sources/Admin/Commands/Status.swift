import ArgumentParser
import Console
import Foundation
import Storage

/// `glossctl status`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the queue: its depth, batches, workers, stages, parked hosts, and what fails most.",
        discussion: """
            EXAMPLES
              glossctl status
              glossctl status --watch            as much of it as the terminal has lines for
              glossctl status --batch photos     one batch, and what of it was lost
              glossctl status --json | jq '.depth[] | select(.waiting > 0)'

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Flag(help: "Show it again and again, until interrupted.")
    var watch = false
    @Option(help: ArgumentHelp("Between two looks of --watch.", valueName: "seconds"))
    var interval = 2.0
    @Option(help: "The most batches and errors.")
    var limit = 20
    @Option(help: "Show this batch alone: how far it is, what of it was lost, and why.")
    var batch: String?

    func validate() throws {
        guard batch == nil || !watch else {
            throw ValidationError("--batch and --watch exclude each other: glossctl wait watches a batch.")
        }
        guard interval >= 0.1, interval <= 86_400 else { throw ValidationError("--interval must be 0.1 to 86400.") }
        guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
    }

    func run() async throws {
        let administration = database.administration()
        if let batch {
            let report = try await BatchReport(administration.batch(named: batch), administration)
            if format.json { return try JSONText.say(report) }
            return report.lines(width: Console.width(), palette: .output).forEach(Console.say)
        }
        guard watch else { return try show(await QueueStatus(administration, limit: limit)) }
        while !Task.isCancelled {
            do {
                let status = try await QueueStatus(administration, limit: limit)
                if let size = Console.size(), !format.json {
                    Console.write(Self.screen(status, size, .output), to: STDOUT_FILENO)
                } else {
                    try show(status)
                }
            } catch let error as StorageError where error.disposition == .retry {
                // The database may come back; a watch waits for it.
                Console.note("glossctl: \(error.description)")
            }
            try await Task.sleep(for: .seconds(interval))
        }
    }

    private func show(_ status: QueueStatus) throws {
        if format.json { return try JSONText.say(status) }
        status.lines(width: Console.width(), palette: .output).forEach(Console.say)
    }

    /// What is written to show a status on a whole terminal: over what stands there, so that nothing flickers, and
    /// without wrapping, so that it stays within its rows.
    static func screen(_ status: QueueStatus, _ size: (columns: Int, rows: Int), _ palette: Palette) -> String {
        let lines = status.lines(width: size.columns, height: size.rows - 1, palette: palette)
        return "\u{1B}[?7l\u{1B}[H" + lines.map { "\($0.harmless)\u{1B}[K\n" }.joined() + "\u{1B}[J\u{1B}[?7h"
    }
}

/// The queue at one moment.
struct QueueStatus: Encodable {
    var depth: [DepthRow] = []
    var batches: [BatchRow] = []
    var workers: [WorkerRow] = []
    var stages: [StageRow] = []
    var hosts: [HostRow] = []
    var errors: [ErrorRow] = []

    init() {}

    /// Asks for all of it.
    init(_ administration: Administration, limit: Int) async throws {
        depth = try await administration.depth()
        batches = try await administration.batches(limit: limit)
        workers = try await administration.workers()
        stages = try await administration.stages()
        hosts = try await administration.hosts()
        errors = try await administration.errors(limit: limit)
    }

    /// One table of it.
    private struct Section {
        let title: String
        let table: Table
    }

    /// What has something to say, the most important first.
    private func sections(width: Int?) -> [Section] {
        [
            Section(title: "QUEUE", table: depthTable), Section(title: "PARKED HOSTS", table: hostTable),
            Section(title: "WORKERS", table: workerTable), Section(title: "BATCHES", table: batchTable(width: width)),
            Section(title: "ERRORS of the last 10,000 failed attempts", table: errorTable),
            Section(title: "STAGES of these workers, since they started", table: stageTable),
        ]
        .filter { !$0.table.rows.isEmpty }
    }

    /// What a person reads.
    /// - Parameters:
    ///   - height: the most lines; nil shows all. What does not fit is named.
    func lines(width: Int?, height: Int? = nil, palette: Palette) -> [String] {
        var lines: [String] = []
        if depth.isEmpty { lines.append("No job has been enqueued yet.") }
        if workers.isEmpty { lines.append(palette.paint("No worker is alive: is glossd running?", .yellow)) }
        let sections = sections(width: width)
        let rows = height.map { Self.share($0 - lines.count, among: sections.map(\.table.rows.count)) }
        var hidden: [String] = []
        for (index, section) in sections.enumerated() {
            let (all, shown) = (section.table.rows.count, rows?[index] ?? section.table.rows.count)
            guard shown > 0 else {
                hidden.append("\(section.title.prefix { $0 != " " }.lowercased()) (\(all))")
                continue
            }
            let part = shown < all ? " (\(shown) of \(all))" : ""
            lines += ["", palette.paint(section.title + part, .bold)]
            lines += section.table.first(shown).lines(width: width, palette: palette)
        }
        if !hidden.isEmpty {
            lines.append(palette.paint("Not shown in so few lines: \(hidden.joined(separator: ", ")).", .dim))
        }
        return Array(lines.drop { $0.isEmpty })
    }

    /// How many rows each of some tables gets of so many lines: one each as long as there is room for it and its heading,
    /// then one more each in turn.
    private static func share(_ lines: Int, among counts: [Int]) -> [Int] {
        /// A blank line, the title, the table's heading.
        let heading = 3
        // One line is kept for what is not shown.
        var left = lines - 1
        var rows = counts.map { _ in 0 }
        for index in counts.indices where left > heading {
            rows[index] = 1
            left -= heading + 1
        }
        while let index = counts.indices.filter({ rows[$0] > 0 && rows[$0] < counts[$0] }).min(by: {
            rows[$0] < rows[$1]
        }),
            left > 0
        {
            rows[index] += 1
            left -= 1
        }
        return rows
    }

    private var depthTable: Table {
        var table = Table([
            .text("TASK"), .flexible("MODEL"), .number("WAITING"), .number("RUNNING"), .number("DONE"), .number("DEAD"),
            .number("OLDEST"), .text(""),
        ])
        for row in depth {
            table.add([
                Table.Cell(row.task), Table.Cell(row.model ?? "any"), Table.Cell(Formats.count(row.waiting)),
                Table.Cell(Formats.count(row.running), .cyan), Table.Cell(Formats.count(row.done), .green),
                Table.Cell(Formats.count(row.dead), row.dead > 0 ? .red : .plain),
                Table.Cell(row.oldest_seconds.map(Formats.duration)), Table.Cell(row.paused ? "paused" : "", .yellow),
            ])
        }
        return table
    }

    private func batchTable(width: Int?) -> Table {
        var table = Table([
            .flexible("BATCH"), .text("DONE"), .number("%"), .number("DONE/ALL"), .number("DEAD"), .number("RATE"),
            .number("ETA"), .text(""),
        ])
        for row in batches {
            let fraction = row.total > 0 ? Double(row.done) / Double(row.total) : 0
            table.add([
                Table.Cell(row.batch), Table.Cell(Formats.bar(fraction, width: (width ?? 100) < 90 ? 8 : 20), .green),
                Table.Cell(Formats.fixed(fraction * 100, 1)),
                Table.Cell("\(Formats.count(row.done))/\(Formats.count(row.total))"),
                Table.Cell(Formats.count(row.dead), row.dead > 0 ? .red : .plain),
                Table.Cell(row.rate.map(Formats.rate)),
                Table.Cell(row.left > 0 ? row.eta_seconds.map(Formats.duration) : ""),
                Table.Cell(row.paused ? "paused" : row.left == 0 ? "finished" : "", row.paused ? .yellow : .dim),
            ])
        }
        return table
    }

    private var workerTable: Table {
        var table = Table([
            .number("WORKER"), .flexible("HOST"), .number("PID"), .text("VERSION"), .flexible("MODELS"),
            .number("RUNNING"), .number("SILENT"), .flexible(""),
        ])
        for row in workers {
            table.add([
                Table.Cell("\(row.worker)"), Table.Cell(row.host), Table.Cell("\(row.pid)"), Table.Cell(row.version),
                Table.Cell(row.models.map { $0.count == 64 ? String($0.prefix(12)) : $0 }.joined(separator: " ")),
                Table.Cell(Formats.count(row.running)), Table.Cell(Formats.duration(seconds: row.silent_seconds)),
                Table.Cell(row.holdup.map { "takes no jobs: \($0)" }, .yellow),
            ])
        }
        return table
    }

    /// The mean is of the time of one unit; rows a unit show how full the engine's passes are.
    private var stageTable: Table {
        var table = Table([
            .text("STAGE"), .number("SECONDS"), .number("UNITS"), .number("MS/UNIT"), .number("TOKENS/UNIT"),
        ])
        for row in stages {
            let units = Double(max(row.units, 1))
            table.add([
                Table.Cell(row.stage), Table.Cell(Formats.fixed(row.seconds, 1)), Table.Cell(Formats.count(row.units)),
                Table.Cell(Formats.fixed(1000 * row.seconds / units, 2)),
                Table.Cell(row.rows > 0 ? Formats.fixed(Double(row.rows) / units, 1) : ""),
            ])
        }
        return table
    }

    private var hostTable: Table {
        var table = Table([.flexible("HOST"), .number("FOR"), .flexible("REASON")])
        for row in hosts {
            table.add([
                Table.Cell(row.host), Table.Cell(row.seconds_left.map(Formats.duration) ?? "paused", .yellow),
                Table.Cell(row.reason),
            ])
        }
        return table
    }

    private var errorTable: Table {
        var table = Table([
            .number("COUNT"), .text("TASK"), .text("CODE"), .text("LAST"), .number("JOB"), .flexible("EXAMPLE"),
        ])
        for row in errors {
            table.add([
                Table.Cell(Formats.count(row.count)), Table.Cell(row.task), Table.Cell(row.code, .red),
                Table.Cell(Formats.time(row.last_at)), Table.Cell("\(row.job_id)"), Table.Cell(row.example),
            ])
        }
        return table
    }
}
