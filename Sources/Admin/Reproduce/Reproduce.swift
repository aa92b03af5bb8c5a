import ArgumentParser
import Console
import Foundation
import Images
import Inference
import Queue
import Settings
import Storage

/// `glossctl reproduce`
struct Reproduce: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs stored results again here, and compares them bit for bit.",
        discussion: """
            The images are fetched again and compared by their SHA-256, or given as files. The model, the adapter and the mask \
            decoder are those of --model, --adapter and --mask-decoder that have the result's digests; --config takes them, and \
            from where images may be fetched, from the configuration of a daemon. Nothing in the queue changes.

            A result is the same in every bit, or it is said what differs: an image has changed or cannot be fetched; the \
            model is not here; it was computed in another precision or by another version, and by how much it differs.

            EXAMPLES
              glossctl reproduce 17 --model DIR
              glossctl reproduce 17 --model DIR --image left.jpg --image right.jpg
              glossctl reproduce --batch photos --sample 20 --model DIR
              glossctl reproduce --since '1 day' --sample 20 --only-given --keep --config /etc/gloss/glossd.yaml

            EXIT CODES
              0   what was run again is the same; images may be gone, which are counted
              1   something differs, an image is another one now, a model is not here, or nothing could be run again; or the \
            request failed
              64  the command line is wrong
              69  the database cannot be reached
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Argument(help: ArgumentHelp("Jobs by number.", valueName: "job"))
    var jobs: [Int64] = []
    @Option(help: "The results of this batch.")
    var batch: String?
    @Option(
        help: ArgumentHelp("The results that were finished within this time, such as '1 day'.", valueName: "time"),
        transform: KeepTime.init)
    var since: KeepTime?
    @Option(help: "So many of them, drawn by chance. Default: all.")
    var sample: Int?
    @Option(
        help: ArgumentHelp(
            "A daemon's configuration: its model, adapters, mask decoder, threads, and what it may fetch.",
            valueName: "file"), completion: .file())
    var config: String?
    @Option(
        help: ArgumentHelp("A model's folder, or what glossctl pack made of it. May be repeated.", valueName: "path"),
        completion: .file())
    var model: [String] = []
    @Option(
        help: ArgumentHelp("The folder of a LoRA adapter of PEFT. May be repeated.", valueName: "path"),
        completion: .directory)
    var adapter: [String] = []
    @Option(help: ArgumentHelp("What makes masks of codes.", valueName: "file"), completion: .file())
    var maskDecoder: String?
    @Option(help: "Compute in this precision, to see how much it differs. Default: each result's own.")
    var precision: Precision?
    @Option(
        help: ArgumentHelp(
            "A file in place of an image that is fetched: one for each image of one job, in order.", valueName: "file"),
        completion: .file())
    var image: [String] = []
    @Flag(help: "Leave out results of models and adapters that are not given.")
    var onlyGiven = false
    @OptionGroup var fetching: FetchOptions
    @Option(
        help: "Threads to compute with. Default: one for each processor that it may use. Results do not depend on it.")
    var threads: Int?
    @Option(
        help: ArgumentHelp(
            "Compute with these instructions: \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")). Default: the best of this processor. Results do not depend on it.",
            valueName: "set"))
    var instructionSet = InstructionSet.best
    @Flag(help: "Keep what came of it in gloss.reproduction, which glossctl doctor looks at.")
    var keep = false

    func validate() throws {
        guard !jobs.isEmpty || batch != nil || since != nil else {
            throw ValidationError("Give jobs by number, or --batch, or --since.")
        }
        guard jobs.isEmpty || batch == nil && since == nil && sample == nil && !onlyGiven else {
            throw ValidationError("Jobs by number exclude --batch, --since, --sample and --only-given.")
        }
        if let sample, sample < 1 { throw ValidationError("--sample must be 1 or more, not \(sample).") }
        if model.isEmpty, config == nil { throw ValidationError("Give --model or --config.") }
        if !image.isEmpty, jobs.count != 1 { throw ValidationError("--image is for one job.") }
        if let threads, threads < 1 { throw ValidationError("--threads must be 1 or more, not \(threads).") }
        guard InstructionSet.present.contains(instructionSet) else {
            let known = InstructionSet.present.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("This processor has no \(instructionSet.rawValue), but \(known).")
        }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        if let batch { try await administration.batch(named: batch) }
        let daemon = try await daemonConfiguration()
        let policy = daemon.map { fetching.adding(to: $0.fetch) } ?? fetching.policy
        let shelf = try shelf(daemon)
        let results = try await administration.results(
            ReproductionSelection(
                jobs: jobs.isEmpty ? nil : jobs.map(JobID.init), batch: batch, within: since?.interval,
                files: onlyGiven ? shelf.fileDigests : nil, sample: sample))
        try await requireResults(results, administration)
        let supply = try ImageSupply(policy, given: image, maxPixels: daemon?.images.maxPixels, count: shelf.threads)
        let reproducer = Reproducer(administration: administration, shelf: shelf, supply: supply)
        let bar = ProgressBar("results")
        defer { bar.finish() }
        var counts: [Reproduction.Outcome: Int] = [:]
        do {
            try await reproducer.run(results) { reproduction in
                if keep { try await administration.keep(record(of: reproduction, shelf)) }
                if let line = try line(reproduction) {
                    bar.finish()
                    Console.say(line)
                }
                counts[reproduction.outcome, default: 0] += 1
                let done = counts.values.reduce(0, +)
                bar.show(Double(done) / Double(results.count), count: done)
            }
        } catch let error as InferenceError {
            throw CommandError(.failed, error.message)
        }
        bar.finish()
        if !format.json { Console.say(Self.summary(counts)) }
        if Self.isFailure(counts) { throw ExitCode(1) }
    }

    /// Images go away in time, which says nothing of a result. Where no image is left at all, nothing was shown.
    private static func isFailure(_ counts: [Reproduction.Outcome: Int]) -> Bool {
        counts.contains { $0.key != .same && $0.key != .imageNotFetched }
            || counts[.imageNotFetched] != nil && counts[.same] == nil
    }

    /// Each job that is named has a result.
    private func requireResults(_ results: [ListedResult], _ administration: Administration) async throws {
        var problems: [String] = []
        for id in jobs where !results.contains(where: { $0.lease.job.rawValue == id }) {
            let state = try await administration.job(JobID(rawValue: id))?.job.state
            problems.append(state.map { "job \(id) has no result: it is \($0)" } ?? "there is no job \(id)")
        }
        if !problems.isEmpty { throw CommandError(.failed, problems.joined(separator: "; ")) }
    }

    private func daemonConfiguration() async throws -> DaemonConfiguration? {
        guard let config else { return nil }
        do { return try await DaemonConfiguration(file: config) } catch let error as ConfigurationError {
            throw CommandError(.failed, error.description)
        }
    }

    private func shelf(_ daemon: DaemonConfiguration?) throws(CommandError) -> ModelShelf {
        let models = model + [daemon?.model].compactMap(\.self)
        let adapters = adapter + (daemon?.adapters.values.sorted() ?? [])
        let decoder = [maskDecoder, daemon?.maskDecoder].compactMap(\.self).first { !$0.isEmpty }
        for path in models + adapters + [decoder].compactMap(\.self) {
            guard FileManager.default.fileExists(atPath: path) else {
                throw CommandError(.failed, "there is no \(path)")
            }
        }
        let usual = daemon.flatMap { $0.threads > 0 ? $0.threads : nil } ?? Processors.threadCount()
        do throws(InferenceError) {
            return try ModelShelf(
                models: models, adapters: adapters, maskDecoder: decoder, precision: precision,
                threads: threads ?? usual, instructionSet: instructionSet)
        } catch {
            throw CommandError(.failed, error.message)
        }
    }

    private func record(of reproduction: Reproduction, _ shelf: ModelShelf) -> ReproductionRecord {
        ReproductionRecord(
            result: Lease(job: JobID(rawValue: reproduction.job), fence: reproduction.fence),
            host: ProcessInfo.processInfo.hostName, instructionSet: shelf.instructionSet.rawValue,
            threads: shelf.threads, outcome: reproduction.outcome.rawValue, detail: reproduction.detail)
    }

    /// Of a selection only what is not the same has a line.
    private func line(_ reproduction: Reproduction) throws -> String? {
        if format.json { return try JSONText.encode(reproduction) }
        guard !jobs.isEmpty || reproduction.outcome != .same else { return nil }
        let style: Palette.Style =
            switch reproduction.outcome {
            case .same: .green
            case .differs, .failed: .red
            default: .yellow
            }
        let words = Palette.output.paint(reproduction.outcome.words, style)
        let detail = reproduction.detail.map { ": \($0.singleLine)" } ?? ""
        return "job \(reproduction.job) (\(reproduction.task)): \(words)\(detail)"
    }

    private static func summary(_ counts: [Reproduction.Outcome: Int]) -> String {
        let total = counts.values.reduce(0, +)
        let parts = Reproduction.Outcome.allCases.compactMap { outcome in
            counts[outcome].map { "\(Formats.count($0)) \(outcome.words)" }
        }
        let those = "\(Formats.count(total)) result\(total == 1 ? "" : "s") run again"
        return parts.isEmpty ? "No results." : "\(those): \(parts.joined(separator: ", "))."
    }
}
