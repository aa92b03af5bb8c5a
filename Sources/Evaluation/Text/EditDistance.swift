/// Levenshtein's distance: the fewest insertions, deletions and substitutions of elements.
enum EditDistance {
    /// The distance between two sequences, in O(n·m) time and O(m) memory.
    static func between<Element: Equatable>(_ left: some Collection<Element>, _ right: some Collection<Element>) -> Int
    {
        let left = Array(left)
        let right = Array(right)
        // What both begin and end with costs nothing.
        let start = zip(left, right).prefix { $0 == $1 }.count
        let end = min(
            zip(left.reversed(), right.reversed()).prefix { $0 == $1 }.count, min(left.count, right.count) - start)
        let rows = left[start..<(left.count - end)]
        let columns = Array(right[start..<(right.count - end)])
        var distances = Array(0...columns.count)
        for row in rows {
            var diagonal = distances[0]
            distances[0] += 1
            for (index, column) in columns.enumerated() {
                let above = distances[index + 1]
                distances[index + 1] = row == column ? diagonal : 1 + min(diagonal, above, distances[index])
                diagonal = above
            }
        }
        return distances[columns.count]
    }
}
