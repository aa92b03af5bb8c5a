import Annotation

/// A mask as a path of SVG over a picture of 1000 × 1000 units. Its size is bounded: a large mask is shown by cells of
/// several pixels, each of which is what its middle is.
package struct MaskPath {
    /// The most cells a side.
    private static let mostCells = 192
    /// The most rectangles; a mask that has more is shown by larger cells.
    private static let mostRectangles = 3000

    /// In cells from the upper left one.
    private struct Rectangle {
        var left: Int, top: Int, width: Int, height: Int
    }

    /// Where the first cell lies in the picture, and how large one is.
    package let transform: String
    /// The rectangles.
    package let data: String

    /// Nil: the mask is empty, or cannot be read.
    package init?(_ mask: RunLengthMask) {
        guard let inside = Pixels(mask) else { return nil }
        var (rectangles, cells, most) = ([Rectangle](), (x: 1, y: 1), Self.mostCells)
        repeat {
            cells = (x: (inside.columns.count - 1) / most + 1, y: (inside.rows.count - 1) / most + 1)
            rectangles = Self.rectangles(inside, cells)
            most /= 2
        } while rectangles.count > Self.mostRectangles
        let (right, down) = (1000 / Double(mask.width), 1000 / Double(mask.height))
        func text(_ number: Double) -> String { Formats.fixed(number, 4) }
        let start = (
            text(Double(inside.columns.lowerBound) * right), text(Double(inside.rows.lowerBound) * down)
        )
        transform =
            "translate(\(start.0) \(start.1)) scale(\(text(Double(cells.x) * right)) \(text(Double(cells.y) * down)))"
        data = rectangles.map { "M\($0.left) \($0.top)h\($0.width)v\($0.height)h-\($0.width)z" }.joined()
    }

    /// The runs of each row of cells; those that stand below equal ones are one with them.
    private static func rectangles(_ inside: Pixels, _ cells: (x: Int, y: Int)) -> [Rectangle] {
        var (done, open) = ([Rectangle](), [Rectangle]())
        let columns = middles(inside.columns, cells.x)
        for (place, row) in middles(inside.rows, cells.y).enumerated() {
            var (runs, isInside) = ([Rectangle](), false)
            for (index, column) in columns.enumerated() {
                let wasInside = isInside
                isInside = inside.contains(row: row, column: column)
                guard isInside else { continue }
                if wasInside {
                    runs[runs.count - 1].width += 1
                } else {
                    runs.append(Rectangle(left: index, top: place, width: 1, height: 1))
                }
            }
            if runs.elementsEqual(open, by: { $0.left == $1.left && $0.width == $1.width }) {
                for index in open.indices { open[index].height += 1 }
            } else {
                done += open
                open = runs
            }
        }
        return done + open
    }

    /// The middle of each cell of so many pixels.
    private static func middles(_ pixels: Range<Int>, _ cell: Int) -> [Int] {
        stride(from: pixels.lowerBound, to: pixels.upperBound, by: cell).map {
            min($0 + cell / 2, pixels.upperBound - 1)
        }
    }

    /// Which pixels are inside.
    private struct Pixels {
        private let height: Int
        /// Runs that are inside, down the columns.
        private var runs: [Range<Int>] = []
        /// Those that have pixels which are inside.
        private(set) var rows = 0..<0, columns = 0..<0

        init?(_ mask: RunLengthMask) {
            guard let lengths = mask.runs else { return nil }
            height = mask.height
            var (place, top, bottom) = (0, Int.max, 0)
            for (index, length) in lengths.enumerated() {
                defer { place += length }
                guard index % 2 == 1, length > 0 else { continue }
                runs.append(place..<place + length)
                let isOneColumn = place / height == (place + length - 1) / height
                top = isOneColumn ? min(top, place % height) : 0
                bottom = isOneColumn ? max(bottom, (place + length - 1) % height + 1) : height
            }
            guard let first = runs.first, let last = runs.last else { return nil }
            rows = top..<bottom
            columns = first.lowerBound / height..<(last.upperBound - 1) / height + 1
        }

        func contains(row: Int, column: Int) -> Bool {
            let pixel = column * height + row
            // The first run that ends behind the pixel.
            var (low, high) = (0, runs.count)
            while low < high {
                let middle = (low + high) / 2
                if runs[middle].upperBound > pixel { high = middle } else { low = middle + 1 }
            }
            return low < runs.count && runs[low].contains(pixel)
        }
    }
}
