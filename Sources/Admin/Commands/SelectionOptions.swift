import Annotation
import ArgumentParser
import Console
import Queue
import Storage

/// A batch, a task or everything.
struct GroupOptions: ParsableArguments {
    @Option(help: "All jobs of this batch.")
    var batch: String?
    @Option(help: "All jobs of this task.")
    var task: TaskName?
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
        case .batch(let name): "batch \"\(name.singleLine)\""
        case .task(let task): "task \(task.rawValue)"
        case .host(let name): "host \(name.singleLine)"
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

/// A change that counts the jobs it touched: what `cancel`, `retry`, `rerun` and `forget` share.
struct JobChange {
    /// `retried`, `cancelled`
    let participle: String
    /// Why a job that exists was not touched.
    let otherwise: String
    /// What is asked before, if anything is.
    var question: Question?
    let apply: (JobSelection) async throws -> Int

    /// What a person agrees to.
    struct Question {
        /// `This cancels`
        let verb: String
        /// What else it does, with a full stop.
        let consequence: String
        /// Jobs named by number need no question.
        var isForGroupsOnly = true
        /// The jobs of a group that it may touch.
        let count: (GroupCounts) -> Int
    }

    /// Makes the change and says what it did.
    /// - Throws: `CommandError` when a job that was named was not touched, or when it was not agreed to.
    func run(
        _ selections: [JobSelection], on administration: Administration, json: Bool,
        confirmation: ConfirmationOptions? = nil
    ) async throws {
        for case .batch(let name) in selections { try await administration.batch(named: name) }
        if let confirmation, let plan = try await plan(selections, administration, confirmation) {
            guard try confirmation.agree(to: plan, json: json) else { return }
        }
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

    /// What is asked, or nil if nothing is.
    private func plan(
        _ selections: [JobSelection], _ administration: Administration, _ confirmation: ConfirmationOptions
    ) async throws -> Plan? {
        guard let question, !confirmation.yes, let first = selections.first else { return nil }
        if first.isJob {
            guard confirmation.dryRun || !question.isForGroupsOnly else { return nil }
            let those = selections.count == 1 ? first.words : "\(selections.count) jobs"
            return Plan(
                sentence: "\(question.verb) \(those). \(question.consequence)", counts: [participle: selections.count])
        }
        let count = question.count(try await GroupCounts(first, administration))
        return Plan(
            sentence: "\(question.verb) \(Formats.count(count)) job\(count == 1 ? "" : "s") of \(first.words). "
                + question.consequence,
            counts: [participle: count])
    }
}

/// How many jobs of a batch, of a task or of all are in which state.
struct GroupCounts {
    /// Neither done nor dead.
    private(set) var left = 0
    private(set) var done = 0
    private(set) var dead = 0

    /// - Throws: `CommandError` for a batch that does not exist.
    init(_ selection: JobSelection, _ administration: Administration) async throws {
        if case .batch(let name) = selection {
            let row = try await administration.batch(named: name)
            (left, done, dead) = (row.left, row.done, row.dead)
            return
        }
        for row in try await administration.depth() {
            if case .task(let task) = selection, row.task != task.rawValue { continue }
            left += row.waiting + row.running
            done += row.done
            dead += row.dead
        }
    }
}

extension Administration {
    /// A batch by its name.
    /// - Throws: `CommandError`, the same from every command, if there is none.
    @discardableResult
    func batch(named name: String) async throws -> BatchRow {
        guard let row = try await batches(named: name, limit: 1).first else {
            throw CommandError(.failed, "there is no batch \"\(name)\"")
        }
        return row
    }
}

extension JobSelection {
    /// Whether it is one job.
    var isJob: Bool {
        if case .job = self { return true }
        return false
    }
}
