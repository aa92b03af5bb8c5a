import ArgumentParser
import Foundation
import Storage

/// Measures the queue. README.md says how.
@main
struct BenchQueue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-queue",
        abstract: "The queue alone: enqueue, claim and record, beside the design that most queues have.",
        discussion: """
            On a private PostgreSQL that it starts, with durable commits, and removes. The other design, plain, is one table \
            with a status column, a partial index and FOR UPDATE SKIP LOCKED. Each claimer claims and records --batch jobs \
            at a time; a claim's time is that of one such call. `pinned` is the same at a steady rate, while an open \
            transaction keeps deleted rows from being cleaned up; `steady` is that rate just before.

            EXAMPLES
              Benchmarks/queue/run
              Benchmarks/queue/run --waiting 0 1000000 10000000 --pinned 600 --json
            """)

    @Flag(help: "Answer in JSON, one object a line.")
    var json = false
    @Option(parsing: .upToNextOption, help: "Jobs that wait while others are claimed, ascending.")
    var waiting = [0, 1_000_000]
    @Option(parsing: .upToNextOption, help: "Claimers at a time.")
    var claimers = [1, 4, 16]
    @Option(help: "Jobs of a claim.")
    var batch = 32
    @Option(help: "Jobs that are enqueued for each line; one by one, 2000 at most.")
    var rows = 200_000
    @Option(help: "Jobs that are claimed and recorded for each line.")
    var jobs = 40_000
    @Option(help: "Seconds for which the vacuum horizon is pinned; 0 leaves this out.")
    var pinned = 20
    @Option(help: "Jobs a second while it is pinned.")
    var rate = 2000
    @Option(help: "gloss or plain. Default: both.")
    var design: BenchQueueDesign?
    @Option(
        help: ArgumentHelp(
            "An empty database to measure in, instead of a private server. What is made there is dropped at the end.",
            valueName: "conninfo"))
    var emptyDatabase: String?
    @Option(help: ArgumentHelp("The migrations to measure.", valueName: "dir"))
    var directory = "migrations"
    @Option(help: "Whether results name one image (one), or each its own (each).")
    var images = BenchQueueImages.one
    @Flag(help: "Say of each job, before it is recorded, that the engine begins it, as daemons do.")
    var begin = false

    func validate() throws {
        for (name, value, range) in [
            ("batch", batch, 1...1000), ("rows", rows, 1...10_000_000), ("jobs", jobs, 1...10_000_000),
            ("pinned", pinned, 0...86_400),
            ("rate", rate, 1...100_000),
        ] where !range.contains(value) {
            throw ValidationError("--\(name) must be \(range.lowerBound) to \(range.upperBound), not \(value).")
        }
        guard waiting.allSatisfy({ 0...100_000_000 ~= $0 }), waiting == waiting.sorted(), !waiting.isEmpty else {
            throw ValidationError("--waiting takes ascending numbers from 0 to 100000000.")
        }
        guard claimers.allSatisfy({ 1...32 ~= $0 }), !claimers.isEmpty else {
            throw ValidationError("--claimers takes numbers from 1 to 32.")
        }
    }

    static func main() async {
        do {
            let command = try parse()
            try await command.run()
        } catch {
            guard let failure = CommandError(error) else { exit(withError: error) }
            Console.note("bench-queue: \(failure.message)")
            Foundation.exit(failure.status.rawValue)
        }
    }

    func run() async throws {
        if let emptyDatabase {
            let settings = ConnectionSettings(
                conninfo: emptyDatabase, applicationName: "bench-queue", statementTimeout: nil)
            return try await measure(settings)
        }
        let server = try await BenchQueueServer.start()
        do { try await measure(server.settings) } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private func measure(_ settings: ConnectionSettings) async throws {
        let session = Session(settings)
        let isTaken = try await session.query(
            "select to_regnamespace('gloss') is not null or to_regnamespace('bench_plain') is not null",
            context: "bench")
        guard isTaken.scalar == "f" else {
            throw CommandError(.failed, "the database is not empty: it has the schema gloss, or bench_plain")
        }
        _ = try await Migrator(settings, directory: directory).apply()
        try await session.script(BenchQueueDesign.plainSchema, context: "bench")
        try await say(serverSettings(session))
        var rows: [BenchQueueRow] = []
        for design in design.map({ [$0] }) ?? BenchQueueDesign.allCases {
            rows += try await measure(design, settings, session)
        }
        if !json { Self.say(rows) }
        try await session.script("drop schema bench_plain cascade; drop schema gloss cascade", context: "bench")
        await session.close()
    }

    private func measure(
        _ design: BenchQueueDesign, _ settings: ConnectionSettings, _ session: Session
    ) async throws -> [BenchQueueRow] {
        let load = BenchQueueLoad(design: design, images: images, begins: begin, settings: settings, batch: batch)
        let probe = BenchQueueProbe(session: session, design: design)
        var rows = try await enqueue(load, probe)
        for (index, count) in waiting.enumerated() {
            try await load.insert(count - (index == 0 ? 0 : waiting[index - 1]))
            try await session.script("analyze", context: "bench")
            for claimers in claimers {
                try await load.insert(jobs)
                rows.append(
                    try await probe.row("claim", waiting: count, sessions: claimers) {
                        let done = try await load.claim(jobs, claimers: claimers)
                        return (done.jobCount, nil, done)
                    })
                try note(rows.last)
            }
        }
        return try await rows + pin(load, probe)
    }

    private func enqueue(_ load: BenchQueueLoad, _ probe: BenchQueueProbe) async throws -> [BenchQueueRow] {
        var lines: [BenchQueueRow] = []
        for loaders in [1, 2] {
            lines.append(
                try await probe.row("INSERT … SELECT", waiting: 0, sessions: loaders) {
                    try await load.insert(rows, loaders: loaders)
                    return (rows, nil, nil)
                })
            try note(lines.last)
        }
        lines.append(
            try await probe.row("COPY", waiting: 0, sessions: 1) { (rows, try await load.copy(rows), nil) })
        try note(lines.last)
        lines.append(
            try await probe.row("one by one", waiting: 0, sessions: 1) {
                try await load.call(min(rows, 2000))
                return (min(rows, 2000), nil, nil)
            })
        try note(lines.last)
        try await probe.session.script(load.design.empty, context: "bench")
        return lines
    }

    private func pin(_ load: BenchQueueLoad, _ probe: BenchQueueProbe) async throws -> [BenchQueueRow] {
        guard pinned > 0 else { return [] }
        var rows: [BenchQueueRow] = []
        let short = Duration.seconds(min(pinned, 30))
        let pin = Session(load.settings)
        for (part, time) in [("steady", short), ("pinned", .seconds(pinned)), ("pinned, end", short)] {
            if part == "pinned" {
                // A snapshot that is kept: nothing that is deleted from now on may be cleaned up.
                try await pin.script(
                    "begin isolation level repeatable read; select count(*) from pg_class", context: "bench")
            }
            rows.append(
                try await probe.row(part, waiting: waiting.last ?? 0, sessions: 4) {
                    let done = try await load.claim(rate: rate, for: time, claimers: 4)
                    return (done.jobCount, nil, done)
                })
            try note(rows.last)
        }
        try await pin.script("rollback", context: "bench")
        await pin.close()
        return rows
    }

    // MARK: Answers

    private struct Settings: Encodable {
        let server_version, fsync, synchronous_commit, full_page_writes, wal_compression, shared_buffers: String
        let max_wal_size, checkpoint_timeout: String
        let processors: Int
    }

    private func serverSettings(_ session: Session) async throws -> Settings {
        func show(_ name: String) async throws -> String {
            try await session.query("show \(name)", context: "bench").scalar ?? ""
        }
        return Settings(
            server_version: try await show("server_version"), fsync: try await show("fsync"),
            synchronous_commit: try await show("synchronous_commit"),
            full_page_writes: try await show("full_page_writes"), wal_compression: try await show("wal_compression"),
            shared_buffers: try await show("shared_buffers"), max_wal_size: try await show("max_wal_size"),
            checkpoint_timeout: try await show("checkpoint_timeout"),
            processors: ProcessInfo.processInfo.activeProcessorCount)
    }

    private func say(_ settings: Settings) throws {
        if json { return try JSONText.say(settings) }
        Console.say(
            """
            PostgreSQL \(settings.server_version), \(settings.processors) processors, fsync \(settings.fsync), \
            synchronous_commit \(settings.synchronous_commit), full_page_writes \(settings.full_page_writes), \
            wal_compression \(settings.wal_compression), shared_buffers \(settings.shared_buffers), \
            max_wal_size \(settings.max_wal_size), checkpoint_timeout \(settings.checkpoint_timeout)
            """)
    }

    /// A line as soon as it is there: for programs the answer, for a person a sign of life.
    private func note(_ row: BenchQueueRow?) throws {
        guard let row else { return }
        if json { return try JSONText.say(row) }
        Console.note("\(row.design.rawValue) \(row.part): \(Formats.count(Int(row.jobsPerSecond))) jobs/s")
    }

    private static func say(_ rows: [BenchQueueRow]) {
        var table = Table(BenchQueueRow.columns)
        rows.forEach { table.add($0.cells) }
        table.lines(width: nil, palette: .output).forEach(Console.say)
    }
}

extension BenchQueueDesign: ExpressibleByArgument {}
extension BenchQueueImages: ExpressibleByArgument {}
