import CKernels
import Testing

@testable import Inference

@Suite struct InstructionSetTests {
    @Test func theBestOneIsPresentAndNoneIsRefused() {
        #expect(InstructionSet.present.contains(.generic))
        #expect(InstructionSet.present.contains(.best))
        #expect(InstructionSet.refused.isEmpty, "products by them differ from those of plain C")
    }

    /// What decides whether a set is used: it sees a difference of the last bits.
    @Test func productsAreCompared() {
        for isa in instructionSets {
            #expect(gloss_same_products(isa, false, GLOSS_GENERIC, false), "\(isa)")
            #expect(gloss_same_products(isa, true, GLOSS_GENERIC, true), "\(isa)")
            #expect(!gloss_same_products(isa, true, GLOSS_GENERIC, false), "bf16 in the order of AMX")
        }
    }

    /// The largest sums of int8 that there can be: what an instruction that saturates would change.
    @Test(arguments: [1, 6, 13]) func extremesOfInt8(rows: Int) throws {
        let (k, n) = (44_000, 64)
        var noise = Noise(4)
        // 0 and 255: −128 and 127 as they are stored.
        let bytes = (0..<k * n).map { _ in noise.next() < 0.9 ? UInt8(255) : 0 }
        let row = (0..<k).map { _ in noise.next() < 0.9 ? Int8(127) : -127 }
        let total = row.reduce(Int32(0)) { $0 + Int32($1) }
        let x = [[Int8]](repeating: row, count: rows).flatMap(\.self)
        let scales = [Float](repeating: 1, count: max(n, rows))
        let corrections = [Int32](repeating: -128 * total, count: rows)
        let exact = (0..<n).map { column in
            // [word of k][column][4]
            (0..<k).reduce(Int64(0)) { sum, i in
                sum + (Int64(bytes[i / 4 * n * 4 + column * 4 + i % 4]) - 128) * Int64(row[i])
            }
        }
        for isa in instructionSets {
            var y = [Float](repeating: 0, count: rows * n)
            bytes.withUnsafeBytes { packed in
                x.withUnsafeBytes { inputs in
                    scales.withUnsafeBufferPointer { scales in
                        corrections.withUnsafeBufferPointer { corrections in
                            y.withUnsafeMutableBytes { output in
                                var operand = gloss_operand(
                                    rows: inputs.baseAddress, stride: Int64(k), type: GLOSS_INT8,
                                    scales: scales.baseAddress, corrections: corrections.baseAddress)
                                var weights = gloss_weights(
                                    packed: packed.baseAddress, scales: scales.baseAddress, bias: nil,
                                    outputs: Int64(n), inputs: Int64(k), panel_words: Int64(k / 4), type: GLOSS_INT8)
                                var out = gloss_output(
                                    rows: output.baseAddress, stride: Int64(4 * n), columns: Int64(n), type: GLOSS_F32,
                                    form: GLOSS_STORE, addends: nil)
                                gloss_gemm(isa, false, &operand, &weights, &out, 0, Int64(rows), 0, 1)
                            }
                        }
                    }
                }
            }
            #expect(y == (0..<rows).flatMap { _ in exact.map { Float($0) } }, "\(isa)")
        }
    }

    @Test func poorChoicesOfPrecision() {
        #expect(Precision.int8.drawback(on: .avx2) == nil)
        #expect(Precision.f32.drawback(on: .avx2) == nil)
        #expect(Precision.bf16.drawback(on: .avx512BF16) == nil)
        #expect(Precision.bf16AMX.drawback(on: .amx) == nil)
        #expect(Precision.bf16.drawback(on: .avx512VNNI)?.contains("no faster than f32") == true)
        #expect(Precision.int8.drawback(on: .neonI8MM) == nil)
        #expect(Precision.bf16.drawback(on: .neonDot)?.contains("no faster than f32") == true)
        #expect(Precision.bf16.drawback(on: .amx)?.contains("bf16-amx") == true)
        #expect(Precision.bf16AMX.drawback(on: .avx512BF16)?.contains("no AMX") == true)
        for precision in Precision.allCases {
            #expect(precision.drawback(on: .generic)?.contains("AVX2") == true)
        }
    }
}
