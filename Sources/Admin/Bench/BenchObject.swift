import ArgumentParser
import Console
import Inference

/// `glossctl bench object`
struct BenchObject: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "object",
        abstract: "One multiview object: 8 views or --views, 4 questions, 5 samples of 5 tokens.",
        discussion: """
            8 images through the vision tower, 32 prefills, 4 steps of 160 answers, as the scheduler runs them; each stage \
            and the whole beside the least time that the machine's peaks, measured in the same run, allow. OF PEAK is the \
            share of the arithmetic's peak, OF LIMIT that of the nearer limit, arithmetic or memory.

            With --adapters the prefills and the steps are computed once more, with so many LoRA adapters of rank 16 on all linear \
            layers of the decoder side by side, in turn with those of one model without: what a merged adapter costs.

            EXAMPLES
              glossctl bench object --random-weights --config paligemma-3b-224 --dtype bf16
              glossctl bench object --dtype int8 --adapters 4
              glossctl bench object --config paligemma2-3b-448 --views 1 --dtype int8 --json

            \(ExitStatus.help)
            """)

    @OptionGroup var options: BenchOptions
    @Option(help: "Views of the object. Fewer take less time where images are large.")
    var views = 8
    @Option(help: "Tokens of each prompt, its end of line and <bos> included.")
    var promptTokens = 10
    @Option(help: "Adapters side by side; 0 is none.")
    var adapters = 0

    private static let rank = 16
    private static let (questions, samples, steps) = (4, 5, 4)
    private var prefixes: Int { views * Self.questions }
    /// Room of a response's keys and values: they are kept in steps.
    private static let ownTokens = 64
    /// Rows of one pass, as in the scheduler.
    private static let passRows = 1024

    func validate() throws {
        guard 1...64 ~= views else { throw ValidationError("--views must be 1 to 64, not \(views).") }
        // With the images and the answer no more than the model has positions.
        guard 1...4000 ~= promptTokens else {
            throw ValidationError("--prompt-tokens must be 1 to 4000, not \(promptTokens).")
        }
        guard 0...64 ~= adapters else { throw ValidationError("--adapters must be 0 to 64, not \(adapters).") }
    }

    func run() throws {
        let prefixTokens = options.config.configuration.imageTokenCount + promptTokens
        let (model, limits) = try options.prepare(tokens: prefixes * (prefixTokens + Self.samples * Self.ownTokens)) {
            $0.duration(operations: operations(prefixTokens))
        }
        Console.note(views == 1 ? "1 image" : "\(views) images")
        _ = model.embed(images: 1)
        let imageTokens = model.configuration.imageTokenCount
        let vision = passes(of: views, rows: imageTokens) { model.embed(images: $0) }
        var prefilled: RandomModel.Prefilled?
        Console.note("\(prefixes) prefills, after \(Formats.fixed(vision.seconds, 1)) s")
        let prefill = passes(of: prefixes, rows: imageTokens + promptTokens) { count in
            let (caches, cost) = model.prefill(sequences: count, tokens: imageTokens + promptTokens)
            prefilled = prefilled.map { $0 + caches } ?? caches
            return cost
        }
        Console.note("\(Self.steps) steps, after \(Formats.fixed(prefill.seconds, 1)) s")
        let step = model.extend(prefilled!, samples: Self.samples, steps: Self.steps)
        let peak = MemoryUse.peakResident
        // Memory's speed moves within seconds with what else the host does: the limit of one answer alone is measured beside it.
        let nearby = BenchLimits(
            MachinePeaks.measure(threads: options.threadCount, seconds: 2), options.dtype, options.instructionSet)
        let single = model.extend(prefilled!.first(1), samples: 1, steps: Self.steps)
        let extend = step.scaled(by: Double(Self.steps))
        let whole = vision + prefill + extend
        let limit = [vision, prefill, extend].reduce(0) { $0 + limits.seconds($1) }
        let rows = [
            BenchRow("vision, \(views) images", vision, limits),
            BenchRow("prefill, \(prefixes) × \(imageTokens + promptTokens)", prefill, limits),
            BenchRow("extend, \(Self.steps) × \(prefixes * Self.samples)", extend, limits),
            BenchRow("object", whole, limits), BenchRow("extend, 1 × 1", single, nearby),
        ]
        let beside = adapters == 0 ? nil : adapted(model, prefilled!, vision: vision, prefill: prefill, extend: extend)
        let answer = Answer(
            config: options.config.name, dtype: options.dtype.rawValue, views: views, threads: options.threadCount,
            seconds: whole.seconds, limitSeconds: limit, ratio: whole.seconds / limit, stages: rows,
            peakOperationsPerSecond: limits.operations, memoryBytesPerSecond: limits.memory,
            weightBytes: model.weightByteCount,
            keyValueBytes: prefilled!.byteCount + prefixes * Self.samples * model.cacheByteCount(tokens: Self.steps),
            residentBytes: peak, adapters: beside)
        try options.format.json ? JSONText.say(answer) : say(answer)
    }

    /// Of all that is computed, with adapters what they repeat.
    private func operations(_ prefixTokens: Int) -> Double {
        let configuration = options.config.configuration
        let seen = Double(prefixTokens + Self.steps / 2)
        let language =
            configuration.prefillOperations(sequences: prefixes, tokens: prefixTokens)
            + configuration.extendOperations(rows: prefixes * Self.samples, seen: seen) * Double(Self.steps)
        return configuration.visionOperations(images: views) + language * (adapters == 0 ? 1 : 5)
    }

    private func passes(of count: Int, rows: Int, _ run: (Int) -> RandomModel.Cost) -> RandomModel.Cost {
        let atOnce = max(1, Self.passRows / rows)
        return stride(from: 0, to: count, by: atOnce).map { run(min(atOnce, count - $0)) }.reduce(.nothing, +)
    }

    /// The same prefills and steps with adapters, and without them before and after: the least of each counts, as the
    /// machine's speed moves.
    private func adapted(
        _ model: RandomModel, _ prefilled: RandomModel.Prefilled, vision: RandomModel.Cost, prefill: RandomModel.Cost,
        extend: RandomModel.Cost
    ) -> Adapted {
        Console.note("drawing \(adapters) adapters")
        let drawn = model.adapters(adapters, rank: Self.rank)
        let tokens = model.configuration.imageTokenCount + promptTokens
        func seconds(_ adapters: [Adapter]) -> (prefill: Double, extend: Double) {
            let prefill = passes(of: prefixes, rows: tokens) {
                model.prefill(sequences: $0, tokens: tokens, adapters: adapters).1
            }
            let step = model.extend(prefilled, samples: Self.samples, steps: Self.steps, adapters: adapters)
            return (prefill.seconds, step.seconds * Double(Self.steps))
        }
        var (with, without) = ((Double.infinity, Double.infinity), (prefill.seconds, extend.seconds))
        for _ in 0..<2 {
            let (a, b) = (seconds(drawn), seconds([]))
            with = (min(with.0, a.prefill), min(with.1, a.extend))
            without = (min(without.0, b.prefill), min(without.1, b.extend))
        }
        return Adapted(
            count: adapters, rank: Self.rank, prefillRatio: with.0 / without.0, extendRatio: with.1 / without.1,
            ratio: (vision.seconds + with.0 + with.1) / (vision.seconds + without.0 + without.1))
    }

    private func say(_ answer: Answer) {
        BenchRow.say(answer.stages)
        if let adapters = answer.adapters {
            Console.say(
                "With \(adapters.count) adapters of rank \(adapters.rank) it takes \(Formats.fixed(adapters.ratio, 3)) times as"
                    + " long as one merged model: prefill \(Formats.fixed(adapters.prefillRatio, 3)), extend"
                    + " \(Formats.fixed(adapters.extendRatio, 3)).")
        }
        let gigabytes = { (bytes: Int) in Formats.fixed(Double(bytes) / 1e9, 2) }
        Console.say(
            "The object takes \(Formats.fixed(answer.ratio, 3)) times the limit of \(Formats.fixed(answer.limitSeconds, 1)) s."
        )
        Console.say(
            "Memory: \(gigabytes(answer.residentBytes)) GB at most; weights \(gigabytes(answer.weightBytes)), keys and values"
                + " \(gigabytes(answer.keyValueBytes)), the rest"
                + " \(gigabytes(answer.residentBytes - answer.weightBytes - answer.keyValueBytes)).")
    }

    private struct Adapted: Encodable {
        let count, rank: Int
        let prefillRatio, extendRatio, ratio: Double

        enum CodingKeys: String, CodingKey {
            case count, rank, ratio
            case prefillRatio = "prefill_ratio"
            case extendRatio = "extend_ratio"
        }
    }

    private struct Answer: Encodable {
        let config, dtype: String
        let views, threads: Int
        let seconds, limitSeconds, ratio: Double
        let stages: [BenchRow]
        let peakOperationsPerSecond, memoryBytesPerSecond: Double
        let weightBytes, keyValueBytes, residentBytes: Int
        let adapters: Adapted?

        enum CodingKeys: String, CodingKey {
            case config, dtype, views, threads, seconds, ratio, stages, adapters
            case limitSeconds = "limit_seconds"
            case peakOperationsPerSecond = "peak_operations_per_second"
            case memoryBytesPerSecond = "memory_bytes_per_second"
            case weightBytes = "weight_bytes"
            case keyValueBytes = "key_value_bytes"
            case residentBytes = "resident_bytes"
        }
    }
}
