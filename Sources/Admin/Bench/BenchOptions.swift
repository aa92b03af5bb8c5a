import ArgumentParser
import Console
import Inference

/// What the benchmarks of the engine share: a model of random weights.
struct BenchOptions: ParsableArguments {
    /// Sizes that are known by name.
    struct Config: ExpressibleByArgument {
        let name: String
        let configuration: ModelConfiguration

        static let all: [Config] = {
            let sides = [224, 448, 896]
            return sides.map { Config(name: "paligemma-3b-\($0)", configuration: .paliGemma3B(imageSize: $0)) }
                + ModelConfiguration.PaliGemma2.allCases.flatMap { size in
                    sides.map {
                        Config(
                            name: "paligemma2-\(size.rawValue)-\($0)",
                            configuration: .paliGemma2(size, imageSize: $0))
                    }
                }
        }()

        private init(name: String, configuration: ModelConfiguration) {
            (self.name, self.configuration) = (name, configuration)
        }

        init?(argument: String) {
            guard let known = Self.all.first(where: { $0.name == argument }) else { return nil }
            self = known
        }

        var defaultValueDescription: String { name }
        static var allValueStrings: [String] { all.map(\.name) }
    }

    @OptionGroup var format: FormatOptions

    @Option(help: "The sizes: paligemma-3b, paligemma2-3b, -10b or -28b, and -224, -448 or -896.")
    var config = Config.all[0]
    @Flag(inversion: .prefixedNo, help: "Weights by chance: no file is needed. There is no other way yet.")
    var randomWeights = true
    @Option(help: "f32, bf16, bf16-amx or int8.")
    var dtype = Precision.bf16
    @Option(help: "The instructions to compute with. Default: the fastest that the processor has.")
    var isa: InstructionSet?
    @Option(help: "Threads. Default: one for each processor that it may use.")
    var threads: Int?

    var threadCount: Int { threads ?? Processors.threadCount() }
    var instructionSet: InstructionSet { isa ?? .best }

    func validate() throws {
        guard randomWeights else { throw ValidationError("There are only random weights to measure with.") }
        if let threads, !(1...1024 ~= threads) {
            throw ValidationError("--threads must be 1 to 1024, not \(threads).")
        }
        if let isa, !InstructionSet.present.contains(isa) {
            let present = InstructionSet.present.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--isa is \(isa), and this processor has \(present).")
        }
    }

    /// Measures the peaks that the figures are held against, says how long what follows takes, and draws the weights of the
    /// model or of a part of it. Throws where they have no room in memory beside `tokens` tokens' keys and values.
    /// - Parameter duration: a few words, of the limits that were measured.
    func prepare(
        part: ModelConfiguration? = nil, tokens: Int = 0, duration: (BenchLimits) -> String
    ) throws -> (model: RandomModel, limits: BenchLimits) {
        let sizes = part ?? config.configuration
        let need = RandomModel.byteCount(sizes, precision: dtype, tokens: tokens)
        let free = MemoryUse.available
        guard need < free else {
            throw CommandError(
                .failed,
                "\(config.name) in \(dtype.rawValue) needs \(need >> 20) MiB, and \(free >> 20) are free")
        }
        Console.note("measuring the machine's peaks: \(Int(Self.peakSeconds)) s")
        let limits = BenchLimits(
            MachinePeaks.measure(threads: threadCount, seconds: Self.peakSeconds), dtype, instructionSet)
        Console.note("what follows takes \(duration(limits))")
        Console.note("drawing the weights of \(config.name) in \(dtype.rawValue)")
        let model = try RandomModel(sizes, precision: dtype, instructionSet: instructionSet, threads: threadCount)
        return (model, limits)
    }

    private static let peakSeconds = 6.0
}

/// The peaks of the arithmetic that is measured.
struct BenchLimits {
    /// Operations/s.
    let operations: Double
    /// Bytes/s.
    let memory: Double

    init(_ peaks: MachinePeaks, _ precision: Precision, _ set: InstructionSet) {
        operations = peaks.arithmetic(precision, set)
        memory = peaks.memory ?? .infinity
    }

    /// How long so many operations take, for a person who waits: at their peak, or somewhat longer.
    func duration(operations count: Double) -> String {
        let least = count / operations
        return "\(Formats.duration(seconds: least)) to \(Formats.duration(seconds: 2 * least))"
    }

    /// The least seconds that something can take: by its operations, or by its weights.
    func seconds(_ cost: RandomModel.Cost) -> Double {
        max(cost.operations / operations, cost.weightBytes / memory)
    }
}

/// One line of a benchmark, as `--json` gives it. Seconds, operations/s and bytes/s; utilisation is the share of the arithmetic's peak,
/// of_limit that of the nearer limit, arithmetic or memory.
struct BenchRow: Encodable {
    let name: String
    let seconds: Double
    let operationsPerSecond: Double
    let weightBytesPerSecond: Double
    let utilisation: Double
    let ofLimit: Double

    init(_ name: String, _ cost: RandomModel.Cost, _ limits: BenchLimits) {
        self.name = name
        seconds = cost.seconds
        operationsPerSecond = cost.operations / cost.seconds
        weightBytesPerSecond = cost.weightBytes / cost.seconds
        utilisation = operationsPerSecond / limits.operations
        ofLimit = limits.seconds(cost) / cost.seconds
    }

    enum CodingKeys: String, CodingKey {
        case name, seconds, utilisation
        case operationsPerSecond = "operations_per_second"
        case weightBytesPerSecond = "weight_bytes_per_second"
        case ofLimit = "of_limit"
    }

    static let columns: [Table.Column] = [
        .text("WHAT"), .number("SECONDS"), .number("G OP/S"), .number("GB/S"), .number("OF PEAK"), .number("OF LIMIT"),
    ]

    var cells: [Table.Cell] {
        [
            Table.Cell(name), Table.Cell(seconds < 0.1 ? Formats.fixed(seconds, 5) : Formats.fixed(seconds, 3)),
            Table.Cell(Formats.fixed(operationsPerSecond / 1e9, 1)),
            Table.Cell(Formats.fixed(weightBytesPerSecond / 1e9, 1)), Table.Cell(Formats.fixed(utilisation, 3)),
            Table.Cell(Formats.fixed(ofLimit, 3)),
        ]
    }

    static func say(_ rows: [BenchRow]) {
        var table = Table(columns)
        rows.forEach { table.add($0.cells) }
        table.lines(width: nil, palette: .output).forEach(Console.say)
    }
}

extension InstructionSet: ExpressibleByArgument {}
