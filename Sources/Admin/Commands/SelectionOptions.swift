import ArgumentParser
import Queue
import Storage

/// A batch, a task or everything.
struct GroupOptions: ParsableArguments {
    @Option(help: "All jobs of this batch.")
    var batch: String?
    @Option(help: "All jobs of this task: caption, vqa, detect or multiview.")
    var task: AnnotationTask?
    @Flag(help: "All jobs.")
    var all = false

    /// What was chosen; empty, or one.
    var selections: [JobSelection] {
        [batch.map(JobSelection.batch), task.map(JobSelection.task), all ? .everything : nil].compactMap(\.self)
    }

}

/// A group of jobs, or those with an image of a host: what `pause` and `resume` take.
struct StopOptions: ParsableArguments {
    @OptionGroup var group: GroupOptions
    @Option(help: "All jobs with an image of this host, such as images.example.org.")
    var host: String?

    /// What was chosen; empty, or one.
    var selections: [JobSelection] { group.selections + [host.map(JobSelection.host)].compactMap(\.self) }

    func validateOne() throws {
        guard selections.count == 1 else { throw ValidationError("Give one of --batch, --task, --host and --all.") }
    }
}

extension JobSelection {
    /// As it stands in a sentence.
    var words: String {
        switch self {
        case .job(let id): "job \(id)"
        case .batch(let name): "batch \"\(name)\""
        case .task(let task): "task \(task.rawValue)"
        case .host(let name): "host \(name)"
        case .everything: "the whole queue"
        }
    }

    /// As it stands in JSON.
    var json: [String: String] {
        switch self {
        case .job(let id): ["job": "\(id)"]
        case .batch(let name): ["batch": name]
        case .task(let task): ["task": task.rawValue]
        case .host(let name): ["host": name]
        case .everything: ["all": "true"]
        }
    }
}

/// Jobs by number, or a group of them: what `retry`, `rerun`, `cancel` and `forget` take.
struct JobsOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Jobs by number.", valueName: "job"))
    var jobs: [Int64] = []
    @OptionGroup var group: GroupOptions

    func validateOne() throws {
        guard jobs.isEmpty != group.selections.isEmpty, group.selections.count <= 1 else {
            throw ValidationError("Give jobs by number, or one of --batch, --task and --all.")
        }
    }

    /// What was chosen.
    var selections: [JobSelection] {
        jobs.isEmpty ? group.selections : jobs.map { .job(JobID(rawValue: $0)) }
    }
}

/// A change that counts the jobs it touched: what they share.
struct JobChange {
    /// `retried`, `cancelled`
    let participle: String
    /// Why a job that exists was not touched.
    let otherwise: String
    let apply: (JobSelection) async throws -> Int

    /// Makes the change and says what it did.
    /// - Throws: `CommandError` when a job that was named was not touched.
    func run(_ selections: [JobSelection], on administration: Administration, json: Bool) async throws {
        var (total, untouched) = (0, [String]())
        for selection in selections {
            let count = try await apply(selection)
            total += count
            if case .job(let id) = selection, count == 0 {
                let state = try await administration.job(id)?.job.state
                untouched.append(state.map { "job \(id) is \($0): \(otherwise)" } ?? "there is no job \(id)")
            }
        }
        if json {
            try JSONText.say([participle: total])
        } else if total > 0 || untouched.isEmpty {
            let those = selections.first.map { $0.isJob ? "" : " of \($0.words)" } ?? ""
            Console.say("\(Formats.count(total)) job\(total == 1 ? "" : "s")\(those) \(participle).")
        }
        if !untouched.isEmpty { throw CommandError(.failed, untouched.joined(separator: "; ")) }
    }
}

extension JobSelection {
    /// Whether it is one job.
    var isJob: Bool {
        if case .job = self { return true }
        return false
    }
}
