/// A metric by groups: a group counts if all of its items are right. MMVP's pairs, and NLVR2's consistency.
public struct Pairing: TextMetric {
    /// The name.
    public let name: String
    /// The metric of an item, which is right if it scores 1.
    private let base: any TextMetric
    /// Whether the headline is the groups' figure, or that of the items.
    private let isGroupFirst: Bool

    init(_ name: String, of base: any TextMetric, isGroupFirst: Bool) {
        self.name = name
        self.base = base
        self.isGroupFirst = isGroupFirst
    }

    /// Groups of texts that equal an answer in lower case.
    public static let paired = Pairing("paired", of: ExactMatch(.exactLower), isGroupFirst: true)
    /// MMVP: pairs of multiple choices.
    public static let mmvp = Pairing("mmvp", of: ChoiceMatch(), isGroupFirst: true)
    /// NLVR2: accuracy, and how many sentences are right on all of their images.
    public static let nlvr2 = Pairing("nlvr2", of: ExactMatch(.exactLower), isGroupFirst: false)

    public func start() -> any MetricRun { Run(items: base.start(), isGroupFirst: isGroupFirst) }

    private struct Run: MetricRun {
        var items: any MetricRun
        let isGroupFirst: Bool
        var groups: [String] = []

        mutating func add(_ item: EvaluatedItem) throws(EvaluationError) {
            guard let group = item.group else {
                throw EvaluationError(key: item.key, reason: "it has no group, and this metric is of groups")
            }
            try items.add(item)
            groups.append(group)
        }

        func scores() throws(EvaluationError) -> MetricScores {
            let scores = try items.scores()
            return MetricScores(items: scores.items) { [groups, isGroupFirst] indices in
                // A group drawn twice is one: draw items by their group, or leave these intervals alone.
                var isRight: [PythonText: Bool] = [:]
                for index in indices {
                    let group = PythonText(groups[index])
                    isRight[group] = (isRight[group] ?? true) && scores.items[index] == 1
                }
                let name = isGroupFirst ? "groups all right" : "consistency"
                let byGroup = Figure.mean(name, of: isRight.values.map { $0 ? 1 : 0 })
                let byItem = scores.figures(of: indices)
                return isGroupFirst ? [byGroup] + byItem : [byItem[0], byGroup] + byItem.dropFirst()
            }
        }
    }
}
