import CKernels

/// The arithmetic of the matrix products. Everything else (norms, softmax, the residual stream) is f32 in each.
public enum Precision: String, Sendable, CaseIterable, Codable {
    /// f32, the reference's: bf16 weights are widened, which is exact.
    case f32
    /// bf16 × bf16, summed in f32; keys and values are kept in bf16.
    case bf16
    /// int8 × int8 with a scale for each output of the weights and for each 128 numbers of a row; attention as in bf16.
    case int8

    /// How weights that are stored as `stored` are held.
    func weightType(_ stored: StoredType) -> gloss_dtype {
        switch self {
        case .f32: stored == .bf16 ? GLOSS_BF16 : GLOSS_F32
        case .bf16: GLOSS_BF16
        case .int8: GLOSS_INT8
        }
    }

    /// The left side of a linear layer.
    var operandType: gloss_dtype {
        switch self {
        case .f32: GLOSS_F32
        case .bf16: GLOSS_BF16
        case .int8: GLOSS_INT8
        }
    }

    /// Both sides of attention, so also keys and values.
    var attentionType: gloss_dtype { self == .f32 ? GLOSS_F32 : GLOSS_BF16 }
}
