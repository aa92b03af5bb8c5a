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
        let x = [[Int8]](repeating: row, count: rows).flatMap(\.self)
        let exact = (0..<n).map { column in
            // [word of k][column][4]
            (0..<k).reduce(Int64(0)) { sum, i in
                sum + (Int64(bytes[i / 4 * n * 4 + column * 4 + i % 4]) - 128) * Int64(row[i])
            }
        }
        for isa in instructionSets {
            let y = int8Product(isa, bytes, x, rows: rows, inputs: k, outputs: n)
            #expect(y == (0..<rows).flatMap { _ in exact.map { Float($0) } }, "\(isa)")
        }
    }

    /// Any bytes, from one row to several tiles, with parts of all sizes: each set has the bits of plain C.
    @Test func drawnProductsOfInt8() {
        var noise = Noise(17)
        func draw(_ most: Int) -> Int { 1 + Int(abs(noise.next()) * Float(most)) % most }
        for i in 0..<200 {
            let (rows, k, n) = (i % 4 == 0 ? 1 : draw(40), draw(i % 8 == 0 ? 3000 : 700), draw(200))
            let stride = (k + 3) / 4 * 4
            var bytes = [UInt8](repeating: 0, count: (n + 63) / 64 * 64 * stride)
            var x = [Int8](repeating: 0, count: (rows * stride + 7) / 8 * 8)
            bytes.withUnsafeMutableBytes { gloss_fill_random($0.baseAddress, $0.count, GLOSS_INT8, UInt64(i)) }
            x.withUnsafeMutableBytes { gloss_fill_random($0.baseAddress, $0.count, GLOSS_INT8, UInt64(1000 + i)) }
            // Half of the draws have the largest bytes only, and half of those one of them in nine of ten.
            if i % 2 == 0 {
                let share: UInt8 = i % 4 == 0 ? 128 : 230
                for j in bytes.indices { bytes[j] = bytes[j] < share ? 255 : 0 }
                for j in x.indices { x[j] = UInt8(bitPattern: x[j]) < share ? -128 : 127 }
            }
            for row in 0..<rows { for j in k..<stride { x[row * stride + j] = 0 } }
            let expected = int8Product(GLOSS_GENERIC, bytes, x, rows: rows, inputs: k, outputs: n)
            for isa in instructionSets {
                let y = int8Product(isa, bytes, x, rows: rows, inputs: k, outputs: n)
                #expect(y == expected, "\(isa), \(rows) rows of \(k), \(n) outputs, draw \(i)")
            }
        }
    }

    /// Rows of bf16 that are split beforehand have the bits of those that a kernel splits, and of VDPBF16PS; from one row to several
    /// chunks of them, for weights that are part of a wider cache, too.
    @Test func drawnProductsOfSplitRows() throws {
        var noise = Noise(18)
        func draw(_ most: Int) -> Int { 1 + Int(abs(noise.next()) * Float(most)) % most }
        for i in 0..<60 {
            let (rows, k, n) = (i % 4 == 0 ? 1 : draw(110), draw(i % 8 == 0 ? 3000 : 700), draw(200))
            let words = (k + 1) / 2 + (i % 3 == 0 ? 32 : 0)
            var packed = [UInt8](repeating: 0, count: (n + 63) / 64 * 64 * words * 4)
            packed.withUnsafeMutableBytes { gloss_fill_random($0.baseAddress, $0.count, GLOSS_BF16, UInt64(i)) }
            let x = noise.values(rows * k, scale: 3)
            /// [rows][outputs]
            func multiply(_ isa: gloss_isa, _ type: gloss_dtype) throws -> [UInt32] {
                var operand = try Operand(rows: rows, columns: k, type: type)
                Compute(instructionSet: isa, threadCount: 1).convert(
                    try Matrix(rows: rows, columns: k, values: x), into: &operand)
                var y = [Float](repeating: 0, count: rows * n)
                packed.withUnsafeBytes { packed in
                    y.withUnsafeMutableBytes { y in
                        var factor = operand.operand
                        var weights = gloss_weights(
                            packed: packed.baseAddress, scales: nil, bias: nil, outputs: Int64(n), inputs: Int64(k),
                            panel_words: Int64(words), type: GLOSS_BF16)
                        var out = gloss_output(
                            rows: y.baseAddress, stride: Int64(4 * n), columns: Int64(n), type: GLOSS_F32,
                            form: GLOSS_STORE, addends: nil)
                        gloss_gemm(isa, false, &factor, &weights, &out, 0, Int64(rows), 0, Int64((n + 63) / 64))
                    }
                }
                return y.map(\.bitPattern)
            }
            let expected = try multiply(GLOSS_GENERIC, GLOSS_BF16)
            for isa in instructionSets {
                for type in gloss_splits_bf16(isa, false) ? [GLOSS_BF16, GLOSS_BF16_SPLIT] : [GLOSS_BF16] {
                    #expect(
                        try multiply(isa, type) == expected,
                        "\(isa), type \(type), \(rows) rows of \(k), \(n) outputs, draw \(i)")
                }
            }
        }
    }

    /// [rows][outputs] of int8 with all scales 1. `bytes` are weights as they are packed; rows are whole words, with zeros behind
    /// their inputs.
    private func int8Product(_ isa: gloss_isa, _ bytes: [UInt8], _ x: [Int8], rows: Int, inputs: Int, outputs: Int)
        -> [Float]
    {
        let stride = (inputs + 3) / 4 * 4
        let scales = [Float](repeating: 1, count: max((outputs + 63) / 64 * 64, rows))
        let corrections = (0..<rows).map { row in
            -128 * x[row * stride..<(row + 1) * stride].reduce(Int32(0)) { $0 + Int32($1) }
        }
        var y = [Float](repeating: 0, count: rows * outputs)
        bytes.withUnsafeBytes { packed in
            x.withUnsafeBytes { inputRows in
                scales.withUnsafeBufferPointer { scales in
                    corrections.withUnsafeBufferPointer { corrections in
                        y.withUnsafeMutableBytes { output in
                            var operand = gloss_operand(
                                rows: inputRows.baseAddress, stride: Int64(stride), type: GLOSS_INT8,
                                scales: scales.baseAddress, corrections: corrections.baseAddress)
                            var weights = gloss_weights(
                                packed: packed.baseAddress, scales: scales.baseAddress, bias: nil,
                                outputs: Int64(outputs), inputs: Int64(inputs), panel_words: Int64(stride / 4),
                                type: GLOSS_INT8)
                            var out = gloss_output(
                                rows: output.baseAddress, stride: Int64(4 * outputs), columns: Int64(outputs),
                                type: GLOSS_F32, form: GLOSS_STORE, addends: nil)
                            gloss_gemm(
                                isa, false, &operand, &weights, &out, 0, Int64(rows), 0, Int64((outputs + 63) / 64))
                        }
                    }
                }
            }
        }
        return y
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
