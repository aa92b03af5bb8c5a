import CKernels
import Synchronization

/// Where and how kernels run: instruction set and threads. Neither changes a bit of any result.
struct Compute: Sendable {
    let instructionSet: gloss_isa
    let threadCount: Int
    /// Counts kernels begun: a watchdog's sign of life.
    let activity = Activity()
    private let pool: ThreadPool

    init(instructionSet: gloss_isa = gloss_best_isa(), threadCount: Int, cpus: [Int] = []) {
        self.instructionSet = instructionSet
        self.threadCount = threadCount
        pool = ThreadPool(threadCount: threadCount, cpus: cpus)
    }

    /// Splits 0..<count among the threads when the whole is worth it: `cost` is operations an item.
    func split(_ count: Int, cost: Int, _ body: (Range<Int>) -> Void) {
        activity.count.add(1, ordering: .relaxed)
        let worthwhile = 100_000  // operations a chunk: a microsecond or more, the price of a hand-over
        let chunks = min(threadCount == 1 ? 1 : threadCount * 4, count, max(1, count * cost / worthwhile))
        if chunks <= 1 { return body(0..<count) }
        // Chunks write disjoint parts.
        pool.run(chunks: chunks) { body(count * $0 / chunks..<count * ($0 + 1) / chunks) }
    }

    /// y = x · Wᵀ + b, or y += x · Wᵀ + b. x [rows, inputs], y [rows, outputs].
    func linear(_ x: borrowing Matrix, _ layer: Linear, into y: inout Matrix, accumulate: Bool = false) {
        let w = layer.weights
        precondition(x.columns == w.inputs && y.columns == w.outputs && x.rows == y.rows)
        let (rows, input, output) = (Int64(x.rows), x.base, y.base)
        let (ldx, ldy) = (Int64(x.columns), Int64(y.columns))
        withOptionalPointer(layer.bias) { bias in
            split(w.panelCount, cost: 2 * x.rows * w.inputs * Int(GLOSS_PANEL)) { panels in
                gloss_gemm(
                    instructionSet, input, ldx, w.pointer, w.isBF16, Int64(w.outputs), Int64(w.inputs), bias,
                    accumulate,
                    output, ldy, rows, Int64(panels.lowerBound), Int64(panels.upperBound))
            }
        }
    }

    /// LayerNorm of each row.
    func layerNorm(_ x: borrowing Matrix, _ norm: LayerNorm, into y: inout Matrix) {
        precondition(x.columns == norm.weight.count && y.columns == x.columns && y.rows == x.rows)
        let (input, output, d) = (x.base, y.base, x.columns)
        split(x.rows, cost: 16 * d) { rows in
            gloss_layer_norm(
                instructionSet, input + rows.lowerBound * d, norm.weight, norm.bias, norm.epsilon,
                output + rows.lowerBound * d, Int64(rows.count), Int64(d))
        }
    }

    /// Gemma's RMSNorm of each row: weight w multiplies as (1 + w).
    func rmsNorm(_ x: borrowing Matrix, weight: [Float], epsilon: Float, into y: inout Matrix) {
        precondition(x.columns == weight.count && y.columns == x.columns && y.rows == x.rows)
        let (input, output, d) = (x.base, y.base, x.columns)
        split(x.rows, cost: 8 * d) { rows in
            gloss_rms_norm(
                instructionSet, input + rows.lowerBound * d, weight, epsilon, output + rows.lowerBound * d,
                Int64(rows.count), Int64(d))
        }
    }

    /// GELU (tanh form), in place.
    func gelu(_ x: inout Matrix) {
        let (base, d) = (x.base, x.columns)
        split(x.rows, cost: 32 * d) { rows in
            gloss_gelu(instructionSet, base + rows.lowerBound * d, Int64(rows.count * d))
        }
    }

    /// y [rows, d] = gelu(x[…, 0..<d]) · x[…, d..<2d].
    func geglu(_ x: borrowing Matrix, into y: inout Matrix) {
        precondition(x.columns == 2 * y.columns && x.rows == y.rows)
        let (input, output, d) = (x.base, y.base, y.columns)
        split(x.rows, cost: 32 * d) { rows in
            gloss_geglu(
                instructionSet, input + rows.lowerBound * 2 * d, output + rows.lowerBound * d, Int64(rows.count),
                Int64(d))
        }
    }

    /// log Σ exp of row `row`.
    func logSumExp(_ logits: borrowing Matrix, row: Int) -> Double {
        gloss_log_sum_exp(instructionSet, logits.base + row * logits.columns, Int64(logits.columns))
    }

    /// Index of the first largest value of row `row`.
    func argmax(_ logits: borrowing Matrix, row: Int) -> Int {
        Int(gloss_argmax(logits.base + row * logits.columns, Int64(logits.columns)))
    }

    /// exp((x − max) / temperature) of row `row`: unnormalised probabilities.
    func weights(_ logits: borrowing Matrix, row: Int, temperature: Double) -> [Float] {
        let count = logits.columns
        let base = logits.base + row * count
        return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            _ = gloss_exp_weights(instructionSet, base, temperature, buffer.baseAddress, Int64(count))
            initialized = count
        }
    }
}

/// A counter that outlives the calls that it counts.
final class Activity: Sendable {
    let count = Atomic(0)
}

/// LayerNorm's parameters.
struct LayerNorm: Sendable {
    let weight: [Float]
    let bias: [Float]
    let epsilon: Float
}

private func withOptionalPointer(_ values: [Float]?, _ body: (UnsafePointer<Float>?) -> Void) {
    if let values { values.withUnsafeBufferPointer { body($0.baseAddress) } } else { body(nil) }
}
