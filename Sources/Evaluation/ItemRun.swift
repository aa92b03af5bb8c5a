/// A run of a metric that reads each item by itself: `Evidence` is what the figures need of one.
struct ItemRun<Evidence: Sendable>: MetricRun {
    /// Reads an item.
    let read: @Sendable (EvaluatedItem) throws(EvaluationError) -> Evidence
    /// The score of an item.
    let score: @Sendable (Evidence) -> Double?
    /// The figures of the items with these indices.
    let figures: @Sendable (_ evidence: [Evidence], _ indices: [Int]) -> [Figure]
    private(set) var evidence: [Evidence] = []

    init(
        read: @escaping @Sendable (EvaluatedItem) throws(EvaluationError) -> Evidence,
        score: @escaping @Sendable (Evidence) -> Double?,
        figures: @escaping @Sendable ([Evidence], [Int]) -> [Figure]
    ) {
        self.read = read
        self.score = score
        self.figures = figures
    }

    mutating func add(_ item: EvaluatedItem) throws(EvaluationError) { evidence.append(try read(item)) }

    func scores() -> MetricScores {
        MetricScores(items: evidence.map(score)) { [figures, evidence] in figures(evidence, $0) }
    }
}
