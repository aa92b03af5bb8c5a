import ArgumentParser
import Storage

/// `glossctl forget`
struct Forget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Deletes jobs that have ended, with their results, and frees their keys.",
        discussion: """
            Jobs that are neither done nor dead stay: cancel them before. It deletes some thousands a transaction. On a \
            terminal it says how many jobs it would delete, and asks; a script says --yes.

            EXAMPLES
              glossctl forget 17
              glossctl forget --batch photos
              glossctl forget --batch photos --yes

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var chosen: JobsOptions
    @OptionGroup var confirmation: ConfirmationOptions

    func validate() throws {
        try chosen.validateOne()
        guard !chosen.group.all else {
            throw ValidationError("forget does not take --all: name what is to go, or use prune.")
        }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        let bar = ProgressBar("jobs")
        let change = JobChange(
            participle: "forgotten", otherwise: "only jobs that have ended are forgotten",
            question: JobChange.Question(
                verb: "This deletes", consequence: "Their results go too, and their keys are free.",
                isForGroupsOnly: false
            ) { $0.done + $0.dead }
        ) { try await administration.forget($0) { bar.show(nil, count: $0) } }
        defer { bar.finish() }
        try await change.run(
            chosen.selections, on: administration, json: format.json, confirmation: confirmation)
    }
}
