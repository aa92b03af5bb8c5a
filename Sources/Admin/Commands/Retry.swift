import Annotation
import ArgumentParser
import Console
import Queue
import Storage

/// `glossctl retry`
struct Retry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts dead jobs back with fresh attempts.",
        discussion: """
            What is given holds together: --batch photos --code http_429 are the jobs of that batch that died of that \
            code. A % in a code stands for any characters. The host is that of the image that failed: a name, or an \
            origin such as https://images.example.org:8443. It says how many jobs they are, and asks; a script says --yes. \
            Jobs named by number are retried without a question. Some thousands are one transaction.

            EXAMPLES
              glossctl retry 17 18
              glossctl retry --batch photos
              glossctl retry --code 'http_5%' --host images.example.org
              glossctl retry --batch photos --code timeout --yes

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @Argument(help: ArgumentHelp("Jobs by number.", valueName: "job"))
    var jobs: [Int64] = []
    @OptionGroup var chosen: DeadOptions
    @OptionGroup var confirmation: ConfirmationOptions

    func validate() throws {
        guard jobs.isEmpty != chosen.isEmpty else {
            throw ValidationError("Give jobs by number, or --batch, --task, --code or --host, or --all.")
        }
        guard !chosen.all || chosen.areAll else {
            throw ValidationError("--all excludes --batch, --task, --code and --host.")
        }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        guard jobs.isEmpty else {
            let change = JobChange(participle: "retried", otherwise: "only dead jobs are retried") { selection in
                guard case .job(let id) = selection else { return 0 }
                return try await administration.retry(DeadSelection(job: id))
            }
            return try await change.run(
                jobs.map { .job(JobID(rawValue: $0)) }, on: administration, json: format.json)
        }
        if let batch = chosen.batch { try await administration.batch(named: batch) }
        if !confirmation.yes, try await !agree(administration) { return }
        let bar = ProgressBar("jobs")
        defer { bar.finish() }
        let count = try await administration.retry(chosen.selection) { bar.show(nil, count: $0) }
        bar.finish()
        if format.json {
            try JSONText.say(["retried": count])
        } else {
            Console.say("\(Formats.count(count)) job\(count == 1 ? "" : "s") \(chosen.words) retried.")
        }
    }

    private func agree(_ administration: Administration) async throws -> Bool {
        let count = try await administration.wouldRetry(chosen.selection)
        let plan = Plan(
            sentence: "This tries \(Formats.count(count)) dead job\(count == 1 ? "" : "s") \(chosen.words) again. "
                + "They get fresh attempts.",
            counts: ["retried": count])
        return try confirmation.agree(to: plan, json: format.json)
    }
}

/// Dead jobs: those for which all that is given holds.
struct DeadOptions: ParsableArguments {
    @Option(help: "Jobs of this batch.")
    var batch: String?
    @Option(help: "Jobs of this task.")
    var task: TaskName?
    @Option(help: "Jobs that died of this code; % stands for any characters.")
    var code: String?
    @Option(help: "Jobs of which the image that failed is of this host, such as images.example.org.")
    var host: String?
    @Flag(help: "All dead jobs.")
    var all = false

    /// Whether nothing is given.
    var isEmpty: Bool { areAll && !all }

    /// Whether nothing narrows them down.
    var areAll: Bool { batch == nil && task == nil && code == nil && host == nil }

    /// As the queue takes it.
    var selection: DeadSelection {
        DeadSelection(batch: batch, task: task, code: code, host: host, everything: all)
    }

    /// As it stands in a sentence.
    var words: String {
        let parts: [String?] = [
            batch.map { "of batch \"\($0.singleLine)\"" }, task.map { "of task \($0.rawValue)" },
            host.map { "of host \($0.singleLine)" }, code.map { "with code \($0.singleLine)" },
        ]
        let given = parts.compactMap(\.self)
        return given.isEmpty ? "of the whole queue" : given.joined(separator: " ")
    }
}
