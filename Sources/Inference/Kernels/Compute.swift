import CKernels
import Synchronization

/// Where and how kernels run: instruction set and threads, neither of which changes a bit of any result, and the order
/// in which bf16 is summed.
struct Compute: Sendable {
    let instructionSet: gloss_isa
    /// bf16 is summed as AMX does.
    var isTiled: Bool
    let threadCount: Int
    /// Counts kernels begun: a watchdog's sign of life.
    let activity = Activity()
    private let pool: ThreadPool

    init(
        instructionSet: gloss_isa = gloss_best_isa(), isTiled: Bool = false, threadCount: Int, cpus: [Int] = []
    ) {
        self.instructionSet = instructionSet
        self.isTiled = isTiled
        self.threadCount = threadCount
        pool = ThreadPool(threadCount: threadCount, cpus: cpus)
    }

    /// Splits 0..<count among the threads when the whole is worth it: `cost` is operations an item. `areSequential`: a
    /// thread is faster on items side by side, and all cost the same.
    func split(_ count: Int, cost: Int, areSequential: Bool = false, _ body: (Range<Int>) -> Void) {
        activity.count.add(1, ordering: .relaxed)
        let worthwhile = 100_000  // operations a chunk: a microsecond or more, the price of a hand-over
        let chunks = min(threadCount == 1 ? 1 : threadCount * 16, count, max(1, count * cost / worthwhile))
        // A thread that is alone comes to its processors only by the pool.
        if chunks <= 1 && threadCount > 1 { return body(0..<count) }
        // Chunks write disjoint parts.
        guard areSequential else {
            return pool.run(chunks: chunks) { body(count * $0 / chunks..<count * ($0 + 1) / chunks) }
        }
        let shares = Shares(parts: chunks, threadCount: threadCount)
        pool.run(chunks: shares.count) {
            body(count * shares.start($0) / chunks..<count * shares.start($0 + 1) / chunks)
        }
    }

    /// y = x · Wᵀ + b, or (ADD) y += x · Wᵀ + b. x [rows, inputs], y [rows, outputs]. `columns`: the outputs that are
    /// wanted; others that share a panel with these are computed, too. `addends`: what rows add to x · Wᵀ.
    func linear(
        _ x: borrowing Operand, _ layer: Linear, into y: inout Matrix, _ form: gloss_form = GLOSS_STORE,
        columns: Range<Int>? = nil, addends: Addends? = nil
    ) {
        precondition(y.columns == layer.weights.outputs && y.rows == x.rows)
        let panel = Int(GLOSS_PANEL)
        let panels = columns.map { $0.lowerBound / panel..<($0.upperBound + panel - 1) / panel }
        multiply(x, layer, y.output(form), addends, panels: panels)
    }

    /// y = x · Wᵀ + b of some rows.
    func linear(_ x: borrowing Operand, _ layer: Linear, into y: inout Matrix, rows: Range<Int>) {
        precondition(y.columns == layer.weights.outputs && y.rows == x.rows && rows.upperBound <= x.rows)
        multiply(x, layer, y.output(GLOSS_STORE), nil, rows: rows)
    }

    /// y = f(x · Wᵀ + b) as another product's left side, which is not int8. GEGLU: y [rows, outputs / 2].
    func linear(
        _ x: borrowing Operand, _ layer: Linear, into y: inout Operand, _ form: gloss_form, addends: Addends? = nil
    ) {
        precondition(y.columns == layer.weights.outputs / (form == GLOSS_GEGLU ? 2 : 1) && y.rows == x.rows)
        precondition(y.type != GLOSS_INT8)
        multiply(x, layer, y.output(form), addends)
    }

    private func multiply(
        _ x: borrowing Operand, _ layer: Linear, _ output: gloss_output, _ addends: Addends?,
        panels: Range<Int>? = nil, rows: Range<Int>? = nil
    ) {
        let w = layer.weights
        precondition(x.columns == w.inputs)
        var output = output
        output.addends = addends?.kernel
        defer { withExtendedLifetime(addends) {} }
        // Rows are taken some hundred at a time, so that they stay in the second cache beside a panel, in whole tiles.
        let most = Int(gloss_rows_at_once(instructionSet, isTiled, x.type))
        let tile = most == Int(GLOSS_TILED_ROWS) ? 32 : Int(GLOSS_TILE_ROWS)
        let (from, count) = (rows?.lowerBound ?? 0, rows?.count ?? x.rows)
        let atMost = (count + most - 1) / most
        let rowsAtOnce = max(tile, (count + atMost * tile - 1) / max(atMost * tile, 1) * tile)
        let rowChunks = (count + rowsAtOnce - 1) / rowsAtOnce
        let (operand, target, all) = (x.operand, output, panels ?? 0..<w.shape.panelCount)
        withOptionalPointer(layer.bias) { bias in
            let kernel = w.kernel(bias: bias)
            // The end of a panel prefetches the next one.
            split(
                rowChunks * all.count, cost: 2 * min(count, rowsAtOnce) * w.inputs * Int(GLOSS_PANEL),
                areSequential: true
            ) { items in
                var (operand, kernel, output) = (operand, kernel, target)
                for chunk in items.lowerBound / all.count...(items.upperBound - 1) / all.count {
                    let inside = items.clamped(to: chunk * all.count..<(chunk + 1) * all.count)
                    let first = all.lowerBound - chunk * all.count
                    gloss_gemm(
                        instructionSet, isTiled, &operand, &kernel, &output, Int64(from + rowsAtOnce * chunk),
                        Int64(from + min(rowsAtOnce * (chunk + 1), count)), Int64(first + inside.lowerBound),
                        Int64(first + inside.upperBound))
                }
            }
        }
    }

    /// The same numbers in another type: bf16 to int8.
    func convert(_ x: borrowing Operand, into y: inout Operand) {
        precondition(x.columns == y.columns && x.rows == y.rows)
        convert(x.base, stride: x.stride, type: x.type, into: &y)
    }

    /// f32 rows as a product's left side.
    func convert(_ x: borrowing Matrix, into y: inout Operand) {
        precondition(x.columns == y.columns && x.rows == y.rows)
        convert(x.base, stride: x.columns * 4, type: GLOSS_F32, into: &y)
    }

    private func convert(_ source: UnsafeRawPointer, stride: Int, type: gloss_dtype, into y: inout Operand) {
        let (target, columns) = (y.target(), y.columns)
        split(y.rows, cost: (y.type == GLOSS_INT8 ? 16 : 4) * columns) { rows in
            let scratch = Matrix.temporary(rows: 1, columns: columns)
            var target = target.from(row: rows.lowerBound)
            gloss_convert(
                instructionSet, source + rows.lowerBound * stride, Int64(stride), type, 1, &target, Int64(rows.count),
                Int64(columns), scratch.base)
        }
    }

    /// LayerNorm of each row.
    func layerNorm(_ x: borrowing Matrix, _ norm: LayerNorm, into y: inout Operand) {
        precondition(x.columns == norm.weight.count && y.columns == x.columns && y.rows == x.rows)
        let (input, target, d) = (x.base, y.target(), x.columns)
        split(x.rows, cost: 16 * d) { rows in
            let scratch = Matrix.temporary(rows: 1, columns: d)
            var target = target.from(row: rows.lowerBound)
            gloss_layer_norm(
                instructionSet, input + rows.lowerBound * d, norm.weight, norm.bias, norm.epsilon, &target,
                Int64(rows.count), Int64(d), scratch.base)
        }
    }

    /// Gemma's RMSNorm of each row: weight w multiplies as (1 + w).
    func rmsNorm(_ x: borrowing Matrix, weight: [Float], epsilon: Float, into y: inout Operand) {
        precondition(x.columns == weight.count && y.columns == x.columns && y.rows == x.rows)
        let (input, target, d) = (x.base, y.target(), x.columns)
        split(x.rows, cost: 8 * d) { rows in
            let scratch = Matrix.temporary(rows: 1, columns: d)
            var target = target.from(row: rows.lowerBound)
            gloss_rms_norm(
                instructionSet, input + rows.lowerBound * d, weight, epsilon, &target, Int64(rows.count), Int64(d),
                scratch.base)
        }
    }

    /// y += Gemma's RMSNorm of each row of x.
    func addRMSNorm(_ x: borrowing Matrix, weight: [Float], epsilon: Float, to y: inout Matrix) {
        precondition(x.columns == weight.count && y.columns == x.columns && y.rows == x.rows)
        let (input, output, d) = (x.base, y.base, x.columns)
        split(x.rows, cost: 8 * d) { rows in
            let first = rows.lowerBound * d
            gloss_add_rms_norm(
                instructionSet, input + first, weight, epsilon, output + first, Int64(rows.count), Int64(d))
        }
    }

    /// x = cap · tanh(x / cap).
    func softCap(_ x: inout Matrix, _ cap: Float) {
        let (base, count, part) = (x.base, x.rows * x.columns, 4096)
        split((count + part - 1) / part, cost: 32 * part) { parts in
            let range = parts.lowerBound * part..<min(parts.upperBound * part, count)
            gloss_soft_cap(instructionSet, base + range.lowerBound, Int64(range.count), 1, cap)
        }
    }

    /// log Σ exp of row `row`.
    func logSumExp(_ logits: borrowing Matrix, row: Int) -> Double {
        gloss_log_sum_exp(instructionSet, logits.base + row * logits.columns, Int64(logits.columns))
    }

    /// Index of the first largest value of row `row`.
    func argmax(_ logits: borrowing Matrix, row: Int) -> Int {
        Int(gloss_argmax(instructionSet, logits.base + row * logits.columns, Int64(logits.columns)))
    }

    /// Indices of the `count` largest values of row `row`, the largest first; of equal ones the first. Others if there is
    /// a NaN.
    func largest(_ count: Int, _ logits: borrowing Matrix, row: Int) -> [Int] {
        let base = logits.base + row * logits.columns
        let indices = [Int64](unsafeUninitializedCapacity: min(count, logits.columns)) { buffer, initialized in
            gloss_top_indices(
                instructionSet, base, Int64(logits.columns), Int64(buffer.count), buffer.baseAddress!)
            initialized = buffer.count
        }
        return indices.map { Int($0) }
    }

    /// The first index of row `row` where the running sum of the probabilities exceeds `uniform` (0..<1) of their
    /// total.
    func draw(_ logits: borrowing Matrix, row: Int, temperature: Double, uniform: Double) -> Int {
        Int(
            gloss_draw(
                instructionSet, logits.base + row * logits.columns, Int64(logits.columns), temperature, uniform))
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

extension gloss_target {
    /// The same from `row` on.
    func from(row: Int) -> gloss_target {
        gloss_target(
            rows: rows + row * Int(stride), stride: stride, type: type, scales: scales + row,
            corrections: corrections + row)
    }
}

/// Parts of a work as the threads take them: of what is left, half in equal runs of parts, one for each thread. Thus most of
/// it is in long runs, and the threads still end within a part of each other.
struct Shares {
    let parts: Int
    let threadCount: Int
    /// Runs of parts.
    let count: Int

    init(parts: Int, threadCount: Int) {
        (self.parts, self.threadCount) = (parts, threadCount)
        var (left, count) = (parts, 0)
        while left > 0 {
            let size = Self.size(left, threadCount)
            let runs = min(threadCount, left / size)
            (left, count) = (left - size * runs, count + runs)
        }
        self.count = count
    }

    private static func size(_ left: Int, _ threadCount: Int) -> Int { max(1, left / (2 * threadCount)) }

    /// The first part of run `index`; of `count`, how many parts there are.
    func start(_ index: Int) -> Int {
        var (index, start) = (index, 0)
        while start < parts {
            let size = Self.size(parts - start, threadCount)
            let runs = min(threadCount, (parts - start) / size)
            if index < runs { return start + size * index }
            (index, start) = (index - runs, start + size * runs)
        }
        return parts
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
