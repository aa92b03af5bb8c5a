/// How good answers are if only the surest ones are taken.
public struct RiskCoverage: Hashable, Sendable {
    /// The surest answers.
    public struct Point: Hashable, Sendable {
        /// The share of all answers that was asked for, 0...1.
        public var coverage: Double
        /// The least sureness among them: answer only from here on.
        public var threshold: Double
        /// How many they are.
        public var count: Int
        /// Their mean score.
        public var accuracy: Double
    }

    /// A point for each coverage that was asked for; none without answers.
    public let points: [Point]
    /// The area under the curve of risk (1 − accuracy) over coverage: its mean over all numbers of answers; nil without any.
    public let area: Double?

    /// - Parameter answers: how sure each is (a probability, or any score), and its score 0...1. Of equally sure answers none is
    ///   taken without the others; a point has as many as that leaves.
    public init(_ answers: [(sureness: Double, score: Double)], coverages: [Double] = [0.5, 0.8, 0.9, 1]) {
        let sorted = answers.sorted { $0.sureness > $1.sureness }
        // Where equally sure answers end: how many there are until here, and their score.
        var steps: [(count: Int, sum: Double, sureness: Double)] = []
        var (sum, risks) = (0.0, 0.0)
        for (index, answer) in sorted.enumerated() {
            sum += answer.score
            if index + 1 == sorted.count || sorted[index + 1].sureness != answer.sureness {
                let before = steps.last?.count ?? 0
                risks += Double(index + 1 - before) * (1 - sum / Double(index + 1))
                steps.append((index + 1, sum, answer.sureness))
            }
        }
        area = sorted.isEmpty ? nil : risks / Double(sorted.count)
        points = coverages.compactMap { coverage in
            let wanted = coverage * Double(sorted.count)
            guard let step = steps.first(where: { Double($0.count) >= wanted - 1e-9 }) else { return nil }
            return Point(
                coverage: coverage, threshold: step.sureness, count: step.count, accuracy: step.sum / Double(step.count)
            )
        }
    }
}
