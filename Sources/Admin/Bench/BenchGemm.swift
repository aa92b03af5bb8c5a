import ArgumentParser
import Console
import Inference

/// `glossctl bench gemm`
struct BenchGemm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gemm",
        abstract: "Each matrix product of the model, at several numbers of rows.",
        discussion: """
            Over copies of the weights that no cache holds. OF PEAK is the share of the arithmetic's peak, OF LIMIT that of \
            the nearer limit, arithmetic or memory; both are measured in the same run.

            EXAMPLES
              glossctl bench gemm --dtype int8
              glossctl bench gemm --rows 1 20 --json

            \(ExitStatus.help)
            """)

    @OptionGroup var options: BenchOptions
    @Option(parsing: .upToNextOption, help: "Numbers of rows.")
    var rows = [1, 8, 20, 64, 256]
    @Option(help: "Seconds for each product, about.")
    var seconds = 0.5

    func validate() throws {
        guard rows.allSatisfy({ 1...65536 ~= $0 }), !rows.isEmpty else {
            throw ValidationError("--rows takes numbers from 1 to 65536.")
        }
        guard 0...600 ~= seconds else { throw ValidationError("--seconds must be 0 to 600, not \(seconds).") }
    }

    func run() throws {
        // The products take copies of their own; the rest of the model is as small as it can be.
        let products = options.config.configuration.products
        let (model, limits) = try options.prepare(part: StageTimes.part(of: options.config.configuration)) { _ in
            let each = 0.5 + Double(rows.count) * (seconds + 0.1)
            return "some \(Formats.duration(seconds: Double(products.count) * each)): \(products.count) products"
        }
        let found = products.flatMap { product in
            Console.note(product.name)
            let costs = model.product(
                rows: rows, inputs: product.inputs, outputs: product.outputs, seconds: seconds)
            return zip(rows, costs).map { count, cost in
                BenchRow("\(product.name): \(count) × \(product.inputs) × \(product.outputs)", cost, limits)
            }
        }
        try options.format.json ? JSONText.say(found) : BenchRow.say(found)
    }
}
