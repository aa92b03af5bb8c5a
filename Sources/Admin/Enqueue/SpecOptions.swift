import Annotation
import ArgumentParser
import Foundation
import Queue
import Storage

/// When, how often and for whom the job runs.
struct SubmitOptions: ParsableArguments {
    @Option(help: "Your own name for the job; results join on it.")
    var key: String?
    @Option(help: "The batch that the job belongs to; it need not exist yet.")
    var batch: String?
    @Option(help: "-100 (first) to 100.")
    var priority = 0
    @Option(help: ArgumentHelp("Not before this time has passed: 90, 90s, 10m, 2h, 1d.", valueName: "time"))
    var delay = Delay(seconds: 0)
    @Option(help: "Failed attempts after which the job is dead.")
    var maxAttempts = 5

    /// As the queue takes them.
    /// - Parameter key: in place of --key.
    func options(key fallback: String? = nil) -> EnqueueOptions {
        EnqueueOptions(
            key: key ?? fallback, batch: batch, priority: priority, delay: .seconds(delay.seconds),
            maxAttempts: maxAttempts)
    }
}

/// Which model answers, and how its tokens are chosen.
struct SpecOptions: ParsableArguments {
    @Option(help: "The model's name or digest; any by default.")
    var model: String?
    @Option(help: ArgumentHelp("The language of the prompt: en, de, pt-BR …", valueName: "code"))
    var language = "en"
    @Option(help: "How the prompt is formed. Default: the first of the task's styles.")
    var style: String?
    @Option(help: ArgumentHelp("The colour under transparent pixels.", valueName: "#rrggbb"))
    var background: Colour?
    @Option(help: "The most tokens of a response.")
    var maxTokens: Int?
    @Option(help: "Responses to each prompt.")
    var samples: Int?
    @Option(help: "Which of several samples are kept: all or likeliest.")
    var pick = SamplePick.all
    @Option(help: "Beams of a search for the likeliest response, 2 to 8; 1 is none.")
    var beams = 1
    @Option(help: "0 is greedy. Default: 0, and 1 if there are several samples.")
    var temperature: Double?
    @Option(help: "Sample among so many of the likeliest tokens; 0 is all.")
    var topK = 0
    @Option(help: "Sample among the likeliest tokens that together reach this probability; 1 is all.")
    var topP = 1.0
    @Option(help: "The seed of the random numbers.")
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("What each response begins with.", valueName: "text"))
    var continueFrom = ""
    @Option(help: "A response ends where the same tokens stand so often in a row; 0 is never.")
    var maxRepeats = 0
    @Flag(help: "Keep the log-probability of each token: glossctl results token_score.")
    var tokenScores = false
    @Option(help: "Which score of a response is aggregated, where answers are compared: sum or normalised.")
    var score = ResponseScore.sum

    func validate() throws {
        guard seed <= UInt64(Int64.max) else { throw ValidationError("--seed must be at most \(Int64.max).") }
    }

    /// A job of these options. What is out of range is refused by the database, which says why.
    /// - Parameters:
    ///   - texts: nil: the task's own.
    ///   - choices: the answers to choose from.
    func spec(
        _ task: TaskName, images: [String], texts: [String]?, options choices: [String] = [], followUps: [String] = [],
        ignored: [String] = [], drawnBox: Box? = nil
    ) -> JobSpec {
        var settings = task.definition.defaults
        settings.maxTokens = maxTokens ?? settings.maxTokens
        settings.samples = samples ?? settings.samples
        settings.temperature = temperature ?? (settings.samples > 1 ? 1 : 0)
        (settings.topK, settings.topP, settings.seed) = (topK, topP, seed)
        (settings.pick, settings.beams) = (pick, beams)
        (settings.continueFrom, settings.maxRepeats, settings.tokenScores) = (continueFrom, maxRepeats, tokenScores)
        return JobSpec(
            task: task, imageURLs: images, style: style, language: language, texts: texts, options: choices,
            followUps: followUps, ignored: ignored, settings: settings, score: score, model: model,
            background: background?.value, drawnBox: drawnBox)
    }
}

/// A time as people write it: `90`, `90s`, `10m`, `2h`, `1d`.
struct Delay: ExpressibleByArgument, CustomStringConvertible {
    let seconds: Double

    init(seconds: Double) { self.seconds = seconds }

    init?(argument: String) {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        let unit = argument.last.flatMap { units[$0] }
        guard let number = Double(unit == nil ? argument : String(argument.dropLast())), number >= 0, number <= 1e9
        else { return nil }
        seconds = number * (unit ?? 1)
    }

    var description: String { "\(Int(seconds))" }
}

/// A colour, `#rrggbb`.
struct Colour: ExpressibleByArgument {
    let value: UInt32

    init?(argument: String) {
        let digits = argument.hasPrefix("#") ? argument.dropFirst() : argument[...]
        guard digits.count == 6, digits.allSatisfy(\.isHexDigit), let value = UInt32(digits, radix: 16) else {
            return nil
        }
        self.value = value
    }
}

/// A box, `y1,x1,y2,x2` in fractions of the height and the width.
extension Box: ExpressibleByArgument {
    public init?(argument: String) {
        let edges = argument.split(separator: ",", omittingEmptySubsequences: false)
            .map { Float($0.trimmingCharacters(in: .whitespaces)) ?? .nan }
        guard edges.count == 4, edges.allSatisfy({ 0...1 ~= $0 }), edges[0] <= edges[2], edges[1] <= edges[3] else {
            return nil
        }
        self.init(y1: edges[0], x1: edges[1], y2: edges[2], x2: edges[3])
    }
}

extension TaskName: ExpressibleByArgument {}
extension ResponseScore: ExpressibleByArgument {}

/// Enqueues jobs one by one and says what became of each.
struct SubmitJobs {
    let database: DatabaseOptions
    let json: Bool

    /// - Throws: `CommandError` when a key already named another job.
    func run(_ specs: [JobSpec], _ options: EnqueueOptions) async throws {
        struct Answer: Encodable {
            var job: JobID
            var outcome: Enqueued.Outcome
            var key: String?
        }
        let administration = database.administration()
        var hasConflict = false
        for spec in specs {
            let done = try await administration.enqueue(spec, options)
            hasConflict = hasConflict || done.outcome == .conflict
            if json {
                try JSONText.say(Answer(job: done.job, outcome: done.outcome, key: options.key))
            } else {
                Console.say("\(done.outcome.rawValue)  job \(done.job)  \(spec.imageURLs[0].cut(to: 200).singleLine)")
            }
        }
        if hasConflict {
            let key = options.key ?? ""
            throw CommandError(
                .failed, "the key \"\(key)\" already names another \(specs[0].task.rawValue) job; nothing was changed")
        }
    }
}
