import Evaluation

/// Intervals of the figures of texts: of one model's, or of the differences between two.
struct Resampling {
    let bootstrap: Bootstrap
    /// Indices of the items that are drawn together: those of an image or of a pair. Nil: each item alone.
    let units: [[Int]]?
    /// From so many items and draws on, only figures that are means of the items' scores have an interval: the others are
    /// computed anew for each draw.
    static let mostWork = 20_000_000

    /// What makes a figure of some items.
    struct Sample {
        let scores: MetricScores
        /// 1 or 0 a unit, for figures of pairs: all its items are right.
        let unitScores: [Double]?
    }

    /// Figures that are shares of units.
    private static let unitFigures: Set<String> = ["groups all right", "consistency"]

    /// The interval of each figure, by name.
    func intervals(_ sample: Sample, minus other: Sample? = nil) -> [String: Interval] {
        guard bootstrap.draws > 0 else { return [:] }
        var intervals: [String: Interval] = [:]
        var rest: [String] = []
        let others = other.map { Dictionary($0.scores.figures.map { ($0.name, $0) }) { first, _ in first } }
        for figure in sample.scores.figures {
            if Self.unitFigures.contains(figure.name), let units = sample.unitScores {
                let differences = other?.unitScores.map { zip(units, $0).map { $0 - $1 } }
                intervals[figure.name] = bootstrap.interval(ofMean: (differences ?? units).map { ($0, 1) })
            } else if Self.isMean(figure, sample.scores),
                other == nil || others?[figure.name].map({ Self.isMean($0, other?.scores) }) == true
            {
                intervals[figure.name] = bootstrap.interval(ofMean: sums(sample.scores, minus: other?.scores))
            } else {
                rest.append(figure.name)
            }
        }
        let itemCount = sample.scores.items.count
        guard !rest.isEmpty, itemCount <= Self.mostWork / bootstrap.draws else { return intervals }
        let found = bootstrap.intervals(unitCount: units?.count ?? itemCount) { weights in
            let indices = indices(weights)
            let figures = Self.values(sample.scores, indices)
            let minus = other.map { Self.values($0.scores, indices) }
            return rest.map { name in
                guard let value = figures[name] else { return nil }
                guard let minus else { return value }
                return minus[name].map { value - $0 }
            }
        }
        for (name, interval) in zip(rest, found) { intervals[name] = interval }
        return intervals
    }

    /// Whether a figure is the mean of the items' scores, where what could not be parsed counts 0.
    static func isMean(_ figure: Figure, _ scores: MetricScores?) -> Bool {
        guard let scores, figure.count == scores.items.count, let value = figure.value else { return false }
        let mean = scores.items.reduce(0) { $0 + ($1 ?? 0) } / Double(max(1, scores.items.count))
        return abs(mean - value) <= 1e-12 * max(1, abs(mean))
    }

    /// The interval of the mean of a score an item.
    func interval(ofMean scores: [Double]) -> Interval? {
        let sample = units?.map { unit in (sum: unit.reduce(0) { $0 + scores[$1] }, count: unit.count) }
        return bootstrap.interval(ofMean: sample ?? scores.map { ($0, 1) })
    }

    /// The sum of the scores of each unit, and how many they are.
    private func sums(_ scores: MetricScores, minus other: MetricScores?) -> [(sum: Double, count: Int)] {
        func score(_ item: Int) -> Double { (scores.items[item] ?? 0) - (other.map { $0.items[item] ?? 0 } ?? 0) }
        guard let units else { return scores.items.indices.map { (score($0), 1) } }
        return units.map { unit in (unit.reduce(0) { $0 + score($1) }, unit.count) }
    }

    private func indices(_ weights: [Int]) -> [Int] {
        var indices: [Int] = []
        for (unit, weight) in weights.enumerated() {
            for _ in 0..<weight {
                if let units { indices += units[unit] } else { indices.append(unit) }
            }
        }
        return indices
    }

    private static func values(_ scores: MetricScores, _ indices: [Int]) -> [String: Double] {
        var values: [String: Double] = [:]
        for figure in scores.figures(of: indices) { values[figure.name] = figure.value }
        return values
    }
}
