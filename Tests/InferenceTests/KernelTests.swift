import CKernels
import Foundation
import Testing

@testable import Inference

private let instructionSets = [GLOSS_GENERIC, GLOSS_AVX2, GLOSS_AVX512].filter {
    $0.rawValue <= gloss_best_isa().rawValue
}

/// Seeded values in −1…1.
struct Noise {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }

    mutating func values(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in next() * scale } }
}

/// Each kernel against a naive twin in double, and each instruction set against the generic one, bit for bit.
@Suite struct KernelTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let m, n, k: Int
        var testDescription: String { "\(m)×\(n)×\(k)" }
    }

    static let shapes = [
        Shape(m: 1, n: 1, k: 1), Shape(m: 2, n: 63, k: 7), Shape(m: 5, n: 64, k: 511), Shape(m: 6, n: 65, k: 512),
        Shape(m: 7, n: 130, k: 513), Shape(m: 13, n: 48, k: 100), Shape(m: 300, n: 17, k: 33),
        Shape(m: 3, n: 200, k: 1100),
    ]

    @Test(arguments: shapes, [StoredType.f32, .f16, .bf16]) func linear(shape: Shape, type: StoredType) {
        var noise = Noise(1)
        let x = Matrix(rows: shape.m, columns: shape.k, values: noise.values(shape.m * shape.k))
        let stored = StoredWeights(noise.values(shape.n * shape.k), type: type)
        let bias = noise.values(shape.n)
        let packed = PackedWeights(outputs: shape.n, inputs: shape.k, isBF16: type == .bf16)
        stored.withBytes { packed.fill(at: 0, rows: shape.n, from: $0, type: type) }
        let layer = Linear(weights: packed, bias: bias)
        var first: [Float]?
        for (isa, threads) in instructionSets.flatMap({ [($0, 1), ($0, 3)] }) {
            let start = noise.values(0) + [Float](repeating: 0.25, count: shape.m * shape.n)
            var y = Matrix(rows: shape.m, columns: shape.n, values: start)
            Compute(instructionSet: isa, threadCount: threads).linear(x, layer, into: &y, accumulate: true)
            let found = y.values(rows: 0..<shape.m)
            if let first { #expect(found == first) } else { first = found }
        }
        for m in 0..<shape.m {
            for n in 0..<shape.n {
                let exact = (0..<shape.k).reduce(0.25 + Double(bias[n])) {
                    $0 + Double(x[m, $1]) * Double(stored.values[n * shape.k + $1])
                }
                #expect(abs(Double(first![m * shape.n + n]) - exact) < 2e-6 * Double(shape.k).squareRoot() + 1e-6)
            }
        }
    }

    @Test func aRowAloneAndInABatch() {
        var noise = Noise(2)
        let (k, n, m) = (700, 150, 23)
        let x = noise.values(m * k)
        let packed = PackedWeights(outputs: n, inputs: k, isBF16: false)
        StoredWeights(noise.values(n * k), type: .f32).withBytes { packed.fill(at: 0, rows: n, from: $0, type: .f32) }
        let layer = Linear(weights: packed, bias: noise.values(n))
        var batch = Matrix(rows: m, columns: n)
        let compute = Compute(threadCount: 2)
        compute.linear(Matrix(rows: m, columns: k, values: x), layer, into: &batch)
        for row in 0..<m {
            var alone = Matrix(rows: 1, columns: n)
            compute.linear(
                Matrix(rows: 1, columns: k, values: Array(x[row * k..<(row + 1) * k])), layer, into: &alone)
            #expect(alone.values(rows: 0..<1) == batch.values(rows: row..<row + 1))
        }
    }

    @Test(arguments: [1, 15, 16, 17, 100, 1152]) func norms(d: Int) {
        var noise = Noise(UInt64(d))
        let (values, w, b) = (noise.values(3 * d, scale: 30), noise.values(d), noise.values(d))
        let x = Matrix(rows: 3, columns: d, values: values)
        var results: [[Float]] = []
        for isa in instructionSets {
            let compute = Compute(instructionSet: isa, threadCount: 2)
            var rms = Matrix(rows: 3, columns: d)
            var layer = Matrix(rows: 3, columns: d)
            compute.rmsNorm(x, weight: w, epsilon: 1e-6, into: &rms)
            compute.layerNorm(x, LayerNorm(weight: w, bias: b, epsilon: 1e-6), into: &layer)
            results.append(rms.values(rows: 0..<3) + layer.values(rows: 0..<3))
        }
        #expect(results.allSatisfy { $0 == results[0] })
        for row in 0..<3 {
            let r = values[row * d..<(row + 1) * d].map(Double.init)
            let mean = r.reduce(0, +) / Double(d)
            let square = (r.reduce(0) { $0 + $1 * $1 } / Double(d) + 1e-6).squareRoot()
            let deviation = (r.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(d) + 1e-6).squareRoot()
            for i in 0..<d {
                #expect(abs(Double(results[0][row * d + i]) - r[i] / square * (1 + Double(w[i]))) < 3e-6)
                let expected = (r[i] - mean) / deviation * Double(w[i]) + Double(b[i])
                #expect(abs(Double(results[0][(3 + row) * d + i]) - expected) < (d == 1 ? 1e-2 : 1e-5))
            }
        }
    }

    @Test func geluOverTheWholeRange() {
        let inputs: [Float] =
            stride(from: -30, through: 30, by: 0.0371).map { Float($0) } + [0, -0.0, 1e-20, -1e-20, 1e4, -1e4]
        var results: [[Float]] = []
        for isa in instructionSets {
            var x = Matrix(rows: 1, columns: inputs.count, values: inputs)
            Compute(instructionSet: isa, threadCount: 1).gelu(&x)
            results.append(x.values(rows: 0..<1))
        }
        #expect(results.allSatisfy { $0 == results[0] })
        for (x, y) in zip(inputs.map(Double.init), results[0]) {
            let exact = 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
            #expect(abs(Double(y) - exact) <= 1e-6 * max(1, abs(x)), "\(x)")
        }
    }

    @Test(arguments: [(1, 16), (3, 16), (4, 32), (9, 256), (5, 80)]) func attention(rows: Int, width: Int) {
        var noise = Noise(9)
        let counts = [5, 0, 31]
        let total = counts.reduce(0, +)
        let (queries, keys, values) = (
            noise.values(rows * width), noise.values(total * width), noise.values(total * width)
        )
        var results: [[Float]] = []
        for isa in instructionSets {
            results.append(
                keys.withUnsafeBufferPointer { k in
                    values.withUnsafeBufferPointer { v in
                        var start = 0
                        let segments = counts.map { count in
                            defer { start += count * width }
                            return gloss_segment(
                                keys: k.baseAddress! + start, values: v.baseAddress! + start, count: Int64(count))
                        }
                        var (scores, out) = (
                            [Float](repeating: 0, count: 4 * total), [Float](repeating: 0, count: rows * width)
                        )
                        gloss_attention(isa, queries, Int64(rows), segments, 3, Int64(width), 0.3, &scores, &out)
                        return out
                    }
                })
        }
        #expect(results.allSatisfy { $0 == results[0] })
        for r in 0..<rows {
            let scores = (0..<total).map { j in
                0.3 * (0..<width).reduce(0.0) { $0 + Double(queries[r * width + $1]) * Double(keys[j * width + $1]) }
            }
            let weights = scores.map { exp($0 - scores.max()!) }
            let sum = weights.reduce(0, +)
            for i in 0..<width {
                let exact = (0..<total).reduce(0.0) { $0 + weights[$1] * Double(values[$1 * width + i]) } / sum
                #expect(abs(Double(results[0][r * width + i]) - exact) < 2e-6)
            }
        }
    }

    @Test func logSumExpOfLargeAndSmallLogits() {
        var noise = Noise(4)
        for (count, scale) in [(1, 1), (17, 80), (1003, 5), (257_216, 30)] as [(Int, Float)] {
            let x = noise.values(count, scale: scale)
            let top = Double(x.max()!)
            let exact = top + log(x.reduce(0.0) { $0 + exp(Double($1) - top) })
            let found = instructionSets.map {
                Compute(instructionSet: $0, threadCount: 1).logSumExp(
                    Matrix(rows: 1, columns: count, values: x), row: 0)
            }
            #expect(found.allSatisfy { $0 == found[0] })
            #expect(abs(found[0] - exact) < 1e-6)
        }
    }
}

/// Weights as a checkpoint stores them, and what those bytes mean.
struct StoredWeights {
    let values: [Float]
    private let bytes: [UInt8]

    init(_ exact: [Float], type: StoredType) {
        switch type {
        case .f32:
            values = exact
            bytes = exact.flatMap { withUnsafeBytes(of: $0, Array.init) }
        case .bf16:
            let bits = exact.map { UInt16($0.bitPattern >> 16) }
            values = bits.map { Float(bitPattern: UInt32($0) << 16) }
            bytes = bits.flatMap { withUnsafeBytes(of: $0, Array.init) }
        case .f16:
            let halves = exact.map { FloatHalf($0) }
            values = halves.map(\.value)
            bytes = halves.flatMap { withUnsafeBytes(of: $0.bits, Array.init) }
        }
    }

    func withBytes(_ body: (RawSpan) -> Void) { body(bytes.span.bytes) }
}

/// An f16 number made from sign, exponent and the top ten bits of the fraction; small values become subnormal or 0.
private struct FloatHalf {
    let bits: UInt16
    let value: Float

    init(_ x: Float) {
        let scaled = (abs(x) * 16_777_216).rounded(.towardZero)  // 2^24: the subnormals' unit
        let sign: UInt16 = x.sign == .minus ? 0x8000 : 0
        if scaled < 1024 {
            bits = sign | UInt16(scaled)
            value = (x.sign == .minus ? -1 : 1) * scaled / 16_777_216
        } else {
            let exponent = Int(x.exponent) + 15
            let fraction = UInt16(x.significandBitPattern >> 13)
            bits = sign | UInt16(exponent) << 10 | fraction
            value = Float(bitPattern: x.bitPattern & ~0x1FFF)
        }
    }
}
