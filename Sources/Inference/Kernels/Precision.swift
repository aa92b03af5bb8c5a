import CKernels

/// The arithmetic of the matrix products. Everything else (norms, softmax, the residual stream) is f32 in each.
public enum Precision: String, Sendable, CaseIterable, Codable {
    /// f32, the reference's: bf16 weights are widened, which is exact.
    case f32
    /// bf16 × bf16, summed in f32; keys and values are kept in bf16.
    case bf16
    /// bf16 with sums in the order of AMX's tiles: some ten times as fast as bf16 where the processor has them, slower
    /// elsewhere; the same bits everywhere, and others than bf16's.
    case bf16AMX = "bf16-amx"
    /// int8 × int8, rotated, with a scale for each output of the weights and for each row; attention as in bf16. By AMX
    /// where there is AMX, with the same bits.
    case int8

    /// As which weights are packed: bf16 for both of its orders.
    var packed: Precision { self == .bf16AMX ? .bf16 : self }

    /// How weights that are stored as `stored` are held.
    func weightType(_ stored: StoredType) -> gloss_dtype {
        switch self {
        case .f32: stored == .bf16 ? GLOSS_BF16 : GLOSS_F32
        case .bf16, .bf16AMX: GLOSS_BF16
        case .int8: GLOSS_INT8
        }
    }

    /// The left side of a linear layer.
    var operandType: gloss_dtype {
        switch self {
        case .f32: GLOSS_F32
        case .bf16, .bf16AMX: GLOSS_BF16
        case .int8: GLOSS_INT8
        }
    }

    /// Both sides of attention, so also keys and values.
    var attentionType: gloss_dtype { self == .f32 ? GLOSS_F32 : GLOSS_BF16 }
}
