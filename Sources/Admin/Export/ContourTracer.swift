import Annotation

/// The outer borders of a mask, along the edges of its pixels: filled, they are the mask with its holes filled.
struct ContourTracer {
    /// A corner of pixels: (0, 0) is the image's upper left one.
    struct Point: Hashable {
        var x: Int, y: Int
    }

    /// A border for each part, clockwise, its corners alone; parts touch at corners at most. By the place of their first
    /// pixel, row by row.
    private(set) var borders: [[Point]] = []
    /// Whether a hole was filled.
    let hasHoles: Bool

    /// Nil: the mask is empty, or cannot be read.
    init?(_ mask: RunLengthMask) {
        guard var window = Window(mask) else { return nil }
        hasHoles = window.fillHoles()
        var isTraced = Array(repeating: false, count: (window.width + 1) * window.height)
        for row in 0..<window.height {
            for column in 0..<window.width where window[row, column] && !window[row, column - 1] {
                // The pixel's left edge, upwards: what is inside is on the right-hand side.
                guard !isTraced[row * (window.width + 1) + column] else { continue }
                let border = Self.trace(window, row, column, &isTraced)
                borders.append(border.map { Point(x: $0.x + window.left, y: $0.y + window.top) })
            }
        }
    }

    /// All parts as one line that is drawn without lifting the pen: from the first corner of the first part to each
    /// other part and back the same way, which encloses nothing.
    var joined: [Point] {
        guard var line = borders.first, let start = line.first else { return [] }
        for part in borders.dropFirst() {
            if line.last != start { line.append(start) }
            line += part
            line.append(part[0])
            line.append(start)
        }
        if line.count > 1, line.last == start, borders.count > 1 { line.removeLast() }
        return line
    }

    private static func trace(_ window: Window, _ row: Int, _ column: Int, _ isTraced: inout [Bool]) -> [Point] {
        let start = Point(x: column, y: row + 1)
        var (point, step) = (start, Point(x: 0, y: -1))
        var corners: [Point] = []
        repeat {
            if step.y == -1 { isTraced[(point.y - 1) * (window.width + 1) + point.x] = true }
            point = Point(x: point.x + step.x, y: point.y + step.y)
            // The pixels before the point, on both sides of the way.
            let right = window[Self.pixel(point, step, toRight: true)]
            let left = window[Self.pixel(point, step, toRight: false)]
            // A part does not go on across a corner: where two pixels touch there, the way turns to the right.
            let next =
                !right ? Point(x: -step.y, y: step.x) : left ? Point(x: step.y, y: -step.x) : step
            if next != step { corners.append(point) }
            step = next
        } while point != start || step != Point(x: 0, y: -1)
        return corners
    }

    /// The pixel before a point on one side of the way.
    private static func pixel(_ point: Point, _ step: Point, toRight: Bool) -> (row: Int, column: Int) {
        let side = toRight ? Point(x: -step.y, y: step.x) : Point(x: step.y, y: -step.x)
        // Of the two that lie ahead: half a step ahead and half a step aside.
        let (x, y) = (2 * point.x + step.x + side.x, 2 * point.y + step.y + side.y)
        return ((y - 1) / 2, (x - 1) / 2)
    }

    /// The part of a mask that has pixels.
    private struct Window {
        let left: Int, top: Int, width: Int, height: Int
        private var pixels: [Bool]

        init?(_ mask: RunLengthMask) {
            guard let runs = mask.runs, mask.height > 0 else { return nil }
            var inside: [Range<Int>] = []
            var place = 0
            for (index, run) in runs.enumerated() {
                if index % 2 == 1, run > 0 { inside.append(place..<place + run) }
                place += run
            }
            guard let first = inside.first, let last = inside.last else { return nil }
            left = first.lowerBound / mask.height
            width = (last.upperBound - 1) / mask.height - left + 1
            var (top, bottom) = (mask.height, 0)
            for run in inside {
                let isOneColumn = run.lowerBound / mask.height == (run.upperBound - 1) / mask.height
                top = isOneColumn ? min(top, run.lowerBound % mask.height) : 0
                bottom = isOneColumn ? max(bottom, (run.upperBound - 1) % mask.height + 1) : mask.height
            }
            (self.top, height) = (top, bottom - top)
            pixels = Array(repeating: false, count: width * (bottom - top))
            for run in inside {
                for pixel in run {
                    pixels[(pixel % mask.height - top) * width + pixel / mask.height - left] = true
                }
            }
        }

        /// Takes for inside what is reached from no border, not even across a corner: parts within holes go with them.
        /// - Returns: whether there was any.
        mutating func fillHoles() -> Bool {
            // With a pixel of outside all around.
            let (columns, rows) = (width + 2, height + 2)
            var isOutside = [Bool](repeating: false, count: columns * rows)
            isOutside[0] = true
            var waiting = [(row: 0, column: 0)]
            while let place = waiting.popLast() {
                for row in max(0, place.row - 1)...min(rows - 1, place.row + 1) {
                    for column in max(0, place.column - 1)...min(columns - 1, place.column + 1) {
                        let index = row * columns + column
                        guard !isOutside[index], !self[row - 1, column - 1] else { continue }
                        isOutside[index] = true
                        waiting.append((row, column))
                    }
                }
            }
            var hasHoles = false
            for row in 0..<height {
                for column in 0..<width where !isOutside[(row + 1) * columns + column + 1] && !self[row, column] {
                    pixels[row * width + column] = true
                    hasHoles = true
                }
            }
            return hasHoles
        }

        subscript(row: Int, column: Int) -> Bool {
            row >= 0 && row < height && column >= 0 && column < width && pixels[row * width + column]
        }

        subscript(place: (row: Int, column: Int)) -> Bool { self[place.row, place.column] }
    }
}
