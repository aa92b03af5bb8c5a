import CKernels
import Foundation

/// Number format of a stored tensor.
enum StoredType: Sendable {
    case f32, f16, bf16

    var byteCount: Int { self == .f32 ? 4 : 2 }

    var kernelType: gloss_dtype {
        switch self {
        case .f32: GLOSS_F32
        case .f16: GLOSS_F16
        case .bf16: GLOSS_BF16
        }
    }
}

/// A weight matrix [outputs, inputs] in the GEMM's column panels: f32, or bf16 as it was stored.
///
/// Sendable unchecked: it is written only by its maker, before it is shared.
final class PackedWeights: @unchecked Sendable {
    let outputs: Int
    let inputs: Int
    let isBF16: Bool
    private let storage: UnsafeMutableRawPointer

    /// Unwritten; `fill` writes rows.
    init(outputs: Int, inputs: Int, isBF16: Bool) {
        self.outputs = outputs
        self.inputs = inputs
        self.isBF16 = isBF16
        let panel = Int(GLOSS_PANEL)
        let count = (outputs + panel - 1) / panel * panel * inputs
        let bytes = count * (isBF16 ? 2 : 4)
        storage = UnsafeMutableRawPointer(allocateAligned(count: (bytes + 3) / 4, zeroed: false))
        // The columns beyond `outputs` are computed and thrown away: they must be numbers.
        if outputs % panel != 0 {
            memset(storage + bytes / count * (count - panel * inputs), 0, bytes / count * panel * inputs)
        }
    }

    deinit { free(storage) }

    var pointer: UnsafeRawPointer { UnsafeRawPointer(storage) }
    var panelCount: Int { (outputs + Int(GLOSS_PANEL) - 1) / Int(GLOSS_PANEL) }

    /// Packs a stored [rows, inputs] matrix as outputs [at, at + rows).
    func fill(at output: Int, rows: Int, from source: RawSpan, type: StoredType) {
        precondition(source.byteCount == rows * inputs * type.byteCount && output + rows <= outputs)
        precondition(!isBF16 || type == .bf16)
        // In parallel, and no panel by two: chunks begin where panels do.
        let chunk = 8 * Int(GLOSS_PANEL)
        let bounds =
            [output] + stride(from: (output / chunk + 1) * chunk, to: output + rows, by: chunk) + [output + rows]
        source.withUnsafeBytes { bytes in
            nonisolated(unsafe) let base = bytes.baseAddress!
            nonisolated(unsafe) let target = storage
            DispatchQueue.concurrentPerform(iterations: bounds.count - 1) { i in
                gloss_pack(
                    base + (bounds[i] - output) * inputs * type.byteCount, type.kernelType,
                    Int64(bounds[i + 1] - bounds[i]), Int64(inputs), target, isBF16, Int64(bounds[i]))
            }
        }
    }

    /// Row `output`, times `scale`, as row `row` of `matrix`: the embedding of a token.
    func unpackRow(_ output: Int, into matrix: inout Matrix, row: Int, scale: Float) {
        precondition(output >= 0 && output < outputs && matrix.columns == inputs && row < matrix.rows)
        let target = matrix.base + row * inputs
        let panel = Int(GLOSS_PANEL)
        let start = output / panel * inputs * panel + output % panel
        let type = isBF16 ? GLOSS_BF16 : GLOSS_F32
        for i in 0..<inputs { target[i] = gloss_load(storage, type, Int64(start + i * panel)) * scale }
    }
}

/// Stored numbers as f32.
func floats(from source: RawSpan, type: StoredType) -> [Float] {
    let count = source.byteCount / type.byteCount
    return source.withUnsafeBytes { bytes in
        (0..<count).map { gloss_load(bytes.baseAddress, type.kernelType, Int64($0)) }
    }
}

/// y = x · Wᵀ + b.
struct Linear: Sendable {
    let weights: PackedWeights
    let bias: [Float]?
}
