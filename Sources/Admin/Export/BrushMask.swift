import Annotation

/// A mask as Label Studio's brush has it: the run-length packing of thi.ng over the pixels row by row, four bytes a pixel,
/// each 0 outside and 255 inside.
///
/// Source: label_studio_sdk.converter.brush (`encode_rle`), which follows @thi.ng/rle-pack.
enum BrushMask {
    /// How many bits a run's length may have, in the order of the head.
    private static let sizes = [3, 4, 8, 16]
    private static let wordSize = 8

    /// - Returns: the packed bytes; nil if the mask cannot be read.
    static func pack(_ mask: RunLengthMask) -> [UInt8]? {
        guard let columns = mask.runs else { return nil }
        var bits = Bits()
        bits.append(4 * mask.width * mask.height, 32)
        bits.append(wordSize - 1, 5)
        for size in sizes { bits.append(size - 1, 4) }
        for (isInside, length) in rows(columns, mask) {
            var left = 4 * length
            while left > 0 {
                let run = min(left, 1 << 16)
                let index = sizes.firstIndex { run <= 1 << $0 } ?? 3
                bits.append(1, 1)
                bits.append(index, 2)
                bits.append(run - 1, sizes[index])
                bits.append(isInside ? 255 : 0, wordSize)
                left -= run
            }
        }
        return bits.bytes
    }

    /// The runs along the rows of a mask whose runs go down the columns.
    private static func rows(_ columns: [Int], _ mask: RunLengthMask) -> [(isInside: Bool, length: Int)] {
        var changes: [[Int]] = Array(repeating: [], count: mask.height)
        // In each row, the columns where the inside begins or ends.
        var place = 0
        for (index, run) in columns.enumerated() {
            defer { place += run }
            guard index % 2 == 1 else { continue }
            for pixel in place..<place + run {
                let (row, column) = (pixel % mask.height, pixel / mask.height)
                if changes[row].last == column {
                    changes[row].removeLast()
                } else {
                    changes[row].append(column)
                }
                changes[row].append(column + 1)
            }
        }
        var runs: [(isInside: Bool, length: Int)] = []
        func add(_ isInside: Bool, _ length: Int) {
            guard length > 0 else { return }
            if runs.last?.isInside == isInside {
                runs[runs.count - 1].length += length
            } else {
                runs.append((isInside, length))
            }
        }
        for row in changes {
            var (column, isInside) = (0, false)
            for change in row {
                add(isInside, change - column)
                (column, isInside) = (change, !isInside)
            }
            add(false, mask.width - column)
        }
        return runs
    }

    /// Bits, the highest of a number first.
    private struct Bits {
        var bytes: [UInt8] = []
        private var free = 0

        mutating func append(_ value: Int, _ count: Int) {
            for bit in stride(from: count - 1, through: 0, by: -1) {
                if free == 0 {
                    bytes.append(0)
                    free = 8
                }
                free -= 1
                if value >> bit & 1 == 1 { bytes[bytes.count - 1] |= 1 << UInt8(free) }
            }
        }
    }
}
