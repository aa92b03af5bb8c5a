import ArgumentParser
import Console
import Storage

/// `glossctl failures`
struct Failures: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists what fails, by host and code: dead jobs, and jobs that wait for another attempt.",
        discussion: """
            The most dead jobs come first. A row names the latest job and what was said of it; glossctl job tells all \
            about it, and glossctl retry --code CODE --host HOST tries the dead ones again.

            EXAMPLES
              glossctl failures
              glossctl failures --batch photos --code 'http_5%'
              glossctl failures --host images.example.org --json

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @Option(help: "Only jobs of this batch.")
    var batch: String?
    @Option(help: "Only this code; % stands for any characters.")
    var code: String?
    @Option(help: "Only images of this host, such as images.example.org.")
    var host: String?
    @Option(help: "The most rows.")
    var limit = 50

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit must be above 0, not \(limit).") }
    }

    func run() async throws {
        let administration = database.administration()
        if let batch { try await administration.batch(named: batch) }
        let rows = try await administration.failures(ofBatch: batch, code: code, host: host, limit: limit)
        if format.json {
            for row in rows { try JSONText.say(row) }
        } else if rows.isEmpty {
            Console.note("Nothing fails.")
        } else {
            Self.table(rows).lines(width: Console.width(), palette: .output).forEach(Console.say)
        }
    }

    /// One row a host and code.
    static func table(_ rows: [FailureRow]) -> Table {
        var table = Table([
            .number("DEAD"), .number("WAITING"), .text("CODE"), .flexible("HOST"), .text("LAST"), .number("JOB"),
            .flexible("REASON"),
        ])
        for row in rows {
            table.add([
                Table.Cell(Formats.count(row.dead), row.dead > 0 ? .red : .plain),
                Table.Cell(Formats.count(row.waiting), row.waiting > 0 ? .yellow : .plain), Table.Cell(row.code),
                Table.Cell(row.host.isEmpty ? "-" : row.host), Table.Cell(Formats.time(row.last_at)),
                Table.Cell(row.job_ids.first.map { "\($0)" }), Table.Cell(row.reason),
            ])
        }
        return table
    }
}
