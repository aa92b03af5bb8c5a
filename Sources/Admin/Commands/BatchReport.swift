import Console
import Storage

/// How far a batch is, what of it was lost, why, and what to do.
struct BatchReport: Encodable {
    /// Rows of hosts that are shown.
    private static let mostHosts = 20

    let batch: BatchRow
    /// Its dead jobs by code.
    let losses: [Loss]
    /// The same by host and code, the most first.
    let failures: [FailureRow]

    /// Dead jobs of one code.
    struct Loss: Encodable {
        let code: String
        let dead: Int
        let hosts: Int
        let advice: String?
        /// The command that tries them again.
        let retry: String
    }

    /// Asks for all of it.
    init(_ batch: BatchRow, _ administration: Administration) async throws {
        self.batch = batch
        guard batch.dead > 0 else {
            (losses, failures) = ([], [])
            return
        }
        losses = try await administration.losses(ofBatch: batch.batch).map { row in
            Loss(
                code: row.code, dead: row.dead, hosts: row.hosts, advice: row.advice,
                retry: "glossctl retry --batch \(Self.quoted(batch.batch)) --code \(Self.quoted(row.code))")
        }
        failures = try await administration.failures(ofBatch: batch.batch, limit: Self.mostHosts)
    }

    /// What a person reads.
    func lines(width: Int?, palette: Palette) -> [String] {
        var lines = [summary]
        guard !losses.isEmpty else { return lines }
        lines += ["", palette.paint("LOST", .bold)]
        lines += Failures.table(failures.filter { $0.dead > 0 }).lines(width: width, palette: palette)
        let shown = failures.reduce(0) { $0 + $1.dead }
        if shown < batch.dead {
            lines.append(
                "\(Formats.count(batch.dead - shown)) more: glossctl failures --batch \(Self.quoted(batch.batch)) --limit 1000"
            )
        }
        lines += ["", palette.paint("WHAT TO DO", .bold)]
        var table = Table([.number("DEAD"), .text("CODE"), .number("HOSTS"), .flexible("ADVICE")])
        for loss in losses {
            table.add([
                Table.Cell(Formats.count(loss.dead)), Table.Cell(loss.code), Table.Cell(Formats.count(loss.hosts)),
                Table.Cell(loss.advice),
            ])
        }
        lines += table.lines(width: width, palette: palette)
        lines += ["", "Once the reason is gone, to try again:"] + losses.map { "  \($0.retry)" }
        return lines
    }

    /// `batch "photos": 10 jobs, 8 done, 2 dead.`
    private var summary: String {
        var parts = [
            "\(Formats.count(batch.total)) job\(batch.total == 1 ? "" : "s")", "\(Formats.count(batch.done)) done",
        ]
        if batch.dead > 0 { parts.append("\(Formats.count(batch.dead)) dead") }
        if batch.left > 0 { parts.append("\(Formats.count(batch.left)) left") }
        return "batch \"\(batch.batch.singleLine)\": \(parts.joined(separator: ", "))."
    }

    /// As a shell takes it for one word.
    static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
        return isPlain ? text : "'" + text.singleLine.replacing("'", with: "'\\''") + "'"
    }
}
