import CKernels
import Foundation

/// A row-major f32 matrix [rows, columns], owned by its holder.
struct Matrix: ~Copyable {
    let rows: Int
    let columns: Int
    let base: UnsafeMutablePointer<Float>
    private let isScratch: Bool

    /// Uninitialised.
    init(rows: Int, columns: Int) throws(InferenceError) {
        self.init(rows, columns, try Memory.takeScratch(count: rows * columns), isScratch: true)
    }

    private init(_ rows: Int, _ columns: Int, _ base: UnsafeMutablePointer<Float>, isScratch: Bool) {
        (self.rows, self.columns, self.base, self.isScratch) = (rows, columns, base, isScratch)
    }

    /// Of a kernel, while it computes. Uninitialised, unless `zeroed`.
    static func temporary(rows: Int, columns: Int, zeroed: Bool = false) -> Matrix {
        let count = rows * columns
        let base =
            zeroed ? Memory.allocateIfPossible(count: count, zeroed: true) : Scratch.shared.take(count: count)
        return Matrix(rows, columns, Memory.certain(base, count: count), isScratch: !zeroed)
    }

    /// A copy of `values`, row by row.
    init(rows: Int, columns: Int, values: [Float]) throws(InferenceError) {
        precondition(values.count == rows * columns)
        try self.init(rows: rows, columns: columns)
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
