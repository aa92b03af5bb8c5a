import Annotation
import ArgumentParser
import Console
import Foundation
import Queue
import Storage
import Submissions

/// `glossctl enqueue from`
struct EnqueueFrom: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "from",
        abstract: "Enqueue the jobs of a CSV or JSONL file.",
        discussion: """
            The columns or fields are those of gloss.inbox: task, image_urls, prompt, texts, key, batch, priority, \
            run_at, max_attempts, model, language, style, score, background, max_tokens, samples, beams, temperature, \
            top_k, top_p, seed, pick, continue_from, max_repeats, token_scores, frames, options, follow_ups, ignore, \
            draw_box; also image_url for one image, and run_in, seconds from now. What is left out has its default. In CSV the \
            first line names the columns, and an empty field is left out. image_urls are separated by spaces; texts, \
            options, follow_ups and ignore are one text each, draw_box is y1,x1,y2,x2; all of them may be a JSON array.

            Good lines are enqueued even if others are bad: each bad line is named, and the exit code is 65. With \
            keys, it is safe to run the same file again.

            EXAMPLES
              glossctl enqueue from jobs.csv --batch photos
              glossctl enqueue from jobs.jsonl --json
              psql -c "copy (select url as image_url, id as key from photo) to stdout \\
                csv header" | glossctl enqueue from - --format csv --task caption

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var output: FormatOptions

    @Argument(help: "The file; - is standard input.", completion: .file(extensions: ["csv", "jsonl", "ndjson"]))
    var file: String
    @Option(name: .long, help: "csv or jsonl. Default: by the file's name.")
    var format: SubmissionFormat?
    @Option(help: "The task of lines that name none.")
    var task: TaskName?
    @Option(help: "The batch of lines that name none.")
    var batch: String?
    @Option(help: "The priority of lines that name none.")
    var priority: Int?
    @Option(help: "The model of lines that name none.")
    var model: String?

    func run() async throws {
        guard let format = format ?? SubmissionFormat(path: file) else {
            throw ValidationError(
                "Say what \(file == "-" ? "standard input" : file) is: --format csv or --format jsonl.")
        }
        var reader = SubmissionReader(try ByteReader(path: file), format)
        let bar = ProgressBar("enqueue")
        let size = Self.size(of: file)
        var bulk = bulk(hiding: bar)
        defer { bar.finish() }
        do {
            while let line = try Self.next(&reader) {
                switch line {
                case .success(let submission): try await bulk.add(submission)
                case .failure(let bad): bulk.reject(bad)
                }
                bar.show(size.map { Double(reader.position) / Double($0) }, count: bulk.report.lineCount)
            }
            try await bulk.flush()
        } catch {
            // What the database has is in it, whatever happened to the file.
            try? await bulk.settle()
            bar.finish()
            Console.note("Stopped early: \(Self.sentence(bulk.report))")
            throw error
        }
        bar.finish()
        try conclude(bulk.report)
    }

    private static func next(_ reader: inout SubmissionReader) throws -> Result<Submission, BadLine>? {
        do {
            return try reader.next().map { .success($0) }
        } catch let bad as BadLine {
            return .failure(bad)
        }
    }

    private func bulk(hiding bar: ProgressBar) -> BulkEnqueue {
        struct Defaults: Encodable {
            var task: TaskName?
            var batch: String?
            var priority: Int?
            var model: String?
        }
        let administration = database.administration(statementTimeout: .seconds(300))
        let defaults = try? JSONText.encode(Defaults(task: task, batch: batch, priority: priority, model: model))
        return BulkEnqueue { submissions in
            try await administration.enqueue(submissions: submissions.map(\.json), defaults: defaults ?? "{}")
        } findProblems: { submissions in
            try await administration.problems(ofSubmissions: submissions.map(\.json), defaults: defaults ?? "{}")
        } onProblem: { bad in
            bar.finish()
            Console.note("\(file == "-" ? "standard input" : file):\(bad.line): \(bad.reason.singleLine)")
        }
    }

    private func conclude(_ report: BulkEnqueue.Report) throws {
        if output.json {
            try JSONText.say(report)
        } else {
            Console.say(Self.sentence(report))
        }
        if report.bad > 0 { throw CommandError(.badData, "\(report.bad) of \(report.lineCount) lines are no good") }
        if report.conflict > 0 { throw CommandError(.failed, "\(report.conflict) keys already name other jobs") }
    }

    private static func sentence(_ report: BulkEnqueue.Report) -> String {
        "\(Formats.count(report.inserted)) inserted, \(Formats.count(report.duplicate)) duplicate,"
            + " \(Formats.count(report.conflict)) conflict, \(Formats.count(report.bad)) bad."
    }

    private static func size(of path: String) -> Int? {
        let attributes = path == "-" ? nil : try? FileManager.default.attributesOfItem(atPath: path)
        return (attributes?[.size] as? Int).flatMap { $0 > 0 ? $0 : nil }
    }
}

extension SubmissionFormat: ExpressibleByArgument {}
