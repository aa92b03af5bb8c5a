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

    /// All zero; `fill` writes rows.
    init(outputs: Int, inputs: Int, isBF16: Bool) {
        self.outputs = outputs
        self.inputs = inputs
        self.isBF16 = isBF16
        let panels = (outputs + Int(GLOSS_PANEL) - 1) / Int(GLOSS_PANEL)
        let floats = panels * Int(GLOSS_PANEL) * inputs
        storage = UnsafeMutableRawPointer(allocateAligned(count: isBF16 ? (floats + 1) / 2 : floats, zeroed: true))
    }

    deinit { free(storage) }

    var pointer: UnsafeRawPointer { UnsafeRawPointer(storage) }
    var panelCount: Int { (outputs + Int(GLOSS_PANEL) - 1) / Int(GLOSS_PANEL) }

    /// Packs a stored [rows, inputs] matrix as outputs [at, at + rows).
    func fill(at output: Int, rows: Int, from source: RawSpan, type: StoredType) {
        precondition(source.byteCount == rows * inputs * type.byteCount && output + rows <= outputs)
        precondition(!isBF16 || type == .bf16)
        source.withUnsafeBytes {
            gloss_pack($0.baseAddress, type.kernelType, Int64(rows), Int64(inputs), storage, isBF16, Int64(output))
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
