/// A metric whose labels and answers are classes: one of them is right, and a text names one or none.
public protocol ClassMetric: TextMetric {
    /// The class that is right and the one that the text names, in the form in which they are compared: the two are equal if and only
    /// if the item scores 1. The answer is nil if there is no result, or if its text names no class.
    /// - Parameter item: one that the metric scored.
    func classes(of item: EvaluatedItem) -> (label: String, answer: String?)
}

/// How often each answer was given where each label is right.
public struct Confusion: Sendable {
    /// Texts are names of their code points: é in one and é in two are two names.
    private struct Name: Hashable {
        let text: String

        static func == (left: Name, right: Name) -> Bool { PythonText.areEqual(left.text, right.text) }
    }

    /// Numbers of names.
    private struct Names {
        var numbers: [Name: Int32] = [:]
        var counts: [(name: String, count: Int)] = []

        /// - Returns: −1 for a name that comes when there are `most` already.
        mutating func number(of name: String, most: Int) -> Int32 {
            if let number = numbers[Name(text: name)] {
                counts[Int(number)].count += 1
                return number
            }
            guard counts.count < most else { return -1 }
            numbers[Name(text: name)] = Int32(counts.count)
            counts.append((name, 1))
            return Int32(counts.count - 1)
        }

        /// The numbers of the names that came most often; names that came as often by their name.
        func first(_ count: Int) -> [Int] {
            let order = counts.indices.sorted {
                (counts[$1].count, counts[$0].name) < (counts[$0].count, counts[$1].name)
            }
            return Array(order.prefix(count))
        }
    }

    /// The table of the classes that come most often.
    public struct Table: Sendable, Equatable {
        /// Labels, those of most items first.
        public var labels: [String]
        /// Answers: those that are among the labels in their order, then the others, those of most items first.
        public var answers: [String]
        /// Items: a row for each of ``labels`` and one for all other labels; in it a column for each of ``answers``, one for all other
        /// answers, and one for none.
        public var counts: [[Int]]

        public init(labels: [String], answers: [String], counts: [[Int]]) {
            self.labels = labels
            self.answers = answers
            self.counts = counts
        }
    }

    private static let none: Int32 = -2
    /// So many different names are told apart, so that a million different answers take no memory of theirs.
    private static let mostNames = 10_000
    private var (labels, answers) = (Names(), Names())
    /// A label and an answer an item.
    private var pairs: [(label: Int32, answer: Int32)] = []

    public init() {}

    /// Adds an item.
    public mutating func add(_ classes: (label: String, answer: String?)) {
        let label = labels.number(of: classes.label, most: Self.mostNames)
        let answer = classes.answer.map { answers.number(of: $0, most: Self.mostNames) }
        pairs.append((label, answer ?? Self.none))
    }

    /// The table of the most frequent labels and answers.
    /// - Parameter most: rows and columns at most, without those of the rest.
    public func table(most: Int = 20) -> Table {
        let rows = labels.first(most)
        let names = rows.map { labels.counts[$0].name }
        let chosen = answers.first(most)
        let shared = names.compactMap { name in chosen.first { PythonText.areEqual(answers.counts[$0].name, name) } }
        let columns = shared + chosen.filter { !shared.contains($0) }
        var rowOf = [Int](repeating: rows.count, count: labels.counts.count)
        for (place, number) in rows.enumerated() { rowOf[number] = place }
        var columnOf = [Int](repeating: columns.count, count: answers.counts.count)
        for (place, number) in columns.enumerated() { columnOf[number] = place }
        var counts = [[Int]](
            repeating: [Int](repeating: 0, count: columns.count + 2), count: rows.count + 1)
        for (label, answer) in pairs {
            let row = label < 0 ? rows.count : rowOf[Int(label)]
            let column = answer == Self.none ? columns.count + 1 : answer < 0 ? columns.count : columnOf[Int(answer)]
            counts[row][column] += 1
        }
        return Table(labels: names, answers: columns.map { answers.counts[$0].name }, counts: counts)
    }
}
