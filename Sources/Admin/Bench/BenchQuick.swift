import ArgumentParser
import Console
import Inference

/// `glossctl bench quick`
struct BenchQuick: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quick",
        abstract: "What to expect of this machine, in half a minute and without a model.",
        discussion: """
            GB is the size of the weights. G OP/S is the speed of the decoder's largest product (gate and up) with 256 rows, \
            as in a prefill; with 20, as of responses side by side; with 1, as of a response alone. IMAGE is one image with a prompt of 10 tokens and a response of 10; \
            OBJECT is 8 views × 4 questions × 5 samples of 5 tokens. Both are measured on 2 layers of each tower and scaled \
            by the operations of all layers; ~ marks what is computed from the speed of the products alone, where there is \
            no time for more. Fetching and decoding images come on top.

            EXAMPLES
              glossctl bench quick
              glossctl bench quick --images 1000000 --objects 20000
              glossctl bench quick --config paligemma2-10b-224 --json

            \(ExitStatus.help)
            """)

    @OptionGroup var format: FormatOptions
    @Option(help: "The sizes: paligemma-3b, paligemma2-3b, -10b or -28b, and -224, -448 or -896.")
    var config = BenchOptions.Config.all[0]
    @Option(help: "How long so many images would take.")
    var images: Int?
    @Option(help: "How long so many objects would take.")
    var objects: Int?
    @Option(help: "Threads. Default: one for each processor that it may use.")
    var threads: Int?
    @Option(help: "Seconds that it takes at most, about.")
    var seconds = 25.0

    private var threadCount: Int { threads ?? Processors.threadCount() }

    func validate() throws {
        if let threads, !(1...1024 ~= threads) {
            throw ValidationError("--threads must be 1 to 1024, not \(threads).")
        }
        guard 0...600 ~= seconds else { throw ValidationError("--seconds must be 0 to 600, not \(seconds).") }
        for (name, count) in [("images", images), ("objects", objects)] {
            if let count, !(1...1_000_000_000_000 ~= count) {
                throw ValidationError("--\(name) must be 1 to 1,000,000,000,000, not \(count).")
            }
        }
    }

    func run() throws {
        Console.note("measuring for up to \(Int(seconds)) s")
        let deadline = ContinuousClock.now + .seconds(seconds)
        let tiles = InstructionSet.best == .amx
        // What is chosen most often comes first: it is measured in any case.
        let precisions = [Precision.int8, .bf16] + (tiles ? [.bf16AMX] : []) + [.f32]
        var found: [PrecisionSpeed] = []
        for (index, precision) in precisions.enumerated() {
            let left = (deadline - .now) / .seconds(1) / Double(precisions.count - index)
            found.append(try PrecisionSpeed(config.configuration, precision, threads: threadCount, seconds: left))
        }
        found.reverse()
        let answer = Answer(
            machine: Machine(threads: threadCount), config: config.name, precisions: found,
            choice: PrecisionSpeed.choice(of: found)?.precision.rawValue, images: images, objects: objects)
        try format.json ? JSONText.say(answer) : say(answer)
    }

    private func say(_ answer: Answer) {
        answer.machine.lines.forEach(Console.say)
        var columns: [Table.Column] = [
            .text("PRECISION"), .number("GB"), .number("G OP/S: 256 ROWS"), .number("20 ROWS"), .number("1 ROW"),
            .number("IMAGE"), .number("OBJECT"),
        ]
        if let images { columns.append(.number("\(Formats.count(images)) IMAGES")) }
        if let objects { columns.append(.number("\(Formats.count(objects)) OBJECTS")) }
        var table = Table(columns)
        for speed in answer.precisions {
            let mark = speed.isEstimated ? "~" : ""
            let times =
                ["\(Formats.fixed(speed.image, 2)) s", "\(Formats.fixed(speed.object, 1)) s"]
                + [images.map { Double($0) * speed.image }, objects.map { Double($0) * speed.object }]
                .compactMap { $0.map(Formats.duration) }
            let speeds = [speed.prefillOperations, speed.extendOperations, speed.singleOperations]
            table.add(
                [Table.Cell(speed.precision.rawValue), Table.Cell(Formats.fixed(Double(speed.weightBytes) / 1e9, 1))]
                    + speeds.map { Table.Cell(Formats.fixed($0 / 1e9, 0)) } + times.map { Table.Cell(mark + $0) })
        }
        table.lines(width: nil, palette: .output).forEach(Console.say)
        Console.say(advice(answer))
    }

    private func advice(_ answer: Answer) -> String {
        guard let choice = PrecisionSpeed.choice(of: answer.precisions) else {
            return "No precision's weights fit into the free memory."
        }
        let others = answer.precisions.filter { $0.precision != choice.precision }
            .map { "\($0.precision.rawValue) takes \(Formats.fixed($0.object / choice.object, 1)) times as long" }
        return "Use precision \(choice.precision.rawValue): " + others.joined(separator: ", ") + "."
            + " How exact each is: docs/model.md."
    }

    private struct Answer: Encodable {
        let machine: Machine
        let config: String
        let precisions: [PrecisionSpeed]
        let choice: String?
        let images, objects: Int?
    }
}

/// How fast a precision is on this machine. Operations/s, seconds and bytes.
struct PrecisionSpeed: Encodable {
    let precision: Precision
    /// Of the whole model.
    let weightBytes: Int
    let fits: Bool
    /// Of the largest product with 256, 20 and 1 rows.
    let prefillOperations, extendOperations, singleOperations: Double
    /// Seconds of an image with a prompt and a response of 10 tokens, and of a multiview object.
    let image, object: Double
    /// Whether they follow from the products' speed alone.
    let isEstimated: Bool

    private static let responseTokens = 10

    /// Measures in about `seconds`, if that is enough for more than the products.
    init(_ configuration: ModelConfiguration, _ precision: Precision, threads: Int, seconds: Double) throws {
        let start = ContinuousClock.now
        let part = try RandomModel(StageTimes.part(of: configuration), precision: precision, threads: threads)
        let (_, inputs, outputs) = configuration.products[2]
        let costs = part.product(rows: [1, 20, 256], inputs: inputs, outputs: outputs, seconds: seconds / 20)
        let speeds = costs.map { $0.operations / $0.seconds }
        let spent = (ContinuousClock.now - start) / .seconds(1)
        // Other operations are slower than the largest product.
        isEstimated = spent + 1.5 * StageTimes.operations(configuration) / speeds[2] > seconds
        let times =
            isEstimated
            ? StageTimes(configuration, operationsPerSecond: speeds[2]) : StageTimes(configuration, on: part)
        self.precision = precision
        weightBytes = RandomModel.byteCount(configuration, precision: precision, tokens: 0)
        fits = weightBytes < MemoryUse.available
        (singleOperations, extendOperations, prefillOperations) = (speeds[0], speeds[1], speeds[2])
        (image, object) = (times.job(responseTokens: Self.responseTokens), times.object)
    }

    /// The most exact of those that are almost as fast as the fastest, and whose weights fit into memory.
    static func choice(of all: [PrecisionSpeed]) -> PrecisionSpeed? {
        let possible = all.filter(\.fits)
        guard let least = possible.map(\.object).min() else { return nil }
        let fast = possible.filter { $0.object < 1.15 * least }
        return [Precision.f32, .bf16, .bf16AMX, .int8].lazy.compactMap { precision in
            fast.first { $0.precision == precision }
        }.first
    }

    enum CodingKeys: String, CodingKey {
        case precision, fits
        case weightBytes = "weight_bytes"
        case prefillOperations = "operations_per_second_256_rows"
        case extendOperations = "operations_per_second_20_rows"
        case singleOperations = "operations_per_second_1_row"
        case image = "image_seconds"
        case object = "object_seconds"
        case isEstimated = "estimated"
    }
}
