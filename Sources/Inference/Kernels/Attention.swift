import CKernels
import Foundation

/// Rows of a forward pass that belong to one sequence.
struct SequenceRows {
    /// The tokens before `own`, all visible; nil in a prefill.
    let shared: KeyValueCache?
    /// Where these rows' keys and values go.
    let own: KeyValueCache
    /// Rows of the batch's matrices.
    let rows: Range<Int>
    /// Tokens of `own` that see each other fully: the prefix. Later ones see what precedes them.
    let bidirectional: Int

    /// Tokens of `own` that the token at `index` of `own` sees.
    func visible(at index: Int) -> Int { max(index + 1, bidirectional) }

    /// 1-based position of the token at `index` of `own`, as Hugging Face counts.
    func position(at index: Int) -> Int { (shared?.count ?? 0) + index + 1 }
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
    /// Rotates queries and keys of `projections` [rows, H·D + 2·K·D], and writes keys and values to the caches of `layer`.
    func rotateAndStore(
        _ projections: inout Matrix, _ sequences: [SequenceRows], heads: HeadLayout, rotary: RotaryTable, layer: Int
    ) {
        let (base, width) = (projections.base, projections.columns)
        for sequence in sequences {
            let start = sequence.own.count
            split(sequence.rows.count, cost: 4 * width) { range in
                for i in range {
                    let row = base + (sequence.rows.lowerBound + i) * width
                    rotary.rotate(
                        self, row, heads: heads.queryHeads + heads.cache.heads,
                        position: sequence.position(at: start + i))
                    store(row + heads.queryWidth, in: sequence.own, at: start + i, heads: heads, layer: layer)
                }
            }
        }
    }

    private func store(
        _ keysAndValues: UnsafePointer<Float>, in cache: KeyValueCache, at index: Int, heads: HeadLayout, layer: Int
    ) {
        precondition(index < cache.capacity)
        let (d, stride) = (heads.cache.headDimension, heads.cache.stride)
        for head in 0..<heads.cache.heads {
            (cache.keys(layer: layer, head: head) + index * stride).update(from: keysAndValues + head * d, count: d)
            (cache.values(layer: layer, head: head) + index * stride)
                .update(from: keysAndValues + heads.keyWidth + head * d, count: d)
        }
    }

    /// Attention of every row over what its sequence sees: output [rows, H·D].
    func attention(
        _ projections: borrowing Matrix, _ sequences: [SequenceRows], heads: HeadLayout, layer: Int, scale: Float,
        into output: inout Matrix
    ) {
        let tasks = sequences.flatMap { AttentionTask.tasks(of: $0, heads: heads) }
        let (input, result) = (projections.base, output.base)
        let (ldq, ldo) = (projections.columns, output.columns)
        let cost = tasks.reduce(0) { $0 + $1.cost(heads) } / max(tasks.count, 1)
        split(tasks.count, cost: cost) { range in
            for task in tasks[range] {
                task.run(self, heads: heads, layer: layer, scale: scale, input: input, ldq, output: result, ldo)
            }
        }
    }

    /// Full attention of one image's patches, a head at a time. projections [B·N, 3·D] → output [B·N, D].
    func fullAttention(
        _ projections: borrowing Matrix, images: Int, heads: Int, scale: Float, into output: inout Matrix
    ) {
        let (count, width) = (projections.rows / images, output.columns)
        let d = width / heads
        let stride = (d + 15) / 16 * 16
        let (input, result, ldq) = (projections.base, output.base, projections.columns)
        split(images * heads, cost: 4 * count * count * d) { range in
            let scratch = Matrix(rows: 1, columns: 4 * count * (stride + 1), zeroed: true)
            for item in range {
                let (image, head) = (item / heads, item % heads)
                let first = input + image * count * ldq + head * d
                for part in 0..<3 {
                    gather(first + part * width, ldq, count, d, into: scratch.base + part * count * stride, stride)
                }
                let part = count * stride
                var segment = gloss_segment(
                    keys: scratch.base + part, values: scratch.base + 2 * part, count: Int64(count))
                gloss_attention(
                    instructionSet, scratch.base, Int64(count), &segment, 1, Int64(stride), scale,
                    scratch.base + 4 * part, scratch.base + 3 * part)
                let out = scratch.base + 3 * count * stride
                for i in 0..<count {
                    (result + (image * count + i) * width + head * d).update(from: out + i * stride, count: d)
                }
            }
        }
    }

    private func gather(
        _ from: UnsafePointer<Float>, _ ld: Int, _ count: Int, _ d: Int, into: UnsafeMutablePointer<Float>,
        _ stride: Int
    ) {
        for i in 0..<count { (into + i * stride).update(from: from + i * ld, count: d) }
    }
}

/// Queries of consecutive tokens of one sequence that share a KV head and see the same keys.
private struct AttentionTask {
    let sequence: SequenceRows
    /// Tokens, by their index in `sequence.own`.
    let tokens: Range<Int>
    let head: Int

    /// Up to 32 tokens of the prefix at a time; tokens after it one by one.
    static func tasks(of sequence: SequenceRows, heads: HeadLayout) -> [AttentionTask] {
        let start = sequence.own.count
        let all = start..<start + sequence.rows.count
        let prefix = all.clamped(to: 0..<max(sequence.bidirectional, 0))
        var runs = stride(from: prefix.lowerBound, to: prefix.upperBound, by: 32).map {
            $0..<min($0 + 32, prefix.upperBound)
        }
        let rest = max(all.lowerBound, sequence.bidirectional)..<max(all.upperBound, sequence.bidirectional)
        runs += rest.map { $0..<$0 + 1 }
        return runs.flatMap { run in
            (0..<heads.cache.heads).map { AttentionTask(sequence: sequence, tokens: run, head: $0) }
        }
    }

    var seen: Int { (sequence.shared?.count ?? 0) + sequence.visible(at: tokens.lowerBound) }

    func cost(_ heads: HeadLayout) -> Int { 4 * tokens.count * heads.groupSize * seen * heads.cache.headDimension }

    func run(
        _ compute: Compute, heads: HeadLayout, layer: Int, scale: Float, input: UnsafePointer<Float>, _ ldq: Int,
        output: UnsafeMutablePointer<Float>, _ ldo: Int
    ) {
        let (d, stride, group) = (heads.cache.headDimension, heads.cache.stride, heads.groupSize)
        let rows = tokens.count * group
        let scratch = Matrix(rows: 1, columns: 2 * rows * stride + 4 * seen, zeroed: true)
        let (queries, out) = (scratch.base, scratch.base + rows * stride)
        let firstRow = sequence.rows.lowerBound + tokens.lowerBound - sequence.own.count
        let column = head * group * d
        for r in 0..<rows {
            let source = input + (firstRow + r / group) * ldq + column + r % group * d
            (queries + r * stride).update(from: source, count: d)
        }
        let segments = segments(layer: layer)
        gloss_attention(
            compute.instructionSet, queries, Int64(rows), segments, Int64(segments.count), Int64(stride), scale,
            out + rows * stride, out)
        for r in 0..<rows {
            (output + (firstRow + r / group) * ldo + column + r % group * d).update(from: out + r * stride, count: d)
        }
    }

    private func segments(layer: Int) -> [gloss_segment] {
        let own = gloss_segment(
            keys: sequence.own.keys(layer: layer, head: head), values: sequence.own.values(layer: layer, head: head),
            count: Int64(sequence.visible(at: tokens.lowerBound)))
        guard let shared = sequence.shared else { return [own] }
        let before = gloss_segment(
            keys: shared.keys(layer: layer, head: head), values: shared.values(layer: layer, head: head),
            count: Int64(shared.count))
        return [before, own]
    }
}
