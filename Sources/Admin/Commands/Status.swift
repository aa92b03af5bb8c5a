import ArgumentParser
import Foundation
import Storage

/// `glossctl status`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the queue: its depth, batches, workers, stages, parked hosts, and what fails most.",
        discussion: """
            EXAMPLES
              glossctl status
              glossctl status --watch
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

    func validate() throws {
        guard interval >= 0.1, interval <= 86_400 else { throw ValidationError("--interval must be 0.1 to 86400.") }
        guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
    }

    func run() async throws {
        let administration = database.administration()
        guard watch else { return try show(await QueueStatus(administration, limit: limit)) }
        while !Task.isCancelled {
            do {
                let status = try await QueueStatus(administration, limit: limit)
                if Console.outputIsTerminal && !format.json {
                    Console.write("\u{1B}[H\u{1B}[2J\u{1B}[3J", to: STDOUT_FILENO)
                }
                try show(status)
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

    /// What a person reads: sections that have something to say.
    func lines(width: Int?, palette: Palette) -> [String] {
        var lines = section("QUEUE", depthTable, width, palette)
        if depth.isEmpty { lines = ["No job has been enqueued yet."] }
        lines += section("BATCHES", batchTable(width: width), width, palette)
        lines += section("WORKERS", workerTable, width, palette)
        if workers.isEmpty { lines += ["", palette.paint("No worker is alive: is glossd running?", .yellow)] }
        lines += section("STAGES of these workers, since they started", stageTable, width, palette)
        lines += section("PARKED HOSTS", hostTable, width, palette)
        lines += section("ERRORS of the last 10,000 failed attempts", errorTable, width, palette)
        return Array(lines.drop { $0.isEmpty })
    }

    private func section(_ title: String, _ table: Table, _ width: Int?, _ palette: Palette) -> [String] {
        table.rows.isEmpty ? [] : ["", palette.paint(title, .bold)] + table.lines(width: width, palette: palette)
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
