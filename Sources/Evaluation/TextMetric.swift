/// A metric of texts, in one official variant.
public protocol TextMetric: Sendable {
    /// The variant's name, as `glossctl evaluate` takes and stores it: `vqa-v2`, `anls-bv`.
    var name: String { get }
    /// A run without items. It keeps of an item what the metric needs and no more, so that a million items fit.
    func start() -> any MetricRun
}

/// Items of one evaluation, added one by one.
public protocol MetricRun {
    /// Adds an item.
    /// - Throws: if its labels are none that the metric can score against.
    mutating func add(_ item: EvaluatedItem) throws(EvaluationError)
    /// The scores of all items so far.
    /// - Throws: if the metric is not defined on these items: there are too few.
    func scores() throws(EvaluationError) -> MetricScores
}

extension TextMetric {
    /// Scores items at once.
    /// - Throws: what adding them or scoring them throws.
    public func scores(of items: some Sequence<EvaluatedItem>) throws(EvaluationError) -> MetricScores {
        var run = start()
        for item in items { try run.add(item) }
        return try run.scores()
    }
}

/// What a metric says of items: a score each, and figures of all.
public struct MetricScores: Sendable {
    /// The score of each item, in the order in which they were added; nil: its text could not be parsed, which counts
    /// as wrong in the figures.
    public let items: [Double?]
    /// The figures of all items. The first is the headline.
    public let figures: [Figure]
    private let resampled: @Sendable ([Int]) -> [Figure]

    /// - Parameter figures: the figures of the items with these indices; an index may occur more than once.
    public init(items: [Double?], figures: @escaping @Sendable ([Int]) -> [Figure]) {
        self.items = items
        self.figures = figures(Array(items.indices))
        self.resampled = figures
    }

    /// The figures of some of the items, for a bootstrap or a group. What depends on the whole corpus stays that of the
    /// whole: CIDEr's document frequencies.
    /// - Parameter indices: into ``items``; an index may occur more than once.
    public func figures(of indices: [Int]) -> [Figure] { resampled(indices) }
}

/// A figure of a corpus.
public struct Figure: Sendable, Hashable {
    /// Its name: `CIDEr-D`, `accuracy`, `accuracy yes/no`.
    public var name: String
    /// Its value, not × 100; nil: it is not defined on these items.
    public var value: Double?
    /// How many items, pairs or types it is of.
    public var count: Int

    public init(name: String, value: Double?, count: Int) {
        self.name = name
        self.value = value
        self.count = count
    }
}
