import CKernels
import Foundation
import Synchronization

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

/// Sizes and number format of packed weights.
struct WeightShape: Sendable, Equatable {
    let outputs: Int
    let inputs: Int
    let type: gloss_dtype
    /// Two matrices of outputs / 2 each, gate and up, 32 columns of one beside 32 of the other.
    var isGated = false

    var panelCount: Int {
        (outputs + Int(GLOSS_PANEL) - 1) / Int(GLOSS_PANEL)
    }
    var panelWords: Int { Int(gloss_words(type, Int64(inputs))) }
    var panelBytes: Int { panelCount * panelWords * 4 * Int(GLOSS_PANEL) }
    /// int8: a scale for each column of each panel, behind the panels.
    var byteCount: Int { panelBytes + (type == GLOSS_INT8 ? panelCount * Int(GLOSS_PANEL) * 4 : 0) }
}

/// A weight matrix [outputs, inputs] in the GEMM's column panels.
///
/// Sendable unchecked: it is written only by its maker, before it is shared.
final class PackedWeights: @unchecked Sendable {
    let shape: WeightShape
    private let storage: UnsafeMutableRawPointer
    /// Keeps the memory where it is not our own.
    private let owner: AnyObject?

    /// Unwritten; `fill` writes rows.
    init(_ shape: WeightShape) throws(InferenceError) {
        self.shape = shape
        owner = nil
        storage = UnsafeMutableRawPointer(try Memory.allocate(count: (shape.byteCount + 3) / 4, zeroed: false))
        // Columns beyond `outputs` and inputs beyond `inputs` are computed: they must be numbers.
        if shape.outputs % Int(GLOSS_PANEL) != 0 || shape.isGated || shape.inputs % 4 != 0 {
            memset(storage, shape.type == GLOSS_INT8 ? 128 : 0, shape.panelBytes)
        }
        if shape.type == GLOSS_INT8 { memset(storage + shape.panelBytes, 0, shape.byteCount - shape.panelBytes) }
    }

    /// Weights that lie at `base`, as `fill` leaves them, in memory that `owner` keeps.
    init(_ shape: WeightShape, at base: UnsafeRawPointer, owner: AnyObject) {
        self.shape = shape
        self.owner = owner
        storage = UnsafeMutableRawPointer(mutating: base)
    }

    deinit { if owner == nil { free(storage) } }

    var outputs: Int { shape.outputs }
    var inputs: Int { shape.inputs }

    /// The packed bytes.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: storage, count: shape.byteCount) }

    /// For the GEMM.
    func kernel(bias: UnsafePointer<Float>? = nil) -> gloss_weights {
        gloss_weights(
            packed: storage,
            scales: shape.type == GLOSS_INT8
                ? (storage + shape.panelBytes).assumingMemoryBound(to: Float.self) : nil,
            bias: bias, outputs: Int64(shape.isGated ? shape.panelCount * Int(GLOSS_PANEL) : outputs),
            inputs: Int64(inputs), panel_words: Int64(shape.panelWords), type: shape.type)
    }

    /// Packs a stored [rows, inputs] matrix as outputs [at, at + rows), or as the gate (0) or up (1) half of a gated
    /// pair. How many of its numbers are not finite as they are held.
    @discardableResult
    func fill(at output: Int, rows: Int, gate: Int? = nil, from source: RawSpan, type: StoredType) -> Int {
        precondition(source.byteCount == rows * inputs * type.byteCount && output + rows <= outputs)
        precondition(shape.isGated == (gate != nil))
        // In parallel, and no panel by two: chunks begin where panels do.
        let chunk = 4 * Int(GLOSS_PANEL)
        let bounds =
            [output] + stride(from: (output / chunk + 1) * chunk, to: output + rows, by: chunk) + [output + rows]
        let notFinite = Atomic(0)
        source.withUnsafeBytes { bytes in
            nonisolated(unsafe) let base = bytes.baseAddress!
            nonisolated(unsafe) let target = storage
            DispatchQueue.concurrentPerform(iterations: bounds.count - 1) { i in
                let part = base + (bounds[i] - output) * inputs * type.byteCount
                let count = (bounds[i + 1] - bounds[i]) * inputs
                notFinite.add(countNotFinite(part, type.kernelType, count, as: shape.type), ordering: .relaxed)
                // A gated row r stands in column 2 r, about: bounds are multiples of 32, so their columns are exact.
                let first = gate == nil ? bounds[i] : 2 * bounds[i]
                pack(part, bounds[i + 1] - bounds[i], type, into: target, first: first, gate: gate ?? -1)
            }
        }
        return notFinite.load(ordering: .relaxed)
    }

    /// Columns whose scale is not finite, for one of their numbers or because the rotated ones exceed f32; 0 but for
    /// int8.
    var notFiniteScaleCount: Int {
        guard shape.type == GLOSS_INT8 else { return 0 }
        return countNotFinite(storage + shape.panelBytes, GLOSS_F32, shape.panelCount * Int(GLOSS_PANEL))
    }

    /// Noise, for benchmarks.
    func fillRandomly(seed: UInt64) {
        let part = 1 << 22
        nonisolated(unsafe) let target = storage
        DispatchQueue.concurrentPerform(iterations: (shape.panelBytes + part - 1) / part) { i in
            let count = min(part, shape.panelBytes - i * part)
            gloss_fill_random(target + i * part, count, shape.type, seed &+ UInt64(i) << 32)
        }
        guard shape.type == GLOSS_INT8 else { return }
        let scales = (target + shape.panelBytes).assumingMemoryBound(to: Float.self)
        for i in 0..<shape.panelCount * Int(GLOSS_PANEL) { scales[i] = 0.03 / 127 }
    }

    private func pack(
        _ source: UnsafeRawPointer, _ rows: Int, _ type: StoredType, into target: UnsafeMutableRawPointer, first: Int,
        gate: Int
    ) {
        if shape.type == GLOSS_INT8 {
            let scales = (target + shape.panelBytes).assumingMemoryBound(to: Float.self)
            gloss_pack_int8(
                source, type.kernelType, Int64(rows), Int64(inputs), target, scales, Int64(first), Int32(gate))
        } else {
            gloss_pack(
                source, type.kernelType, Int64(rows), Int64(inputs), target, shape.type, Int64(first), Int32(gate))
        }
    }

    /// Row `output`, times `scale`, as row `row` of `matrix`: the embedding of a token.
    func unpackRow(_ output: Int, into matrix: inout Matrix, row: Int, scale: Float) {
        precondition(!shape.isGated && output >= 0 && output < outputs)
        precondition(matrix.columns == inputs && row < matrix.rows)
        var weights = kernel()
        gloss_unpack(&weights, Int64(output), scale, matrix.base + row * inputs)
    }
}

/// How many of `count` numbers are not finite as `held`, or as they are stored.
func countNotFinite(
    _ numbers: UnsafeRawPointer, _ stored: gloss_dtype, _ count: Int, as held: gloss_dtype? = nil
) -> Int { Int(gloss_count_not_finite(numbers, stored, Int64(count), held ?? stored)) }

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
