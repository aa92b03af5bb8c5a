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

    /// The reliability table: bins of one width from 0 to 1.
    public let bins: [Bin]
    /// Expected calibration error: Σ count / n · |accuracy − confidence|. Nil without answers.
    public let expectedError: Double?
    /// The largest |accuracy − confidence| of a bin; nil without answers.
    public let largestError: Double?
    /// Brier's score: the mean of (probability − score)²; nil without answers.
    public let brier: Double?

    /// - Parameter answers: the probability of each answer and its score, 0...1.
    ///
    /// Source: Guo et al. 2017, arXiv:1706.04599, section 2, with bins that are open below.
    public init(_ answers: some Sequence<(probability: Double, score: Double)>, binCount: Int = 15) {
        var bins = (0..<binCount).map { index in
            Bin(low: Double(index) / Double(binCount), high: Double(index + 1) / Double(binCount))
        }
        var (squares, answerCount) = (0.0, 0)
        for (probability, score) in answers {
            let bin = min(max(Int((probability * Double(binCount)).rounded(.up)) - 1, 0), binCount - 1)
            bins[bin].count += 1
            answerCount += 1
            bins[bin].confidence += probability
            bins[bin].accuracy += score
            squares += (probability - score) * (probability - score)
        }
        var (sum, largest) = (0.0, 0.0)
        for index in bins.indices where bins[index].count > 0 {
            bins[index].confidence /= Double(bins[index].count)
            bins[index].accuracy /= Double(bins[index].count)
            let error = abs(bins[index].accuracy - bins[index].confidence)
            sum += error * Double(bins[index].count)
            largest = max(largest, error)
        }
        let count = Double(answerCount)
        self.bins = bins
        expectedError = answerCount == 0 ? nil : sum / count
        largestError = answerCount == 0 ? nil : largest
        brier = answerCount == 0 ? nil : squares / count
    }
}
