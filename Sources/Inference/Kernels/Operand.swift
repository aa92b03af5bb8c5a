import CKernels
import Foundation

/// The left side of a matrix product: rows [rows, columns] in f32, bf16 (also split), or int8: rotated, with a scale for each row.
struct Operand: ~Copyable {
    let rows: Int
    let columns: Int
    let type: gloss_dtype
    /// Bytes from one row to the next.
    let stride: Int
    let base: UnsafeMutableRawPointer
    /// int8 has them behind the rows.
    private let scales: UnsafeMutablePointer<Float>
    private let corrections: UnsafeMutablePointer<Int32>

    /// Uninitialised, but for zeros where a row ends inside of a word.
    init(rows: Int, columns: Int, type: gloss_dtype) throws(InferenceError) {
        let count = Self.count(rows, stride: Self.stride(columns, type), type)
        self.init(rows, columns, type, try Memory.takeScratch(count: count))
    }

    /// Of a kernel, while it computes.
    static func temporary(rows: Int, columns: Int, type: gloss_dtype) -> Operand {
        let count = count(rows, stride: stride(columns, type), type)
        return Operand(rows, columns, type, Memory.certain(Scratch.shared.take(count: count), count: count))
    }

    private init(_ rows: Int, _ columns: Int, _ type: gloss_dtype, _ memory: UnsafeMutablePointer<Float>) {
        precondition(type != GLOSS_INT8 || columns <= Int(GLOSS_INT8_INPUTS))
        (self.rows, self.columns, self.type) = (rows, columns, type)
        stride = Self.stride(columns, type)
        base = UnsafeMutableRawPointer(memory)
        scales = memory + rows * stride / 4
        corrections = (base + rows * stride + rows * MemoryLayout<Float>.stride)
            .bindMemory(to: Int32.self, capacity: type == GLOSS_INT8 ? rows : 0)
        // Products read whole words, two of f32 beside bf16 weights.
        if columns * type.byteCount % 8 != 0 { memset(base, 0, rows * stride) }
    }

    /// Not a power of two, or many rows would share the few places that a cache has for one address's low bits.
    private static func stride(_ columns: Int, _ type: gloss_dtype) -> Int {
        let bytes = (columns * type.byteCount + 15) / 16 * 16
        return bytes % 1024 == 0 ? bytes + 64 : bytes
    }

    /// Floats that the rows take, in int8 with a scale and a correction each.
    private static func count(_ rows: Int, stride: Int, _ type: gloss_dtype) -> Int {
        rows * stride / 4 + (type == GLOSS_INT8 ? 2 * rows : 0)
    }

    deinit { Scratch.shared.give(base, count: Self.count(rows, stride: stride, type)) }

    /// For a kernel that writes rows from `row` on.
    func target(from row: Int = 0) -> gloss_target {
        precondition(row <= rows)
        return gloss_target(
            rows: base, stride: Int64(stride), type: type, scales: scales, corrections: corrections
        ).from(row: row)
    }

    /// For a kernel that reads.
    var operand: gloss_operand {
        gloss_operand(
            rows: base, stride: Int64(stride), type: type, scales: scales, corrections: corrections)
    }

    /// For a product that writes f32 or bf16.
    func output(_ form: gloss_form) -> gloss_output {
        gloss_output(
            rows: base, stride: Int64(stride), columns: Int64(columns), type: type, form: form, addends: nil)
    }
}

extension Matrix {
    /// For a product that writes this matrix.
    func output(_ form: gloss_form) -> gloss_output {
        gloss_output(
            rows: base, stride: Int64(columns * 4), columns: Int64(columns), type: GLOSS_F32, form: form,
            addends: nil)
    }
}

extension gloss_dtype {
    /// Bytes of one number.
    var byteCount: Int {
        switch self {
        case GLOSS_F32, GLOSS_BF16_SPLIT: 4
        case GLOSS_INT8: 1
        default: 2
        }
    }
}
