import ArgumentParser
import Console
import Inference

/// `glossctl bench table5`
struct BenchTable5: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table5",
        abstract: "Prefill and extend at several batch sizes, as in table 5 of the multiview paper.",
        discussion: """
            Prefixes of 512 tokens, a cache for 640. PREFILL is the whole batch, in passes of 1024 rows; when they take \
            longer than --seconds, the rest is extrapolated, and PASSES says how many were run. EXTEND is one step, a token \
            for each sequence, each with a prefix of its own. The weights are read once a pass.

            EXAMPLES
              glossctl bench table5 --dtype bf16 --batch 1 --batch 8
              glossctl bench table5 --json

            \(ExitStatus.help)
            """)

    @OptionGroup var options: BenchOptions
    @Option(parsing: .upToNextOption, help: "Batch sizes. What does not fit into memory is left out, and said.")
    var batch = [1, 8, 64, 512]
    @Option(help: "Seconds for the prefill of each batch, about.")
    var seconds = 20.0

    private static let (prefixTokens, cacheTokens) = (512, 640)
    /// Prefixes of one pass, and steps of a batch.
    private static let (passSequences, steps) = (1024 / prefixTokens, 4)

    func validate() throws {
        guard batch.allSatisfy({ 1...4096 ~= $0 }), !batch.isEmpty else {
            throw ValidationError("--batch takes numbers from 1 to 4096.")
        }
        guard 0...3600 ~= seconds else { throw ValidationError("--seconds must be 0 to 3600, not \(seconds).") }
    }

    func run() throws {
        let (model, limits) = try options.prepare { $0.duration(operations: operations($0)) }
        var rows: [Row] = []
        for size in batch {
            let bytes = size * model.cacheByteCount(tokens: Self.cacheTokens)
            let free = MemoryUse.available
            guard bytes < free * 9 / 10 else {
                Console.note(
                    "batch \(size) needs \(bytes >> 20) MiB for keys and values, \(free >> 20) are free: left out")
                continue
            }
            Console.note("batch \(size)")
            rows.append(prefill(size, model, limits))
            let prefixes = model.prefixes(size, tokens: Self.prefixTokens)
            let step = model.extend(prefixes, samples: 1, steps: Self.steps)
            rows.append(
                Row(
                    batch: size, stage: "extend", tokens: size, passes: "\(Self.steps) steps",
                    cost: BenchRow("extend", step, limits),
                    bytes: model.weightByteCount + bytes))
        }
        try options.format.json ? JSONText.say(rows) : say(rows)
    }

    /// Of all batches, at the least: prefills end after some seconds.
    private func operations(_ limits: BenchLimits) -> Double {
        let configuration = options.config.configuration
        return batch.reduce(0) { sum, size in
            let pass = configuration.prefillOperations(
                sequences: min(size, Self.passSequences), tokens: Self.prefixTokens)
            let prefill = pass * Double((size + Self.passSequences - 1) / Self.passSequences)
            let step = configuration.extendOperations(rows: size, seen: Double(Self.prefixTokens))
            return sum + min(prefill, pass + seconds * limits.operations) + Double(Self.steps) * step
        }
    }

    private func prefill(_ size: Int, _ model: RandomModel, _ limits: BenchLimits) -> Row {
        let sequences = min(size, Self.passSequences)
        let passes = (size + sequences - 1) / sequences
        var (done, cost) = (0, RandomModel.Cost.nothing)
        while done < passes, done == 0 || cost.seconds < seconds {
            cost = cost + model.prefill(sequences: sequences, tokens: Self.prefixTokens).1
            done += 1
        }
        let whole = cost.scaled(by: Double(size) / Double(done * sequences))
        return Row(
            batch: size, stage: "prefill", tokens: size * Self.prefixTokens, passes: "\(done) of \(passes) passes",
            cost: BenchRow("prefill", whole, limits),
            bytes: model.weightByteCount + size * model.cacheByteCount(tokens: Self.cacheTokens))
    }

    private func say(_ rows: [Row]) {
        var table = Table([
            .number("BATCH"), .text("STAGE"), .number("SECONDS"), .number("TOKENS/S"), .number("OF PEAK"),
            .number("OF LIMIT"), .number("GB"), .text(""),
        ])
        for row in rows {
            table.add([
                Table.Cell("\(row.batch)"), Table.Cell(row.stage), Table.Cell(Formats.fixed(row.cost.seconds, 3)),
                Table.Cell(Formats.fixed(Double(row.tokens) / row.cost.seconds, 1)),
                Table.Cell(Formats.fixed(row.cost.utilisation, 3)), Table.Cell(Formats.fixed(row.cost.ofLimit, 3)),
                Table.Cell(Formats.fixed(Double(row.bytes) / 1e9, 1)), Table.Cell(row.passes),
            ])
        }
        table.lines(width: nil, palette: .output).forEach(Console.say)
        Console.say("GB: weights, and keys and values for \(Self.cacheTokens) tokens a sequence.")
    }

    private struct Row: Encodable {
        let batch: Int
        let stage: String
        let tokens: Int
        let passes: String
        let cost: BenchRow
        let bytes: Int
    }
}
