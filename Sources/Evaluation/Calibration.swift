/// Whether answers with the probability p are right in a share p of all cases.
public struct Calibration: Hashable, Sendable {
    /// Answers with about the same probability.
    public struct Bin: Hashable, Sendable {
        /// The least probability, which belongs to it only in the first bin, where it is 0.
        public var low: Double
        /// The largest probability, which belongs to it.
        public var high: Double
        /// How many answers.
        public var count = 0
        /// Their mean probability; 0 without answers.
        public var confidence = 0.0
        /// The share that is right, or the mean score; 0 without answers.
        public var accuracy = 0.0
    }

    /// What a bin's answers add up to.
    private struct Sums: Hashable {
        var count = 0
        var probability = 0.0
        var score = 0.0
    }

    private var sums: [Sums]
    private var squares = 0.0

    /// The reliability table: bins of one width from 0 to 1.
    public var bins: [Bin] {
        sums.enumerated().map { index, sums in
            var bin = Bin(
                low: Double(index) / Double(self.sums.count), high: Double(index + 1) / Double(self.sums.count))
            bin.count = sums.count
            if sums.count > 0 {
                bin.confidence = sums.probability / Double(sums.count)
                bin.accuracy = sums.score / Double(sums.count)
            }
            return bin
        }
    }

    /// Expected calibration error: Σ count / n · |accuracy − confidence|. Nil without answers.
    public var expectedError: Double? {
        let sum = bins.reduce(0) { $0 + abs($1.accuracy - $1.confidence) * Double($1.count) }
        return count == 0 ? nil : sum / Double(count)
    }

    /// The largest |accuracy − confidence| of a bin; nil without answers.
    public var largestError: Double? {
        count == 0 ? nil : bins.reduce(0) { max($0, abs($1.accuracy - $1.confidence)) }
    }

    /// Brier's score: the mean of (probability − score)²; nil without answers.
    public var brier: Double? { count == 0 ? nil : squares / Double(count) }

    private var count: Int { sums.reduce(0) { $0 + $1.count } }

    /// Of no answers yet.
    ///
    /// Source: Guo et al. 2017, arXiv:1706.04599, section 2, with bins that are open below.
    public init(binCount: Int = 15) { sums = Array(repeating: Sums(), count: binCount) }

    /// Adds an answer.
    /// - Parameters:
    ///   - probability: 0...1.
    ///   - score: 0...1.
    public mutating func add(probability: Double, score: Double) {
        let bin = min(max(Int((probability * Double(sums.count)).rounded(.up)) - 1, 0), sums.count - 1)
        sums[bin].count += 1
        sums[bin].probability += probability
        sums[bin].score += score
        squares += (probability - score) * (probability - score)
    }
}
