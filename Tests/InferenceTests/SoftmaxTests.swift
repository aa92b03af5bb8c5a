import CKernels
import Foundation
import Testing

@testable import Inference

/// The softmax of attention, and the cap on what goes into it.
@Suite struct SoftmaxTests {
    @Test(arguments: [1, 3, 17, 100], [0, 1, 64, 130]) func softmax(second: Int, first: Int) throws {
        var noise = Noise(6)
        let (start, width) = ((first + 63) / 64 * 64, (first + 63) / 64 * 64 + 128)
        let x = noise.values(width, scale: 20)
        var narrow: [Float] = []
        for type in [GLOSS_F32, GLOSS_BF16, GLOSS_BF16_SPLIT] {
            let results = try instructionSets.map { isa in
                let out = try Operand(rows: 1, columns: width, type: type)
                memset(out.base, 255, out.stride)
                let inverse = gloss_softmax(
                    isa, x, gloss_range(first: Int64(first / 3), end: Int64(first)),
                    gloss_range(first: Int64(start + second / 4), end: Int64(start + second)), 0.3, out.base, type,
                    Int64(width))
                return out.values.map { $0 * inverse }
            }
            #expect(results.allSatisfy { $0 == results[0] })
            if type == GLOSS_BF16 { narrow = results[0] }
            if type == GLOSS_BF16_SPLIT { #expect(results[0] == narrow) }
            let seen = Array(first / 3..<first) + Array(start + second / 4..<start + second)
            let top = seen.map { Double(x[$0]) }.max()!
            let sum = seen.reduce(0) { $0 + exp((Double(x[$1]) - top) * 0.3) }
            for i in 0..<width {
                let exact = seen.contains(i) ? exp((Double(x[i]) - top) * 0.3) / sum : 0
                #expect(abs(Double(results[0][i]) - exact) < (type == GLOSS_F32 ? 1e-6 : 4e-3))
            }
        }
    }

    /// What the exponential function leaves out: NaN and what is too small become 0, beside any number of numbers.
    @Test(arguments: [1, 16, 31, 32, 33, 48, 70, 130], [0, 1, 2, 17]) func softmaxOfNumbersAtItsEnds(
        count: Int, first: Int
    ) throws {
        let kinds: [Float] = [
            3, .nan, -.infinity, -1e30, -3e38, 3 - 87.3, 3 - 87.29, 3 - 87.4, 2.5, -0.0, 3 - 80, -126,
            1000 * .leastNonzeroMagnitude, 3,
        ]
        let width = (first + count + 6) / 2 * 2
        var x = (0..<width).map { kinds[$0 % kinds.count] }
        x[first] = 3
        for type in [GLOSS_F32, GLOSS_BF16, GLOSS_BF16_SPLIT] {
            let results = try instructionSets.map { isa in
                let out = try Operand(rows: 1, columns: width, type: type)
                memset(out.base, 255, out.stride)
                let inverse = gloss_softmax(
                    isa, x, gloss_range(first: 0, end: 0), gloss_range(first: Int64(first), end: Int64(first + count)),
                    1, out.base, type, Int64(width))
                return out.values + [inverse]
            }
            #expect(results.allSatisfy { $0 == results[0] })
            for i in 0..<width {
                let below = first..<first + count ~= i ? x[i] - 3 : -.infinity
                let exact = below >= -87.3 ? exp(Double(below)) : 0
                let precision = type == GLOSS_F32 ? 3e-7 : 4e-3
                #expect(abs(Double(results[0][i]) - exact) <= precision * exact, "\(i): \(x[i])")
            }
            let sum = results[0].dropLast().reduce(0) { $0 + Double($1) }
            #expect(abs(Double(results[0][width]) * sum - 1) < 1e-6)
        }
    }

    @Test func softCapOverTheWholeRange() {
        let inputs: [Float] =
            stride(from: -200, through: 200, by: 0.0371).map { Float($0) }
            + [0, -0.0, 1e-20, -1e-30, 700 * .leastNonzeroMagnitude, 3e38, -3e38, .infinity, -.infinity, .nan]
        for (scale, cap) in [(1, 30), (0.0625, 50), (1 / 12, 5)] as [(Float, Float)] {
            let results = instructionSets.map { isa in
                var x = inputs
                gloss_soft_cap(isa, &x, Int64(x.count), scale, cap)
                return x
            }
            #expect(results.allSatisfy { $0.map(\.bitPattern) == results[0].map(\.bitPattern) })
            for (x, y) in zip(inputs, results[0]) {
                let exact = Double(cap) * tanh(Double(x) * Double(scale) / Double(cap))
                #expect(x.isNaN ? y.isNaN : abs(Double(y) - exact) <= 4e-7 * abs(exact) + 1e-43, "\(x)")
            }
        }
    }
}
