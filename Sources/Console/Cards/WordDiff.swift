/// What of a text another one has in place of it, word by word.
struct WordDiff: Equatable {
    /// Words that both have, or one of them.
    struct Part: Equatable {
        enum Side: Equatable { case both, left, right }

        var side: Side
        var words: [String]
    }

    /// In order; where the texts differ, the left's words come first.
    private(set) var parts: [Part] = []

    /// The most words of a text: the work grows with the square.
    private static let mostWords = 300

    /// Nil: one of them is too long for it.
    init?(_ left: String, _ right: String) {
        let (left, right) = (Self.words(left), Self.words(right))
        guard left.count <= Self.mostWords, right.count <= Self.mostWords else { return nil }
        // The longest common subsequence of what is left of both from each place on.
        let width = right.count + 1
        var lengths = [Int](repeating: 0, count: (left.count + 1) * width)
        for row in left.indices.reversed() {
            for column in right.indices.reversed() {
                lengths[row * width + column] =
                    left[row] == right[column]
                    ? lengths[(row + 1) * width + column + 1] + 1
                    : max(lengths[(row + 1) * width + column], lengths[row * width + column + 1])
            }
        }
        var (row, column) = (0, 0)
        while row < left.count || column < right.count {
            if row < left.count, column < right.count, left[row] == right[column] {
                add(left[row], .both)
                (row, column) = (row + 1, column + 1)
            } else if row < left.count,
                column == right.count || lengths[(row + 1) * width + column] >= lengths[row * width + column + 1]
            {
                add(left[row], .left)
                row += 1
            } else {
                add(right[column], .right)
                column += 1
            }
        }
    }

    private mutating func add(_ word: String, _ side: Part.Side) {
        if parts.last?.side == side {
            parts[parts.count - 1].words.append(word)
        } else {
            parts.append(Part(side: side, words: [word]))
        }
    }

    private static func words(_ text: String) -> [String] {
        text.split(whereSeparator: \.isWhitespace).map(String.init)
    }

    /// The left's words as deleted, the right's as inserted.
    var html: HTML {
        parts.map { part -> HTML in
            let text = part.words.joined(separator: " ")
            return switch part.side {
            case .both: "\(text)"
            case .left: "<del>\(text)</del>"
            case .right: "<ins>\(text)</ins>"
            }
        }.joined(separator: " ")
    }
}
