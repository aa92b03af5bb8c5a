import CKernels
import Foundation

/// The left side of a matrix product: rows [rows, columns] in f32, bf16, or int8: rotated, with a scale for each row.
struct Operand: ~Copyable {
    let rows: Int
    let columns: Int
    let type: gloss_dtype
    /// Bytes from one row to the next.
    let stride: Int
    let base: UnsafeMutableRawPointer
    private let scales: UnsafeMutablePointer<Float>
    private let corrections: UnsafeMutablePointer<Int32>

    /// Uninitialised, but for zeros where a row ends inside of a word.
    init(rows: Int, columns: Int, type: gloss_dtype) {
        self.rows = rows
        self.columns = columns
        self.type = type
        // Not a power of two, or many rows would share the few places that a cache has for one address's low bits.
        let bytes = (columns * type.byteCount + 15) / 16 * 16
        stride = bytes % 1024 == 0 ? bytes + 64 : bytes
        precondition(type != GLOSS_INT8 || columns <= Int(GLOSS_INT8_INPUTS))
        let scaled = type == GLOSS_INT8 ? max(rows, 1) : 1
        base = UnsafeMutableRawPointer(Scratch.shared.take(count: rows * stride / 4))
        scales = allocateAligned(count: scaled, zeroed: false)
        corrections = UnsafeMutableRawPointer(allocateAligned(count: scaled, zeroed: false))
            .bindMemory(to: Int32.self, capacity: scaled)
        // Products read whole words, two of f32 beside bf16 weights.
        if columns * type.byteCount % 8 != 0 { memset(base, 0, rows * stride) }
    }

    deinit {
        Scratch.shared.give(base, count: rows * stride / 4)
        free(scales)
        free(corrections)
    }

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
        gloss_output(rows: base, stride: Int64(stride), columns: Int64(columns), type: type, form: form)
    }
}

extension Matrix {
    /// For a product that writes this matrix.
    func output(_ form: gloss_form) -> gloss_output {
        gloss_output(
            rows: base, stride: Int64(columns * 4), columns: Int64(columns), type: GLOSS_F32, form: form
        )
    }
}

extension gloss_dtype {
    /// Bytes of one number.
    var byteCount: Int {
        switch self {
        case GLOSS_F32: 4
        case GLOSS_INT8: 1
        default: 2
        }
    }
}
