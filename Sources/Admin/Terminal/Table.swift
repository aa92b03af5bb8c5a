/// Rows under headings, aligned, and cut to the terminal's width where one column may give way.
struct Table {
    /// A column.
    struct Column {
        let title: String
        var isNumber = false
        /// Gives way when the rows are too wide; the widest such column is cut.
        var isFlexible = false

        /// A column of texts.
        static func text(_ title: String) -> Column { Column(title: title) }
        /// A column of numbers, aligned to the right.
        static func number(_ title: String) -> Column { Column(title: title, isNumber: true) }
        /// A column of texts that may be cut.
        static func flexible(_ title: String) -> Column { Column(title: title, isFlexible: true) }
    }

    /// A text and how it looks.
    struct Cell: ExpressibleByStringInterpolation {
        let text: String
        let style: Palette.Style

        init(_ text: String?, _ style: Palette.Style = .plain) {
            self.text = (text ?? "").singleLine
            self.style = style
        }

        init(stringLiteral value: String) { self.init(value) }
    }

    private static let gap = "  "
    /// No column is cut below this.
    private static let least = 8

    let columns: [Column]
    private(set) var rows: [[Cell]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ row: [Cell]) {
        precondition(row.count == columns.count)
        rows.append(row)
    }

    /// The same with the first rows only.
    func first(_ count: Int) -> Table {
        var table = self
        table.rows = Array(rows.prefix(count))
        return table
    }

    /// The lines, heading first.
    /// - Parameter width: the most columns of a line; nil cuts nothing.
    func lines(width: Int?, palette: Palette = Palette(isEnabled: false)) -> [String] {
        let widths = widths(within: width)
        let heading = columns.map { Cell($0.title, .dim) }
        return ([heading] + rows).map { row in line(row, widths, palette) }
    }

    private func widths(within limit: Int?) -> [Int] {
        var widths = columns.indices.map { index in
            rows.reduce(columns[index].title.columns) { max($0, $1[index].text.columns) }
        }
        guard let limit else { return widths }
        let gaps = Self.gap.count * (columns.count - 1)
        while widths.reduce(gaps, +) > limit {
            let candidates = columns.indices.filter { columns[$0].isFlexible && widths[$0] > Self.least }
            guard let widest = candidates.max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
        }
        return widths
    }

    private func line(_ row: [Cell], _ widths: [Int], _ palette: Palette) -> String {
        var line = ""
        for (index, cell) in row.enumerated() {
            let text = cell.text.cut(to: widths[index])
            let padding = String(repeating: " ", count: widths[index] - text.columns)
            let painted = palette.paint(text, cell.style)
            if index > 0 { line += Self.gap }
            line += columns[index].isNumber ? padding + painted : painted + padding
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
