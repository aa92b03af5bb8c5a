import Foundation
import Queue
import Storage
import TestSupport
import Testing

@testable import Admin

@Suite struct ConfirmationTests {
    /// Two captions that are done, one in a batch, and one that waits in that batch.
    private func queue() async throws -> (database: TestDatabase, tool: Tool) {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.enqueue_caption('https://a.example/1.jpg', key => 'one', batch => 'b'),
                   gloss.enqueue_caption('https://a.example/2.jpg', key => 'two')
            """)
        let worker = Worker(database)
        for job in try await worker.claim() { try await worker.complete(job, [Worker.text("a cat")]) }
        try await database.query(
            "select gloss.enqueue_caption('https://a.example/3.jpg', key => 'three', batch => 'b')")
        return (database, Tool(database))
    }

    private func states(_ tool: Tool) async throws -> [String: String] {
        let rows = try await tool("jobs", "--json").json()
        return Dictionary(uniqueKeysWithValues: rows.map { ($0["key"] as? String ?? "", $0["state"] as? String ?? "") })
    }

    private static let destructive: [(arguments: [String], sentence: String)] = [
        (["forget", "1"], "This deletes job 1. Their results go too, and their keys are free."),
        (["forget", "--batch", "b"], "This deletes 1 job of batch \"b\"."),
        (["cancel", "--batch", "b"], "This cancels 1 job of batch \"b\"."),
        (["cancel", "--all"], "This cancels 1 job of the whole queue."),
        (["rerun", "--task", "caption"], "This runs again 2 jobs of task caption."),
        (
            ["prune", "--keep-results", "0 days"],
            "This deletes 2 results with their jobs older than 0 days, 0 attempts"
        ),
    ]

    @Test(arguments: destructive.indices)
    func nothingIsDestroyedUnasked(index: Int) async throws {
        let (database, tool) = try await queue()
        let (arguments, sentence) = Self.destructive[index]
        let line = arguments + ["--database", database.conninfo(as: .admin)]
        let script = try await Tool.run(Tool.path, line)
        #expect(script.status == 1 && script.output == "")
        #expect(script.errors.hasPrefix("glossctl: \(sentence)"), "\(script.errors)")
        #expect(script.errors.hasSuffix("Nothing was changed: without a terminal, say --yes.\n"))
        let dry = try await Tool.run(Tool.path, line + ["--dry-run"])
        #expect(dry.status == 0 && dry.output.hasPrefix(sentence) && dry.output.hasSuffix("Nothing was changed.\n"))
        let refused = try await Terminal().run(line, typing: "n\n")
        #expect(refused.status == 1 && refused.errors.contains("\(sentence)"), "\(refused.errors)")
        #expect(refused.errors.contains("Go on? [y/N]") && refused.errors.contains("Nothing was changed."))
        #expect(try await states(tool) == ["one": "done", "two": "done", "three": "ready"])
        let agreed = try await Terminal().run(line, typing: "y\n")
        #expect(agreed.status == 0, "\(agreed.errors)")
        #expect(try await states(tool) != ["one": "done", "two": "done", "three": "ready"])
    }

    @Test func oneJobIsCancelledWithoutAQuestion() async throws {
        let (_, tool) = try await queue()
        #expect(try await tool("cancel", "3").output == "1 job cancelled.\n")
        #expect(try await tool("rerun", "1").output == "1 job rerun.\n")
        #expect(try await tool("cancel", "--task", "vqa").output == "0 jobs of task vqa cancelled.\n")
    }

    @Test func aDryRunForPrograms() async throws {
        let (_, tool) = try await queue()
        #expect(try await tool("cancel", "--all", "--dry-run", "--json").output == "{\"dry_run\":{\"cancelled\":1}}\n")
        let prune = try await tool("prune", "--keep-results", "0 days", "--dry-run", "--json")
        #expect(prune.output == "{\"dry_run\":{\"attempts\":0,\"dead\":0,\"keys\":0,\"results\":2}}\n")
        #expect(try await tool("prune", "--yes", "--dry-run").status == 64)
    }

    @Test(arguments: [
        ("90 days", "90 days"), ("12h", "12 hours"), ("2W", "2 weeks"), ("1 year 6 months", "1 years 6 months"),
        ("0s", "0 seconds"), ("1y2d", "1 years 2 days"),
    ])
    func times(text: String, interval: String) throws { #expect(try KeepTime(text).interval == interval) }

    @Test(arguments: [
        ["jobs"], ["results", "caption"], ["cancel", "--yes"], ["retry"], ["failures"], ["status"], ["wait"],
        ["rerun", "--yes"], ["forget", "--yes"],
        ["pause"], ["resume"], ["report", "--output", "/dev/null"],
    ])
    func anUnknownBatchIsTheSameEverywhere(arguments: [String]) async throws {
        let (database, _) = try await queue()
        let line = arguments + ["--batch", "no such", "--database", database.conninfo(as: .admin)]
        let run = try await Tool.run(Tool.path, line)
        #expect(run.status == 1 && run.output == "")
        #expect(run.errors == "glossctl: there is no batch \"no such\"\n")
    }

    @Test(arguments: [["jobs"], ["results", "caption"]])
    func anUnknownKeyIsTheSameEverywhere(arguments: [String]) async throws {
        let (database, _) = try await queue()
        let line = arguments + ["--key", "no\u{1B}[2Jsuch", "--database", database.conninfo(as: .admin)]
        let run = try await Tool.run(Tool.path, line)
        #expect(run.status == 1 && run.output == "")
        #expect(run.errors == "glossctl: there is no job with the key \"no [2Jsuch\"\n")
    }

    @Test func theResultOfOneKey() async throws {
        let (_, tool) = try await queue()
        let rows = try await tool("results", "caption", "--key", "two").json()
        #expect(rows.map { $0["key"] as? String } == ["two"])
        let csv = try await tool("results", "caption", "--key", "one", "--format", "csv").output
        #expect(csv.split(separator: "\r\n").count == 2)
        let none = try await tool("results", "caption", "--key", "three")
        #expect(none.status == 0 && none.output == "", "a job without a result yet")
    }
}

/// A terminal of which the test is the person.
final class Terminal: Sendable {
    private let person: Int32
    private let name: String

    init() throws {
        person = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var (lock, number) = (Int32(0), Int32(0))
        // TIOCSPTLCK and TIOCGPTN, which Swift does not import.
        try #require(ioctl(person, 0x4004_5431, &lock) == 0 && ioctl(person, 0x8004_5430, &number) == 0)
        name = "/dev/pts/\(number)"
    }

    deinit { close(person) }

    /// Runs glossctl with its input and errors on the terminal, and types.
    func run(_ arguments: [String], typing text: String) async throws -> Tool.Run {
        let folder = try TemporaryFolder()
        let typed = Array(text.utf8)
        #expect(write(person, typed, typed.count) == typed.count)
        let variables = ProcessInfo.processInfo.environment.filter {
            !$0.key.hasPrefix("GLOSS_") && !$0.key.hasPrefix("PG")
        }
        let status = try await holdingItOpen {
            try await ChildProcess(
                Tool.path, arguments, environment: variables, input: name, output: folder.file("out"), error: name
            ).wait()
        }
        // What was written comes in pieces, the last one perhaps after the end of who wrote it, and then an error.
        var (errors, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
        while case let count = read(person, &buffer, buffer.count), count > 0 { errors += buffer.prefix(count) }
        return Tool.Run(
            status: status, output: try folder.read("out"), errors: String(decoding: errors, as: UTF8.self))
    }

    /// The terminal forgets what was typed when nobody has it open.
    private func holdingItOpen(_ work: () async throws -> Int32) async throws -> Int32 {
        let own = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)
        defer { close(own) }
        return try await work()
    }
}
