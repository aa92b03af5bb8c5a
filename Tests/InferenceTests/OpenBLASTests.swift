import CKernels
import Foundation
import Testing

@testable import Inference

/// All elements of f32 products and of attention against OpenBLAS, which sums in another order. Two sums of k products
/// differ by at most k · ε · Σ |ab|.
@Suite(.enabled(if: OpenBLAS.installed != nil, "OpenBLAS is not installed: scripts/bootstrap"))
struct OpenBLASTests {
    private let blas = OpenBLAS.installed!
    private let epsilon = Float.ulpOfOne

    static let shapes =
        KernelTests.shapes + [
            .init(m: 96, n: 192, k: 1152), .init(m: 20, n: 640, k: 2048), .init(m: 97, n: 129, k: 4304),
            .init(m: 1, n: 1152, k: 1152),
        ]

    @Test(arguments: shapes) func products(shape: KernelTests.Shape) throws {
        let (m, n, k) = (shape.m, shape.n, shape.k)
        var noise = Noise(21)
        let x = noise.values(m * k)
        for type in [StoredType.f32, .bf16] {
            let stored = StoredWeights(noise.values(n * k), type: type)
            let packed = try PackedWeights(WeightShape(outputs: n, inputs: k, type: Precision.f32.weightType(type)))
            stored.withBytes { packed.fill(at: 0, rows: n, from: $0, type: type) }
            let found = try product(
                x, Linear(weights: packed, bias: nil), rows: m, .f32, GLOSS_STORE, Compute(threadCount: 2))
            let expected = blas.product(x, stored.values, m: m, n: n, k: k)
            let magnitudes = blas.product(x.map { abs($0) }, stored.values.map { abs($0) }, m: m, n: n, k: k)
            expectClose(found, expected, within: magnitudes.map { Float(k) * epsilon * $0 })
        }
    }

    /// Prefixes and the suffixes behind them, with a window and a soft cap, and fewer KV heads than heads of queries.
    @Test(arguments: [nil, 9], [nil, 2] as [Float?]) func prefill(window: Int?, softCap: Float?) throws {
        let heads = HeadLayout(
            queryHeads: 4, cache: KeyValueLayout(layers: 1, heads: 2, headDimension: 72, type: GLOSS_F32))
        var noise = Noise(22)
        var (histories, sequences, first) = ([History](), [SequenceRows](), 0)
        for (count, prefix) in [(70, 70), (133, 100), (1, 1)] {
            let cache = try KeyValueCache(layout: heads.cache, capacity: count)
            let history = History(tokens: count, heads: heads, prefix: prefix, &noise)
            for token in 0..<count { history.store(token, in: cache, at: token) }
            sequences.append(SequenceRows(own: cache, rows: first..<first + count, bidirectional: prefix))
            histories.append(history)
            first += count
        }
        try check(
            sequences, histories, heads, .init(scale: 0.3, softCap: softCap, window: window), rows: first, &noise)
    }

    /// A step of several responses, of several blocks, behind two prefixes.
    @Test(arguments: [nil, 90], [nil, 2] as [Float?]) func steps(window: Int?, softCap: Float?) throws {
        let heads = HeadLayout(
            queryHeads: 8, cache: KeyValueLayout(layers: 1, heads: 1, headDimension: 64, type: GLOSS_F32))
        var noise = Noise(23)
        var (histories, sequences) = ([History](), [SequenceRows]())
        for (prefix, responses) in [(140, [1, 64, 65, 150]), (31, [3])] {
            let shared = try KeyValueCache(layout: heads.cache, capacity: prefix)
            let common = History(tokens: prefix, heads: heads, prefix: prefix, &noise)
            for token in 0..<prefix { common.store(token, in: shared, at: token) }
            shared.advance(by: prefix)
            for count in responses {
                let history = common.continued(by: count, &noise)
                var response = KeyValueBlocks(layout: heads.cache, limit: count)
                for token in 0..<count {
                    try response.makeRoom()
                    let block = response.blocks.last!
                    history.store(prefix + token, in: block, at: block.count)
                    if token < count - 1 { block.advance(by: 1) }
                }
                let row = sequences.count
                sequences.append(SequenceRows(prefix: shared, response: response, rows: row..<row + 1))
                histories.append(history)
            }
        }
        try check(
            sequences, histories, heads, .init(scale: 0.25, softCap: softCap, window: window), rows: sequences.count,
            &noise)
    }

    @Test func vision() throws {
        let (images, tokens, count, d) = (2, 130, 3, 72)
        let width = count * d
        var noise = Noise(24)
        let values = noise.values(images * tokens * 3 * width, scale: 2)
        var output = try Operand(rows: images * tokens, columns: width, type: GLOSS_F32)
        Compute(threadCount: 2).fullAttention(
            try Matrix(rows: images * tokens, columns: 3 * width, values: values), images: images, heads: count,
            scale: 0.2, into: &output)
        let found = output.values
        for (image, head) in (0..<images).flatMap({ image in (0..<count).map { (image, $0) } }) {
            func part(_ kind: Int) -> [Float] {
                (0..<tokens).flatMap { token in
                    let at = (image * tokens + token) * 3 * width + kind * width + head * d
                    return values[at..<at + d]
                }
            }
            let result = (0..<tokens).flatMap { token in
                let at = (image * tokens + token) * width + head * d
                return found[at..<at + d]
            }
            expectAttention(
                result, queries: part(0), keys: part(1), values: part(2), d: d, .init(scale: 0.2)
            ) { _, _ in true }
        }
    }

    /// The tokens of a sequence: keys and values of each KV head, [tokens, head dimension].
    private struct History {
        let heads: HeadLayout
        let prefix: Int
        var keys, values: [[Float]]

        init(tokens: Int, heads: HeadLayout, prefix: Int, _ noise: inout Noise) {
            (self.heads, self.prefix) = (heads, prefix)
            let count = tokens * heads.cache.headDimension
            keys = (0..<heads.cache.heads).map { _ in noise.values(count, scale: 2) }
            values = (0..<heads.cache.heads).map { _ in noise.values(count, scale: 2) }
        }

        func continued(by tokens: Int, _ noise: inout Noise) -> History {
            var all = self
            let more = History(tokens: tokens, heads: heads, prefix: prefix, &noise)
            for head in keys.indices {
                all.keys[head] += more.keys[head]
                all.values[head] += more.values[head]
            }
            return all
        }

        func store(_ token: Int, in cache: KeyValueCache, at index: Int) {
            let d = heads.cache.headDimension
            for head in keys.indices {
                cache.store(
                    key: Array(keys[head][token * d..<(token + 1) * d]),
                    value: Array(values[head][token * d..<(token + 1) * d]), at: index, layer: 0, head: head)
            }
        }
    }

    /// Attention of random queries: the last rows.count tokens of each history ask.
    private func check(
        _ sequences: [SequenceRows], _ histories: [History], _ heads: HeadLayout,
        _ specification: LayerSpecification.Attention, rows: Int, _ noise: inout Noise
    ) throws {
        let (width, d, group) = (heads.rowWidth, heads.cache.headDimension, heads.groupSize)
        let projections = noise.values(rows * width)
        var output = try Operand(rows: rows, columns: heads.queryWidth, type: GLOSS_F32)
        Compute(threadCount: 2).attention(
            try Matrix(rows: rows, columns: width, values: projections), sequences, heads: heads, layer: 0,
            specification, into: &output)
        let found = output.values
        for (sequence, history) in zip(sequences, histories) {
            for head in 0..<heads.queryHeads {
                let (keys, values) = (history.keys[head / group], history.values[head / group])
                let queries = sequence.rows.flatMap { projections[$0 * width + head * d..<$0 * width + head * d + d] }
                let result = sequence.rows.flatMap {
                    found[$0 * heads.queryWidth + head * d..<$0 * heads.queryWidth + head * d + d]
                }
                let first = keys.count / d - sequence.rows.count
                expectAttention(result, queries: queries, keys: keys, values: values, d: d, specification) {
                    let query = first + $0
                    return query < history.prefix
                        ? $1 < history.prefix : $1 <= query && $1 > query - (specification.window ?? .max)
                }
            }
        }
    }

    /// Scores and sums by OpenBLAS, weights in double. The bound has the scores' own, which the weights take over, the
    /// weights' rounding, and that of sums over tokens.
    private func expectAttention(
        _ found: [Float], queries: [Float], keys: [Float], values: [Float], d: Int,
        _ specification: LayerSpecification.Attention, sees: (_ query: Int, _ token: Int) -> Bool
    ) {
        let (m, n, scale) = (queries.count / d, keys.count / d, specification.scale)
        let scores = blas.product(queries, keys, m: m, n: n, k: d)
        let magnitudes = blas.product(queries.map { abs($0) }, keys.map { abs($0) }, m: m, n: n, k: d)
        var (weights, relative) = ([Float](repeating: 0, count: m * n), [Float](repeating: 0, count: m))
        for query in 0..<m {
            let row = query * n..<(query + 1) * n
            let capped = scores[row].map { score in
                specification.softCap.map { Double($0) * tanh(Double(score * scale) / Double($0)) }
                    ?? Double(score) * Double(scale)
            }
            let seen = (0..<n).filter { sees(query, $0) }
            let top = seen.map { capped[$0] }.max()!
            let sum = seen.reduce(0) { $0 + exp(capped[$1] - top) }
            for token in seen { weights[row.lowerBound + token] = Float(exp(capped[token] - top) / sum) }
            let most = magnitudes[row].max()! * scale
            relative[query] = 2 * epsilon * (Float(d) * most + most + Float(n) + 16)
        }
        expectClose(
            found, blas.product(weights, values, m: m, n: d, k: n, isTransposed: false),
            within: blas.product(weights, values.map { abs($0) }, m: m, n: d, k: n, isTransposed: false).enumerated()
                .map { relative[$0 / d] * $1 })
    }

    /// One expectation for all: thousands of them take seconds.
    private func expectClose(_ found: [Float], _ expected: [Float], within bounds: [Float]) {
        #expect(found.count == expected.count)
        let wrong = found.indices.filter { !(abs(found[$0] - expected[$0]) <= bounds[$0]) }
        #expect(
            wrong.isEmpty,
            "\(wrong.count) of \(found.count), first \(wrong.first.map { "[\($0)] \(found[$0]), not \(expected[$0])" } ?? "")"
        )
    }
}
