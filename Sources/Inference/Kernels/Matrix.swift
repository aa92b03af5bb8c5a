import CKernels
import Foundation

/// A row-major f32 matrix [rows, columns], owned by its holder.
struct Matrix: ~Copyable {
    let rows: Int
    let columns: Int
    let base: UnsafeMutablePointer<Float>
    private let isScratch: Bool

    /// Uninitialised, unless `zeroed`.
    init(rows: Int, columns: Int, zeroed: Bool = false) {
        self.rows = rows
        self.columns = columns
        isScratch = !zeroed
        base =
            zeroed
            ? allocateAligned(count: max(rows * columns, 1), zeroed: true) : Scratch.shared.take(count: rows * columns)
    }

    /// A copy of `values`, row by row.
    init(rows: Int, columns: Int, values: [Float]) {
        precondition(values.count == rows * columns)
        self.init(rows: rows, columns: columns)
        values.withUnsafeBufferPointer { base.update(from: $0.baseAddress!, count: $0.count) }
    }

    deinit { if isScratch { Scratch.shared.give(base, count: rows * columns) } else { free(base) } }

    /// One value.
    subscript(row: Int, column: Int) -> Float {
        precondition(row >= 0 && row < rows && column >= 0 && column < columns)
        return base[row * columns + column]
    }

    /// Values of some rows, row by row.
    func values(rows range: Range<Int>) -> [Float] {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return Array(UnsafeBufferPointer(start: base + range.lowerBound * columns, count: range.count * columns))
    }

    /// Copies `count` rows of `source` from `sourceRow` to `row`.
    mutating func copyRows(of source: borrowing Matrix, from sourceRow: Int = 0, to row: Int = 0, count: Int) {
        precondition(source.columns == columns && sourceRow + count <= source.rows && row + count <= rows)
        (base + row * columns).update(from: source.base + sourceRow * columns, count: count * columns)
    }

    /// Copies whole rows of `values` to `row`.
    mutating func setRows(_ values: [Float], at row: Int) {
        precondition(values.count % columns == 0 && row * columns + values.count <= rows * columns)
        values.withUnsafeBufferPointer { (base + row * columns).update(from: $0.baseAddress!, count: $0.count) }
    }

    /// Adds `other` to the rows from `row` on.
    mutating func addRows(_ other: borrowing Matrix, at row: Int) {
        precondition(other.columns == columns && row + other.rows <= rows)
        let target = base + row * columns
        for i in 0..<other.rows * columns { target[i] += other.base[i] }
    }
}

/// `count` floats, to be freed with `free`: on a 64-byte boundary, or zeroed. Zeros come from calloc, so that pages of a large
/// cache that are never touched cost nothing. Large memory is asked for in huge pages: streams of weights miss the TLB less.
func allocateAligned(count: Int, zeroed: Bool) -> UnsafeMutablePointer<Float> {
    let bytes = (count * MemoryLayout<Float>.stride + 63) / 64 * 64
    let isLarge = !zeroed && bytes >= 4 * hugePage
    guard let raw = zeroed ? calloc(1, bytes) : aligned_alloc(isLarge ? hugePage : 64, bytes) else {
        fatalError("out of memory: \(bytes) bytes")
    }
    if isLarge { madvise(raw, bytes, MADV_HUGEPAGE) }  // refused: as without
    return raw.bindMemory(to: Float.self, capacity: count)
}

private let hugePage = 2 << 20
