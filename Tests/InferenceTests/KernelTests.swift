import CKernels
import Foundation
import Testing

@testable import Inference

/// Each kernel against a naive twin in double, and each instruction set against the generic one, bit for bit.
@Suite struct KernelTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let m, n, k: Int
        var testDescription: String { "\(m)×\(n)×\(k)" }
    }

    static let shapes = [
        Shape(m: 1, n: 1, k: 1), Shape(m: 2, n: 63, k: 7), Shape(m: 5, n: 64, k: 511), Shape(m: 6, n: 65, k: 512),
        Shape(m: 7, n: 130, k: 513), Shape(m: 13, n: 48, k: 100), Shape(m: 300, n: 17, k: 33),
        Shape(m: 3, n: 200, k: 1100), Shape(m: 20, n: 70, k: 2050), Shape(m: 25, n: 96, k: 4099),
        Shape(m: 40, n: 700, k: 70),
    ]

    /// x · Wᵀ in double, of the numbers that each precision multiplies, and the sum of the magnitudes.
    private func exact(_ x: [Float], _ w: [Float], _ precision: Precision) -> (sum: Double, magnitude: Double) {
        let (a, b) = (rounded(x, precision), rounded(w, precision))
        let products = zip(a, b).map { $0 * $1 }
        return (products.reduce(0, +), products.reduce(0) { $0 + abs($1) })
    }

    private func rounded(_ x: [Float], _ precision: Precision) -> [Double] {
        switch precision {
        case .f32: return x.map(Double.init)
        case .bf16, .bf16AMX: return x.map { Double(nearestBF16($0)) }
        case .int8:
            var x = x
            gloss_rotate(GLOSS_GENERIC, &x, Int64(x.count))
            let top = x.map { abs($0) }.max()!
            let inverse = top > 0 ? 127 / top : 0
            return x.map { (Double($0) * Double(inverse)).rounded(.toNearestOrEven) * Double(top / 127) }
        }
    }

    @Test(arguments: shapes, Precision.allCases) func linear(shape: Shape, precision: Precision) throws {
        for type in [StoredType.f32, .f16, .bf16] {
            var noise = Noise(1)
            let (m, n, k) = (shape.m, shape.n, shape.k)
            let x = noise.values(m * k)
            let stored = StoredWeights(noise.values(n * k), type: type)
            let bias = noise.values(n)
            let packed = try PackedWeights(WeightShape(outputs: n, inputs: k, type: precision.weightType(type)))
            stored.withBytes { packed.fill(at: 0, rows: n, from: $0, type: type) }
            let layer = Linear(weights: packed, bias: bias)
            var first: [Float]?
            for (isa, threads) in instructionSets.flatMap({ [($0, 1), ($0, 3)] }) {
                // Sums of int8 are exact in any order.
                let isTiled = precision == .bf16AMX || precision == .int8 && threads == 3
                let compute = Compute(instructionSet: isa, isTiled: isTiled, threadCount: threads)
                let found = try product(x, layer, rows: m, precision, GLOSS_ADD, compute)
                if let first { #expect(found == first) } else { first = found }
            }
            for (row, column) in [(0, 0), (m - 1, n - 1), (m / 2, n / 2), (m / 3, n - 1), (m - 1, 0)] {
                let (sum, magnitude) = exact(
                    Array(x[row * k..<(row + 1) * k]), Array(stored.values[column * k..<(column + 1) * k]), precision)
                let found = Double(first![row * n + column])
                #expect(abs(found - (0.25 + Double(bias[column]) + sum)) < 1e-6 * magnitude + 1e-6)
            }
        }
    }

    @Test(arguments: Precision.allCases) func aRowAloneAndInABatch(precision: Precision) throws {
        var noise = Noise(2)
        let (k, n, m) = (700, 150, 300)
        let x = noise.values(m * k)
        let packed = try PackedWeights(WeightShape(outputs: n, inputs: k, type: precision.weightType(.f32)))
        StoredWeights(noise.values(n * k), type: .f32).withBytes { packed.fill(at: 0, rows: n, from: $0, type: .f32) }
        let layer = Linear(weights: packed, bias: noise.values(n))
        let compute = Compute(isTiled: precision == .bf16AMX, threadCount: 2)
        let alone = try (0..<m).map { row in
            try product(Array(x[row * k..<(row + 1) * k]), layer, rows: 1, precision, GLOSS_STORE, compute)
        }
        for rows in Array(1...30) + [64, 239, 240, 241, 300] {
            let batch = try product(Array(x[..<(rows * k)]), layer, rows: rows, precision, GLOSS_STORE, compute)
            #expect(batch == alone[..<rows].flatMap(\.self), "\(rows) rows")
        }
    }

    @Test(arguments: Precision.allCases) func extremeValues(precision: Precision) throws {
        let (k, n) = (256, 64)
        var noise = Noise(3)
        var x = noise.values(k, scale: 1e18)
        (x[3], x[200]) = (0, -1e19)
        let packed = try PackedWeights(WeightShape(outputs: n, inputs: k, type: precision.weightType(.f32)))
        var w = noise.values(n * k, scale: 1e-19)
        for i in 0..<k { w[5 * k + i] = 0 }
        StoredWeights(w, type: .f32).withBytes { packed.fill(at: 0, rows: n, from: $0, type: .f32) }
        let layer = Linear(weights: packed, bias: nil)
        let compute = Compute(isTiled: precision == .bf16AMX, threadCount: 2)
        let y = try product(x, layer, rows: 1, precision, GLOSS_STORE, compute)
        for column in 0..<n {
            let (sum, magnitude) = exact(x, Array(w[column * k..<(column + 1) * k]), precision)
            #expect(abs(Double(y[column]) - sum) <= 2e-6 * magnitude)
        }
        #expect(y[5] == 0)
        #expect(
            try product([Float](repeating: 0, count: k), layer, rows: 1, precision, GLOSS_STORE, compute).allSatisfy {
                $0 == 0
            }
        )
        for odd in [Float.nan, .infinity] {
            x[7] = odd
            #expect(try !product(x, layer, rows: 1, precision, GLOSS_STORE, compute)[0].isFinite)
        }
    }

    /// A column that has a weight which is no number gives none, wherever it stands; no other column is touched.
    @Test(arguments: Precision.allCases, [Float.nan, .infinity]) func weightsThatAreNoNumbers(
        precision: Precision, odd: Float
    ) throws {
        let (k, n) = (130, 8)
        var noise = Noise(8)
        var w = noise.values(n * k)
        for (column, i) in [(0, 0), (3, 64), (7, k - 1)] { w[column * k + i] = odd }
        for i in 0..<k { w[5 * k + i] = (i % 2 == 0 ? 1 : -1) * .leastNormalMagnitude / 8 }
        let packed = try PackedWeights(WeightShape(outputs: n, inputs: k, type: precision.weightType(.f32)))
        StoredWeights(w, type: .f32).withBytes { packed.fill(at: 0, rows: n, from: $0, type: .f32) }
        let x = [Float](repeating: 1, count: k)
        let y = try product(
            x, Linear(weights: packed, bias: nil), rows: 1, precision, GLOSS_STORE,
            Compute(isTiled: precision == .bf16AMX, threadCount: 1))
        for column in 0..<n { #expect(y[column].isFinite == ![0, 3, 7].contains(column), "\(column)") }
        #expect(y[5] == 0, "no bits of it, and its signs cancel out")
    }

    /// Where products, sums and numbers themselves are subnormal: 0 to all instruction sets, as bf16's own instructions
    /// have it.
    @Test(arguments: Precision.allCases) func subnormalNumbers(precision: Precision) throws {
        let (k, n, m) = (300, 70, 40)
        var noise = Noise(11)
        func tiny(_ count: Int, _ exponents: ClosedRange<Float>) -> [Float] {
            (0..<count).map { _ in
                let (low, high) = (exponents.lowerBound, exponents.upperBound)
                return noise.next() * exp2(((low + high + noise.next() * (high - low)) / 2).rounded())
            }
        }
        for (ofX, ofW) in [(-140...(-120), -10...30), (-66...(-58), -68...(-60)), (-149...(-126), 0...125)]
            as [(ClosedRange<Float>, ClosedRange<Float>)]
        {
            let (x, w) = (tiny(m * k, ofX), tiny(n * k, ofW))
            #expect(x.contains { $0.isSubnormal } || zip(x, w).contains { ($0 * $1).isSubnormal })
            let packed = try PackedWeights(WeightShape(outputs: n, inputs: k, type: precision.weightType(.f32)))
            StoredWeights(w, type: .f32).withBytes { packed.fill(at: 0, rows: n, from: $0, type: .f32) }
            let layer = Linear(weights: packed, bias: tiny(n, -140...(-120)))
            for form in [GLOSS_STORE, GLOSS_ADD, GLOSS_GELU] {
                let results = try instructionSets.flatMap { isa in
                    try [1, 2].map { threads in
                        let compute = Compute(instructionSet: isa, isTiled: precision == .bf16AMX, threadCount: threads)
                        return try product(x, layer, rows: m, precision, form, compute).map(\.bitPattern)
                    }
                }
                #expect(results.allSatisfy { $0 == results[0] }, "\(ofX) times \(ofW), \(form)")
            }
        }
        let least = [Float](repeating: 0x1p-127, count: k)
        let packed = try PackedWeights(WeightShape(outputs: 1, inputs: k, type: precision.weightType(.f32)))
        let ones = StoredWeights([Float](repeating: 1, count: k), type: .f32)
        ones.withBytes { packed.fill(at: 0, rows: 1, from: $0, type: .f32) }
        for isa in instructionSets where precision != .int8 {
            let compute = Compute(instructionSet: isa, isTiled: precision == .bf16AMX, threadCount: 1)
            let sum = try product(least, Linear(weights: packed, bias: nil), rows: 1, precision, GLOSS_STORE, compute)[
                0]
            #expect(sum == 0, "\(isa)")
        }
        #expect(Float(0x1p-126) / 2 == 0x1p-127, "outside of products they are what they are")
    }

    @Test(arguments: Precision.allCases, [1, 31, 32, 33, 100]) func gatedPair(precision: Precision, mlp: Int) throws {
        var noise = Noise(5)
        let (k, m) = (96, 9)
        let (x, gate, up) = (noise.values(m * k), noise.values(mlp * k), noise.values(mlp * k))
        let type = precision.weightType(.f32)
        let pair = try PackedWeights(WeightShape(outputs: 2 * mlp, inputs: k, type: type, isGated: true))
        for (half, w) in [gate, up].enumerated() {
            StoredWeights(w, type: .f32).withBytes { pair.fill(at: 0, rows: mlp, gate: half, from: $0, type: .f32) }
        }
        let plain = try [gate, up].map { w in
            let packed = try PackedWeights(WeightShape(outputs: mlp, inputs: k, type: type))
            StoredWeights(w, type: .f32).withBytes { packed.fill(at: 0, rows: mlp, from: $0, type: .f32) }
            return Linear(weights: packed, bias: nil)
        }
        for isa in instructionSets {
            let compute = Compute(instructionSet: isa, isTiled: precision == .bf16AMX, threadCount: 2)
            var operand = try Operand(rows: m, columns: k, type: precision.operandType)
            compute.convert(try Matrix(rows: m, columns: k, values: x), into: &operand)
            var y = try Operand(rows: m, columns: mlp, type: GLOSS_F32)
            compute.linear(operand, Linear(weights: pair, bias: nil), into: &y, GLOSS_GEGLU)
            let (g, u) = (
                try product(x, plain[0], rows: m, precision, GLOSS_STORE, compute),
                try product(x, plain[1], rows: m, precision, GLOSS_STORE, compute)
            )
            for (index, found) in y.values.enumerated() {
                #expect(abs(Double(found) - gelu(Double(g[index])) * Double(u[index])) < 1e-5)
            }
        }
    }

    /// Against the definition: blocks of Hadamard's matrix, whose sign is the parity of the bits that row and column
    /// share.
    @Test(arguments: [1, 2, 7, 16, 31, 48, 256, 1152, 4304]) func rotation(d: Int) {
        var noise = Noise(8)
        let x = noise.values(d)
        var exact: [Double] = []
        for size in (0..<20).reversed().map({ 1 << $0 }) where d & size != 0 {
            let part = x[exact.count..<exact.count + size].map(Double.init)
            exact += (0..<size).map { row in
                let sum = part.indices.reduce(0) { (row & $1).nonzeroBitCount % 2 == 0 ? $0 + part[$1] : $0 - part[$1] }
                return sum / Double(size).squareRoot()
            }
        }
        var generic = x
        gloss_rotate(GLOSS_GENERIC, &generic, Int64(d))
        #expect(zip(generic, exact).allSatisfy { abs(Double($0) - $1) < 1e-5 })
        for isa in instructionSets {
            var rotated = x
            gloss_rotate(isa, &rotated, Int64(d))
            #expect(rotated == generic)
            gloss_rotate(isa, &rotated, Int64(d))
            #expect(zip(rotated, x).allSatisfy { abs($0 - $1) < 1e-5 }, "its own inverse")
        }
    }

    @Test(arguments: [1, 15, 16, 17, 100, 1152]) func norms(d: Int) throws {
        var noise = Noise(UInt64(d))
        let (values, w, b) = (noise.values(3 * d, scale: 30), noise.values(d), noise.values(d))
        let x = try Matrix(rows: 3, columns: d, values: values)
        for type in [GLOSS_F32, GLOSS_BF16, GLOSS_INT8] {
            var results: [[Float]] = []
            for isa in instructionSets {
                let compute = Compute(instructionSet: isa, threadCount: 2)
                var rms = try Operand(rows: 3, columns: d, type: type)
                var layer = try Operand(rows: 3, columns: d, type: type)
                compute.rmsNorm(x, weight: w, epsilon: 1e-6, into: &rms)
                compute.layerNorm(x, LayerNorm(weight: w, bias: b, epsilon: 1e-6), into: &layer)
                results.append(rms.values + layer.values)
            }
            #expect(results.allSatisfy { $0 == results[0] })
            // 2^-24 and 2^-9 of a number; in int8 five times the deviation of a step, which rotating back makes of
            // many.
            let precision: Double = type == GLOSS_F32 ? 0 : type == GLOSS_BF16 ? 0.002 : 0.01
            for row in 0..<3 {
                let r = values[row * d..<(row + 1) * d].map(Double.init)
                let mean = r.reduce(0, +) / Double(d)
                let square = (r.reduce(0) { $0 + $1 * $1 } / Double(d) + 1e-6).squareRoot()
                let deviation = (r.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(d) + 1e-6).squareRoot()
                for i in 0..<d {
                    let scaled = r[i] / square * (1 + Double(w[i]))
                    #expect(abs(Double(results[0][row * d + i]) - scaled) < 3e-6 + precision * 5)
                    let expected = (r[i] - mean) / deviation * Double(w[i]) + Double(b[i])
                    let found = Double(results[0][(3 + row) * d + i])
                    #expect(abs(found - expected) < (d == 1 ? 1e-2 : 1e-5) + precision * 4)
                }
            }
        }
    }

    @Test func geluOverTheWholeRange() throws {
        let inputs: [Float] =
            stride(from: -30, through: 30, by: 0.0371).map { Float($0) } + [0, -0.0, 1e-20, -1e-20, 1e4, -1e4]
        // One input a row, through the identity.
        let packed = try PackedWeights(WeightShape(outputs: 1, inputs: 1, type: GLOSS_F32))
        StoredWeights([1], type: .f32).withBytes { packed.fill(at: 0, rows: 1, from: $0, type: .f32) }
        let layer = Linear(weights: packed, bias: nil)
        let results = try instructionSets.map {
            try product(
                inputs, layer, rows: inputs.count, .f32, GLOSS_GELU, Compute(instructionSet: $0, threadCount: 1))
        }
        #expect(results.allSatisfy { $0 == results[0] })
        for (x, y) in zip(inputs.map(Double.init), results[0]) {
            #expect(abs(Double(y) - gelu(x)) <= 1e-6 * max(1, abs(x)), "\(x)")
        }
    }

    private func gelu(_ x: Double) -> Double {
        0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }

    @Test(arguments: [1, 15, 16, 100, 2304]) func addedNorm(d: Int) throws {
        var noise = Noise(12)
        let (rows, epsilon) = (3, Float(1e-6))
        let (x, y, w) = (noise.values(rows * d, scale: 3), noise.values(rows * d), noise.values(d))
        let results = instructionSets.map { isa in
            var sum = y
            gloss_add_rms_norm(isa, x, w, epsilon, &sum, Int64(rows), Int64(d))
            return sum
        }
        #expect(results.allSatisfy { $0 == results[0] })
        var normed = try Operand(rows: rows, columns: d, type: GLOSS_F32)
        let compute = Compute(threadCount: 1)
        compute.rmsNorm(try Matrix(rows: rows, columns: d, values: x), weight: w, epsilon: epsilon, into: &normed)
        #expect(results[0] == zip(y, normed.values).map(+))
    }

    @Test func rowsOfLogits() {
        var noise = Noise(4)
        for (count, scale) in [(1, 1), (17, 80), (1003, 5), (257_216, 30)] as [(Int, Float)] {
            let x = noise.values(count, scale: scale)
            let top = x.max()!
            let exact = Double(top) + log(x.reduce(0.0) { $0 + exp(Double($1 - top)) })
            for isa in instructionSets {
                #expect(abs(gloss_log_sum_exp(isa, x, Int64(count)) - exact) < 1e-6)
                #expect(gloss_log_sum_exp(isa, x, Int64(count)) == gloss_log_sum_exp(GLOSS_GENERIC, x, Int64(count)))
                #expect(Int(gloss_argmax(isa, x, Int64(count))) == x.firstIndex(of: top))
                var weights = [Float](repeating: 0, count: count)
                let total = gloss_exp_weights(isa, x, 0.7, &weights, Int64(count))
                for uniform in [0, 0.1, 0.5, 0.999, 0.999_999_999] {
                    let drawn = Int(gloss_draw(isa, x, Int64(count), 0.7, uniform))
                    #expect(drawn == Int(gloss_draw(GLOSS_GENERIC, x, Int64(count), 0.7, uniform)))
                    let before = weights[..<drawn].reduce(0.0) { $0 + Double($1) }
                    #expect(before <= uniform * total * (1 + 1e-9) && weights[drawn] > 0)
                    #expect(before + Double(weights[drawn]) >= uniform * total * (1 - 1e-9))
                }
            }
        }
        let odd: [Float] = [1, 2, .nan, 5]
        for isa in instructionSets { #expect(gloss_argmax(isa, odd, 4) == 2) }
    }

    @Test(arguments: [1, 255, 257, 5000]) func topIndicesAreThoseOfASort(count: Int) {
        var noise = Noise(6)
        for levels in [Float(3), 1e6] {  // few levels: many are equal
            let x = noise.values(count, scale: levels).map { $0.rounded() }
            let sorted = x.indices.sorted { (x[$0], $1) > (x[$1], $0) }
            for wanted in [1, 2, 9] where wanted <= count {
                for isa in instructionSets { #expect(top(wanted, of: x, isa) == Array(sorted.prefix(wanted))) }
            }
            guard count > 9 else { continue }
            for place in [0, 3, count - 1] {
                var odd = x
                odd[place] = .nan
                for isa in instructionSets {
                    let found = top(9, of: odd, isa)
                    #expect(Set(found).count == 9 && found.allSatisfy(x.indices.contains))
                }
            }
        }
    }

    private func top(_ count: Int, of x: [Float], _ isa: gloss_isa) -> [Int] {
        var indices = [Int64](repeating: -1, count: count)
        gloss_top_indices(isa, x, Int64(x.count), Int64(count), &indices)
        return indices.map { Int($0) }
    }
}
