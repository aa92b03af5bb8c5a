import ArgumentParser
import Console
import Queue
import Storage

/// `glossctl job`
struct Job: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says all about one job: what happened to it, and why it is where it is.",
        discussion: """
            EXAMPLES
              glossctl job 17
              glossctl job 17 --json | jq .explanation

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Argument(help: "The job's number; find it with: glossctl jobs --key KEY")
    var id: Int64

    func run() async throws {
        let administration = database.administration()
        guard let detail = try await administration.job(JobID(rawValue: id)) else {
            throw CommandError(.failed, "there is no job \(id)")
        }
        let result = detail.job.state == "done" ? try await administration.result(of: JobID(rawValue: id)) : nil
        if format.json {
            Console.say(try Self.json(detail, result: result))
        } else {
            Self.lines(detail, result: result, .output).forEach(Console.say)
        }
    }

    /// One object: the columns of `gloss.job_state`, and all images, spec, explanation, history and result.
    static func json(_ detail: JobDetail, result: String?) throws -> String {
        let fields = [
            ("image_urls", try JSONText.encode(detail.imageURLs)), ("spec", detail.specJSON),
            ("explanation", try JSONText.encode(detail.explanation)),
            ("history", try JSONText.encode(detail.attempts)), ("result", result ?? "null"),
        ]
        let row = try JSONText.encode(detail.job)
        return row.dropLast() + fields.map { ",\"\($0)\":\($1)" }.joined() + "}"
    }

    private static func lines(_ detail: JobDetail, result: String?, _ palette: Palette) -> [String] {
        var lines = detail.explanation.map(\.singleLine)
        if let first = lines.first { lines[0] = palette.paint(first, .bold) }
        lines.append("")
        let (job, images) = (detail.job, detail.imageURLs)
        var facts = [("enqueued", Formats.time(job.created_at)), ("priority", "\(job.priority)")]
        facts.append(("attempts", "\(job.attempts) failed of \(job.max_attempts) allowed"))
        facts += images.enumerated().map { (images.count == 1 ? "image" : "image \($0 + 1)", $1) }
        facts.append(("spec", detail.specJSON))
        if let result { facts.append(("result", result)) }
        for (name, value) in facts {
            let padding = String(repeating: " ", count: max(1, 10 - name.count))
            lines.append("\(palette.paint(name, .dim))\(padding)\(value.singleLine)")
        }
        return lines
    }
}
