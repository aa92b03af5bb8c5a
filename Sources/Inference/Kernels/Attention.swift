import CKernels
import Foundation

/// Rows of a forward pass that belong to one sequence.
struct SequenceRows {
    /// The tokens before `earlier` and `own`, all visible; nil in a prefill.
    let shared: KeyValueCache?
    /// Full blocks before `own`, all visible.
    let earlier: [KeyValueCache]
    /// Where these rows' keys and values go.
    let own: KeyValueCache
    /// Rows of the batch's matrices.
    let rows: Range<Int>
    /// Tokens of `own` that see each other fully: the prefix. Later ones see what precedes them.
    let bidirectional: Int
    /// Index in `own` of the first row's token.
    let start: Int
    /// What the products of these rows add.
    let adapter: Adapter?

    /// Rows of the tokens that come after those that `own` has.
    init(own: KeyValueCache, rows: Range<Int>, bidirectional: Int, adapter: Adapter? = nil) {
        self.init(
            shared: nil, earlier: [], own: own, rows: rows, bidirectional: bidirectional, start: own.count,
            adapter: adapter)
    }

    /// The next tokens of a response, whose last block has room for them.
    init(prefix: KeyValueCache, response: KeyValueBlocks, rows: Range<Int>, adapter: Adapter? = nil) {
        let own = response.blocks.last!
        self.init(
            shared: prefix, earlier: response.blocks.dropLast(), own: own, rows: rows, bidirectional: 0,
            start: own.count, adapter: adapter)
    }

    private init(
        shared: KeyValueCache?, earlier: [KeyValueCache], own: KeyValueCache, rows: Range<Int>, bidirectional: Int,
        start: Int, adapter: Adapter?
    ) {
        (self.shared, self.earlier, self.own, self.rows) = (shared, earlier, own, rows)
        (self.bidirectional, self.start, self.adapter) = (bidirectional, start, adapter)
    }

    /// The last token alone, as row `row`.
    func last(row: Int) -> SequenceRows {
        SequenceRows(
            shared: shared, earlier: earlier, own: own, rows: row..<row + 1, bidirectional: bidirectional,
            start: start + rows.count - 1, adapter: adapter)
    }

    private var earlierCount: Int { earlier.count * KeyValueBlocks.tokens }
    /// Tokens before those of `own`.
    private var before: Int { (shared?.count ?? 0) + earlierCount }

    /// Tokens that the last row sees, in all.
    var seenByLast: Int { before + visible(at: start + rows.count - 1) }

    /// Tokens of `own` that the token at `index` of `own` sees.
    func visible(at index: Int) -> Int { max(index + 1, bidirectional) }

    /// What the token at `index` of `own` sees of `shared`, and of `earlier` and `own` together, where a suffix sees its
    /// last `window` tokens.
    func seen(at index: Int, window: Int?) -> (shared: gloss_range, own: gloss_range) {
        let sharedCount = shared?.count ?? 0
        let first = index < bidirectional ? 0 : max(0, before + index + 1 - (window ?? .max))
        return (
            gloss_range(first: Int64(min(first, sharedCount)), end: Int64(sharedCount)),
            gloss_range(first: Int64(max(first - sharedCount, 0)), end: Int64(earlierCount + visible(at: index)))
        )
    }

    /// 1-based position of the token at `index` of `own`, as Hugging Face counts.
    func position(at index: Int) -> Int { before + index + 1 }
}

/// Where heads lie in a row of fused projections [queries | keys | values].
struct HeadLayout {
    let queryHeads: Int
    let cache: KeyValueLayout

    var groupSize: Int { queryHeads / cache.heads }
    var queryWidth: Int { queryHeads * cache.headDimension }
    var keyWidth: Int { cache.heads * cache.headDimension }
    var rowWidth: Int { queryWidth + 2 * keyWidth }
}

/// cos and sin of every position's angles, for RoPE (half-split).
struct RotaryTable: Sendable {
    private let half: Int
    private let cosines: [Float]
    private let sines: [Float]

    /// Angles position · base^(−2i/d) in f32, as the reference makes them, for positions 0..<count.
    init(headDimension: Int, base: Double, positions count: Int) {
        half = headDimension / 2
        let inverse = (0..<half).map { Float(1) / Float(pow(base, Double(2 * $0) / Double(headDimension))) }
        let angles = (0..<count).flatMap { position in inverse.map { Float(position) * $0 } }
        cosines = angles.map { Float(cos(Double($0))) }
        sines = angles.map { Float(sin(Double($0))) }
    }

    var positions: Int { half == 0 ? 0 : cosines.count / half }

    func rotate(_ compute: Compute, _ x: UnsafeMutablePointer<Float>, heads: Int, position: Int) {
        precondition(position < positions)
        cosines.withUnsafeBufferPointer { c in
            sines.withUnsafeBufferPointer { s in
                gloss_rope(
                    compute.instructionSet, x, Int64(heads), Int64(half * 2), c.baseAddress! + position * half,
                    s.baseAddress! + position * half)
            }
        }
    }
}

extension Compute {
    /// Rotates the keys of `projections` [rows, H·D + 2·K·D], and writes keys and values to the caches of `layer`.
    func rotateAndStoreKeys(
        _ projections: inout Matrix, _ sequences: [SequenceRows], heads: HeadLayout, rotary: RotaryTable, layer: Int
    ) {
        let (base, width, d) = (projections.base, projections.columns, heads.cache.headDimension)
        forEachRow(sequences, cost: 8 * heads.keyWidth) { sequence, i in
            let keys = base + (sequence.rows.lowerBound + i) * width + heads.queryWidth
            let index = sequence.start + i
            rotary.rotate(self, keys, heads: heads.cache.heads, position: sequence.position(at: index))
            for head in 0..<heads.cache.heads {
                sequence.own.store(
                    key: keys + head * d, value: keys + heads.keyWidth + head * d, at: index, layer: layer, head: head)
            }
        }
    }

    /// Rotates the queries of `projections` [rows, H·D + …].
    func rotateQueries(
        _ projections: inout Matrix, _ sequences: [SequenceRows], heads: HeadLayout, rotary: RotaryTable
    ) {
        let (base, width) = (projections.base, projections.columns)
        forEachRow(sequences, cost: 4 * heads.queryWidth) { sequence, i in
            rotary.rotate(
                self, base + (sequence.rows.lowerBound + i) * width, heads: heads.queryHeads,
                position: sequence.position(at: sequence.start + i))
        }
    }

    private func forEachRow(_ sequences: [SequenceRows], cost: Int, _ body: (SequenceRows, Int) -> Void) {
        if sequences.allSatisfy({ $0.rows.count == 1 }) {
            split(sequences.count, cost: cost) { range in for sequence in sequences[range] { body(sequence, 0) } }
        } else {
            for sequence in sequences {
                split(sequence.rows.count, cost: cost) { range in for i in range { body(sequence, i) } }
            }
        }
    }

    /// Attention of every row over what its sequence sees: output [rows, H·D].
    func attention(
        _ projections: borrowing Matrix, _ sequences: [SequenceRows], heads: HeadLayout, layer: Int,
        _ specification: LayerSpecification.Attention, into output: inout Operand
    ) {
        let tasks = AttentionTask.tasks(of: sequences, heads: heads, threads: threadCount)
        let (input, result) = (projections.base, output.target())
        let ldq = projections.columns
        let cost = tasks.reduce(0) { $0 + $1.cost(heads) } / max(tasks.count, 1)
        split(tasks.count, cost: cost) { range in
            for task in tasks[range] {
                task.run(self, heads: heads, layer: layer, specification, input: input, ldq, output: result)
            }
        }
    }

    /// Full attention of each image's patches, head by head. projections [B·N, 3·D] → output [B·N, D].
    func fullAttention(
        _ projections: borrowing Matrix, images: Int, heads: Int, scale: Float, into output: inout Operand
    ) {
        let (count, width) = (projections.rows / images, output.columns)
        let d = width / heads
        let (input, result, ldq) = (projections.base, output.target(), projections.columns)
        let layout = KeyValueLayout(layers: 1, heads: 1, headDimension: d, type: output.type)
        split(images * heads, cost: 4 * count * count * d) { range in
            let cache = Matrix.temporary(rows: 1, columns: layout.byteCount(capacity: count) / 4, zeroed: true)
            let block = AttentionBlock(
                compute: self, headDimension: d, type: output.type,
                specification: LayerSpecification.Attention(scale: scale))
            for item in range {
                let first = input + item / heads * count * ldq + item % heads * d
                for i in 0..<count {
                    layout.store(
                        key: first + i * ldq + width, value: first + i * ldq + 2 * width, in: cache.base, at: i,
                        capacity: count)
                }
                let keys = layout.keys(at: cache.base, tokens: count)
                let values = layout.values(at: cache.base, tokens: count, capacity: count)
                let row = item / heads * count
                let size = AttentionBlock.rows(seeing: count)
                for start in stride(from: 0, to: count, by: size) {
                    let queries = (start..<min(start + size, count)).map {
                        AttentionBlock.Query(
                            source: first + $0 * ldq, row: row + $0, column: item % heads * d,
                            shared: gloss_range(), own: gloss_range(first: 0, end: Int64(count)))
                    }
                    block.run(shared: nil, parts: [([(keys, values)], queries)], into: result)
                }
            }
        }
    }
}

/// Queries that share a KV head and what they see: consecutive tokens of one sequence, or the next tokens of the
/// samples of one prefill.
private struct AttentionTask {
    /// Sequences with the same prefix, and tokens of each by their index in its `own`.
    var parts: [(sequence: SequenceRows, tokens: Range<Int>)]
    let head: Int

    static func tasks(of sequences: [SequenceRows], heads: HeadLayout, threads: Int) -> [AttentionTask] {
        // Of few sequences each thread gets some.
        let least = min(48, max(8, sequences.count / threads * heads.groupSize))
        var runs: [[(sequence: SequenceRows, tokens: Range<Int>)]] = []
        for sequence in sequences {
            let all = sequence.start..<sequence.start + sequence.rows.count
            let rows = AttentionBlock.rows(seeing: sequence.seenByLast, least: all.count == 1 ? least : 48)
            let limit = max(1, rows / heads.groupSize)
            let last = runs.last
            if let shared = sequence.shared, all.count == 1, let last, last[0].sequence.shared === shared,
                last.count < limit
            {
                runs[runs.count - 1].append((sequence, all))
                continue
            }
            runs += stride(from: all.lowerBound, to: all.upperBound, by: limit).map {
                [(sequence, $0..<min($0 + limit, all.upperBound))]
            }
        }
        return runs.flatMap { run in (0..<heads.cache.heads).map { AttentionTask(parts: run, head: $0) } }
    }

    func cost(_ heads: HeadLayout) -> Int {
        parts.reduce(0) { sum, part in
            sum + 4 * part.tokens.count * heads.groupSize * part.sequence.seenByLast * heads.cache.headDimension
        }
    }

    func run(
        _ compute: Compute, heads: HeadLayout, layer: Int, _ specification: LayerSpecification.Attention,
        input: UnsafePointer<Float>, _ ldq: Int, output: gloss_target
    ) {
        let (d, group) = (heads.cache.headDimension, heads.groupSize)
        let block = AttentionBlock(
            compute: compute, headDimension: d, type: heads.cache.type, specification: specification)
        func segment(_ cache: KeyValueCache, _ tokens: Int) -> AttentionBlock.Segment {
            (
                cache.keys(layer: layer, head: head, tokens: tokens),
                cache.values(layer: layer, head: head, tokens: tokens)
            )
        }
        let shared = parts[0].sequence.shared.map { segment($0, $0.count) }
        let own = parts.map { sequence, tokens in
            let seen = sequence.visible(at: tokens.upperBound - 1)
            let queries = tokens.flatMap { token in
                let sees = sequence.seen(at: token, window: specification.window)
                return (0..<group).map { member in
                    let row = sequence.rows.lowerBound + token - sequence.start
                    let column = (head * group + member) * d
                    return AttentionBlock.Query(
                        source: input + row * ldq + column, row: row, column: column, shared: sees.shared,
                        own: sees.own)
                }
            }
            return (
                segments: sequence.earlier.map { segment($0, $0.count) } + [segment(sequence.own, seen)],
                queries: queries
            )
        }
        block.run(shared: shared, parts: own, into: output)
    }
}

/// Attention as two matrix products: scores = queries · keysᵀ, softmax, weights · values.
private struct AttentionBlock {
    let compute: Compute
    let headDimension: Int
    let type: gloss_dtype
    let specification: LayerSpecification.Attention

    struct Query {
        /// [head dimension].
        let source: UnsafePointer<Float>
        /// Where the result goes.
        let row: Int
        let column: Int
        /// Tokens that it sees: of what all share, and of its part's segments, one after the other.
        let shared: gloss_range
        let own: gloss_range
    }
    /// Keys and values that lie together.
    typealias Segment = (keys: gloss_weights, values: gloss_weights)
    /// All segments but the last have 64 tokens.
    typealias Part = (segments: [Segment], queries: [Query])

    /// Queries whose scores stay in the second cache, or 8 tiles of them, which read keys and values once.
    static func rows(seeing tokens: Int, least: Int = 48) -> Int { min(max(65536 / max(tokens, 1), least), 256) }

    /// Queries see `shared`, and their part.
    func run(shared: Segment?, parts: [Part], into output: gloss_target) {
        let panel = Int(GLOSS_PANEL)
        let before = Int(shared?.keys.outputs ?? 0)
        let second = (before + panel - 1) / panel * panel
        let most = parts.map { ($0.segments.count - 1) * panel + Int($0.segments.last!.keys.outputs) }.max() ?? 0
        let width = second + (most + panel - 1) / panel * panel
        let queries = parts.flatMap(\.queries)
        let isSplit = type == GLOSS_BF16 && gloss_splits_bf16(compute.instructionSet, compute.isTiled)
        let rowType = isSplit ? GLOSS_BF16_SPLIT : type
        let operand = Operand.temporary(rows: queries.count, columns: headDimension, type: rowType)
        for (index, query) in queries.enumerated() {
            var target = operand.target(from: index)
            gloss_convert(compute.instructionSet, query.source, 0, GLOSS_F32, 1, &target, 1, Int64(headDimension), nil)
        }
        let scores = Matrix.temporary(rows: queries.count, columns: width)
        let weights = Operand.temporary(rows: queries.count, columns: width, type: rowType)
        let sums = Matrix.temporary(rows: queries.count, columns: headDimension)
        if let shared { multiply(operand.operand, shared.keys, scores.output(GLOSS_STORE), 0..<queries.count) }
        forEachSegment(parts) { segment, index, rows in
            multiply(
                operand.operand, segment.keys, scores.output(GLOSS_STORE, column: second + index * panel), rows)
        }
        let inverses = queries.enumerated().map { index, query in
            let own = gloss_range(first: Int64(second) + query.own.first, end: Int64(second) + query.own.end)
            return softmax(
                scores.base + index * width, query.shared, own, into: weights.target(from: index), width: width)
        }
        if let shared { multiply(weights.operand, shared.values, sums.output(GLOSS_STORE), 0..<queries.count) }
        forEachSegment(parts) { segment, index, rows in
            let form = shared == nil && index == 0 ? GLOSS_STORE : GLOSS_ADD
            multiply(weights.operand(column: second + index * panel), segment.values, sums.output(form), rows)
        }
        for (index, query) in queries.enumerated() {
            var target = output
            target.rows += query.row * Int(output.stride) + query.column * type.byteCount
            target.stride = 0
            gloss_convert(
                compute.instructionSet, sums.base + index * headDimension, 0, GLOSS_F32, inverses[index], &target, 1,
                Int64(headDimension), nil)
        }
    }

    /// Weights of one query's scores, not yet divided by their sum. 1 / that sum.
    private func softmax(
        _ scores: UnsafeMutablePointer<Float>, _ a: gloss_range, _ b: gloss_range,
        into weights: gloss_target, width: Int
    ) -> Float {
        let (isa, scale) = (compute.instructionSet, specification.scale)
        guard let cap = specification.softCap else {
            return gloss_softmax(isa, scores, a, b, scale, weights.rows, weights.type, Int64(width))
        }
        for range in [a, b] { gloss_soft_cap(isa, scores + Int(range.first), range.end - range.first, scale, cap) }
        return gloss_softmax(isa, scores, a, b, 1, weights.rows, weights.type, Int64(width))
    }

    private func forEachSegment(_ parts: [Part], _ body: (Segment, _ index: Int, _ rows: Range<Int>) -> Void) {
        var row = 0
        for part in parts {
            for (index, segment) in part.segments.enumerated() { body(segment, index, row..<row + part.queries.count) }
            row += part.queries.count
        }
    }

    private func multiply(_ x: gloss_operand, _ weights: gloss_weights, _ output: gloss_output, _ rows: Range<Int>) {
        var (x, weights, output) = (x, weights, output)
        output.columns = weights.outputs
        let panels = (weights.outputs + Int64(GLOSS_PANEL) - 1) / Int64(GLOSS_PANEL)
        gloss_gemm(
            compute.instructionSet, compute.isTiled, &x, &weights, &output, Int64(rows.lowerBound),
            Int64(rows.upperBound), 0, panels)
    }
}

extension Matrix {
    fileprivate func output(_ form: gloss_form, column: Int) -> gloss_output {
        var output = output(form)
        output.rows += column * 4
        return output
    }
}

extension Operand {
    fileprivate func operand(column: Int) -> gloss_operand {
        var operand = operand
        operand.rows += column * type.byteCount
        return operand
    }
}
