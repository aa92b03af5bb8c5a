import ArgumentParser
import Console
import Foundation
import Storage
import Submissions
import Synchronization

/// `glossctl results`
struct Results: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes results as JSONL or CSV, row by row, however many there are.",
        discussion: """
            A view has a row a result of its task; detection has a row a box, multiview_response a row a view, question \
            and sample. Of all tasks, found has a row a thing that was found, and result a row a result, with all that \
            is needed to run it again. In CSV, arrays are JSON arrays and NULL is an empty field. Rows come in no order.

            EXAMPLES
              glossctl results caption --batch photos > captions.jsonl
              glossctl results detection --format csv --output boxes.csv
              glossctl results caption --key row-17
              glossctl results answer --since '2026-03-01 12:00+01'

            \(ExitStatus.help)
            """)

    /// How rows are written.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case jsonl, csv
    }

    @OptionGroup var database: DatabaseOptions

    @Argument(help: "The view of results.")
    var view: ResultView
    @Option(help: "Only results of this batch.")
    var batch: String?
    @Option(help: "Only results of the job with this key.")
    var key: String?
    @Option(help: "Only results finished at or after this time.")
    var since: String?
    @Option(help: "The most rows.")
    var limit: Int?
    @Option(help: "jsonl or csv.")
    var format = Format.jsonl
    @Flag(help: "The same as --format jsonl.")
    var json = false
    @Option(help: "The file to write; standard output by default.", completion: .file())
    var output: String?

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
        if json && format == .csv { throw ValidationError("--json and --format csv exclude each other.") }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        if let batch { try await administration.batch(named: batch) }
        if let key { try await administration.requireJob(withKey: key) }
        let file = try OutputFile(output)
        // A bar in the middle of the rows would be in the way.
        let bar = ProgressBar(
            "rows", isEnabled: Console.errorIsTerminal && (output != nil || !Console.outputIsTerminal))
        let count = Mutex(0)
        let counted: @Sendable () -> Void = {
            bar.show(
                nil,
                count: count.withLock {
                    $0 += 1
                    return $0
                })
        }
        switch format {
        case .jsonl:
            try await administration.exportJSON(view, batch: batch, key: key, since: since, limit: limit) { row in
                try file.write(row + "\n")
                counted()
            }
        case .csv:
            try await administration.exportText(view, batch: batch, key: key, since: since, limit: limit) { columns in
                try file.write(CSV.record(columns))
            } onRow: { row in
                try file.write(CSV.record(row))
                counted()
            }
        }
        try file.close()
        bar.finish()
        if output != nil { Console.note("\(Formats.count(count.withLock { $0 })) rows written.") }
    }
}

extension ResultView: ExpressibleByArgument {}
