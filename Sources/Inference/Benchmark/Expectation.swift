/// What a loaded model is expected to take on this machine, by the speed of its largest product alone. Other operations are
/// slower than that one: PaliGemma 3B takes some tenth longer, a small model several times as long.
public struct Expectation: Sendable {
    /// Of the largest product, operations/s.
    public let operationsPerSecond: Double
    /// The stages at that speed.
    public let times: StageTimes

    /// Whether products take most of the model's time, so that the times say something.
    public var isMeaningful: Bool { times.job(responseTokens: 10) > 0.05 }
}

extension PaliGemma {
    /// Measures the decoder's largest product for some tenths of a second, and no longer than a second where plain C
    /// computes.
    /// - Throws: there is no memory for its rows.
    public func expectation() throws(InferenceError) -> Expectation {
        let product = language.largestProduct
        let (inputs, outputs) = (product.weights.inputs, product.weights.outputs)
        let rows = 256
        var x = try Operand(rows: rows, columns: inputs, type: precision.operandType)
        let values = (0..<rows * inputs).map { Float($0 % 251) / 251 }
        compute.convert(try Matrix(rows: rows, columns: inputs, values: values), into: &x)
        var y = try Matrix(rows: rows, columns: outputs)
        func speed(columns: Int) -> Double {
            let seconds = ContinuousClock().measure { compute.linear(x, product, into: &y, columns: 0..<columns) }
            return 2 * Double(rows * inputs * columns) / (seconds / .seconds(1))
        }
        // A little of it tells how much there is time for.
        let few = min(outputs, 512)
        _ = speed(columns: few)
        let columns = 0.1 * speed(columns: few) / (2 * Double(rows * inputs))
        let many = min(outputs, max(few, Int(columns) / few * few))
        let found = max(speed(columns: many), speed(columns: many))
        return Expectation(
            operationsPerSecond: found, times: StageTimes(configuration, operationsPerSecond: found))
    }
}
