import CKernels
import Foundation

@testable import Inference

/// Those that this machine has.
let instructionSets = InstructionSet.present.map(\.kernel)

/// Whether what runs on each instruction set runs with all that there is. Plain C takes minutes for it.
let isWholeDraw = ProcessInfo.processInfo.environment["GLOSS_TEST_BATCHES"] == "all"

/// Each n-th, with GLOSS_TEST_BATCHES=all each one.
func drawn<Element>(_ all: [Element], every n: Int) -> [Element] {
    isWholeDraw ? all : stride(from: 0, to: all.count, by: n).map { all[$0] }
}

/// Seeded values in −1…1.
struct Noise {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> Float {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(Int32.max)
    }

    mutating func values(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in next() * scale } }
}

/// A product of f32 rows, as `form` has it, onto rows of 0.25.
func product(
    _ x: [Float], _ layer: Linear, rows: Int, _ precision: Precision, _ form: gloss_form, _ compute: Compute
) throws -> [Float] {
    var operand = try Operand(rows: rows, columns: layer.weights.inputs, type: precision.operandType)
    compute.convert(try Matrix(rows: rows, columns: layer.weights.inputs, values: x), into: &operand)
    let start = [Float](repeating: 0.25, count: rows * layer.weights.outputs)
    var y = try Matrix(rows: rows, columns: layer.weights.outputs, values: start)
    compute.linear(operand, layer, into: &y, form)
    return y.values(rows: 0..<rows)
}

/// To the nearest bf16, ties to even.
func nearestBF16(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
}

extension Operand {
    /// What the rows stand for.
    var values: [Float] {
        let target = target()
        return (0..<rows).flatMap { row in
            let bytes = base + row * stride
            if type != GLOSS_INT8 { return (0..<columns).map { gloss_load(bytes, type, Int64($0)) } }
            var values = (0..<columns).map {
                Float(bytes.load(fromByteOffset: $0, as: Int8.self)) * target.scales[row]
            }
            gloss_rotate(GLOSS_GENERIC, &values, Int64(columns))
            return values
        }
    }
}

/// Weights as a checkpoint stores them, and what those bytes mean.
struct StoredWeights {
    let values: [Float]
    private let bytes: [UInt8]

    init(_ exact: [Float], type: StoredType) {
        switch type {
        case .f32:
            values = exact
            bytes = exact.flatMap { withUnsafeBytes(of: $0, Array.init) }
        case .bf16:
            let bits = exact.map { UInt16($0.bitPattern >> 16) }
            values = bits.map { Float(bitPattern: UInt32($0) << 16) }
            bytes = bits.flatMap { withUnsafeBytes(of: $0, Array.init) }
        case .f16:
            let halves = exact.map { FloatHalf($0) }
            values = halves.map(\.value)
            bytes = halves.flatMap { withUnsafeBytes(of: $0.bits, Array.init) }
        }
    }

    func withBytes(_ body: (RawSpan) -> Void) { body(bytes.span.bytes) }
}

/// An f16 number made from sign, exponent and the top ten bits of the fraction; small values become subnormal or 0.
private struct FloatHalf {
    let bits: UInt16
    let value: Float

    init(_ x: Float) {
        let scaled = (abs(x) * 16_777_216).rounded(.towardZero)  // 2^24: the subnormals' unit
        let sign: UInt16 = x.sign == .minus ? 0x8000 : 0
        if scaled < 1024 {
            bits = sign | UInt16(scaled)
            value = (x.sign == .minus ? -1 : 1) * scaled / 16_777_216
        } else {
            let exponent = Int(x.exponent) + 15
            let fraction = UInt16(x.significandBitPattern >> 13)
            bits = sign | UInt16(exponent) << 10 | fraction
            value = Float(bitPattern: x.bitPattern & ~0x1FFF)
        }
    }
}
