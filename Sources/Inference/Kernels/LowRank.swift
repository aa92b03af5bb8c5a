import CKernels
import Foundation

/// What an adapter adds to one product, y = W · x + B · A · x, where W may be several matrices fused into one.
///
/// A is held as the weights of its precision, bf16 in int8; B, and what A gives, are f32. Sendable unchecked: it is
/// written only by its maker, before it is shared.
final class LowRank: @unchecked Sendable {
    /// One of the fused matrices.
    struct Part {
        /// The first of its outputs, and how many it has.
        let outputs: Range<Int>
        /// 0 the gate and 1 the up half of a gated pair; nil: its outputs are columns as they are.
        var gate: Int?
        /// [rank, inputs]
        let a: [Float]
        /// [outputs, rank]
        let b: [Float]
        let rank: Int
    }

    /// The ranks of all parts.
    let rank: Int
    fileprivate let down: PackedWeights
    fileprivate let matrix: UnsafeMutablePointer<gloss_low_rank>
    private let numbers: UnsafeMutablePointer<Float>
    private let halves: UnsafeMutablePointer<gloss_half_panel>

    /// - Parameter outputs: columns of the packed product, those of padding included where it is gated.
    init(_ parts: [Part], inputs: Int, outputs: Int, type: gloss_dtype) throws(InferenceError) {
        rank = parts.reduce(0) { $0 + $1.rank }
        let down = try PackedWeights(WeightShape(outputs: rank, inputs: inputs, type: type))
        self.down = down
        var first = 0
        for part in parts {
            part.a.withUnsafeBytes { bytes in
                _ = down.fill(at: first, rows: part.rank, from: bytes.bytes, type: .f32)
            }
            first += part.rank
        }
        let width = Int(GLOSS_PANEL) / 2
        let count = (outputs + 2 * width - 1) / (2 * width) * 2
        let ranges = (0..<count).map { Self.inputs(ofHalf: $0, width: width, parts) }
        let total = ranges.reduce(0) { $0 + $1.count } * width
        numbers = try Memory.allocate(count: max(total, 1), zeroed: true)
        halves = .allocate(capacity: count)
        matrix = .allocate(capacity: 1)
        matrix.initialize(to: gloss_low_rank(numbers: numbers, halves: halves))
        var offset = 0
        for (half, range) in ranges.enumerated() {
            halves[half] = gloss_half_panel(
                first: Int64(range.lowerBound), count: Int64(range.count), offset: Int64(offset))
            write(parts, half: half, width: width, inputs: range, to: numbers + offset)
            offset += range.count * width
        }
    }

    deinit {
        free(numbers)
        halves.deallocate()
        matrix.deallocate()
    }

    /// Bytes that it takes.
    var byteCount: Int { down.shape.byteCount }

    /// The outputs of a part that stand in a half panel.
    private static func outputs(of part: Part, inHalf half: Int, width: Int) -> Range<Int> {
        guard let gate = part.gate else { return (half * width..<(half + 1) * width).clamped(to: part.outputs) }
        guard half % 2 == gate else { return 0..<0 }
        return (half / 2 * width..<(half / 2 + 1) * width).clamped(to: part.outputs)
    }

    /// What a half panel takes of what A gives.
    private static func inputs(ofHalf half: Int, width: Int, _ parts: [Part]) -> Range<Int> {
        var (first, found) = (0, 0..<0)
        for part in parts {
            if !outputs(of: part, inHalf: half, width: width).isEmpty {
                found = (found.isEmpty ? first : found.lowerBound)..<first + part.rank
            }
            first += part.rank
        }
        return found
    }

    private func write(
        _ parts: [Part], half: Int, width: Int, inputs: Range<Int>, to target: UnsafeMutablePointer<Float>
    ) {
        var first = 0
        for part in parts {
            for output in Self.outputs(of: part, inHalf: half, width: width) {
                for k in 0..<part.rank {
                    let number = part.b[(output - part.outputs.lowerBound) * part.rank + k]
                    target[(first + k - inputs.lowerBound) * width + output % width] = number
                }
            }
            first += part.rank
        }
    }
}

/// Some rows, and what is added to a product of theirs.
struct LowRankRows {
    let rows: Range<Int>
    let matrix: LowRank
}

/// What rows add to a product, A · x computed.
final class Addends {
    private let products: Matrix
    /// One a row.
    private let rows: UnsafeMutablePointer<gloss_addend>
    fileprivate let count: Int

    fileprivate init(count: Int, rank: Int) throws(InferenceError) {
        let products = try Matrix(rows: count, columns: rank)
        self.products = products
        self.count = count
        rows = .allocate(capacity: count)
        rows.initialize(repeating: gloss_addend(matrix: nil, inputs: nil), count: count)
    }

    deinit { rows.deallocate() }

    /// For a product.
    var kernel: UnsafePointer<gloss_addend> { UnsafePointer(rows) }

    /// Where A · x of some rows goes.
    fileprivate func output(_ part: LowRankRows) -> gloss_output {
        for row in part.rows {
            rows[row] = gloss_addend(
                matrix: UnsafePointer(part.matrix.matrix), inputs: products.base + row * products.columns)
        }
        var output = products.output(GLOSS_STORE)
        output.columns = Int64(part.matrix.rank)
        return output
    }
}

extension Compute {
    /// Rows that one thread takes at a time.
    private static let lowRankRows = 48

    /// What the rows of `parts` add to a product of x: A · x. Nil: none adds anything.
    func addends(_ x: borrowing Operand, _ parts: [LowRankRows]) throws(InferenceError) -> Addends? {
        guard !parts.isEmpty else { return nil }
        let addends = try Addends(count: x.rows, rank: parts.reduce(0) { max($0, $1.matrix.rank) })
        var items: [(rows: Range<Int>, matrix: LowRank, output: gloss_output)] = []
        for part in parts {
            precondition(part.matrix.down.inputs == x.columns && part.rows.upperBound <= x.rows)
            let output = addends.output(part)
            for start in stride(from: part.rows.lowerBound, to: part.rows.upperBound, by: Self.lowRankRows) {
                let rows = start..<min(start + Self.lowRankRows, part.rows.upperBound)
                items.append((rows, part.matrix, output))
            }
        }
        let operand = x.operand
        let cost = 2 * x.rows * x.columns * items[0].matrix.rank / items.count
        split(items.count, cost: max(cost, 1)) { range in
            for item in items[range] {
                var (operand, kernel, output) = (operand, item.matrix.down.kernel(), item.output)
                gloss_gemm(
                    instructionSet, isTiled, &operand, &kernel, &output, Int64(item.rows.lowerBound),
                    Int64(item.rows.upperBound), 0, Int64(item.matrix.down.shape.panelCount))
            }
        }
        return addends
    }
}
