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

    /// A point for each coverage that was asked for, which ascend; none without answers.
    public let points: [Point]
    /// The area under the curve of risk (1 − accuracy) over coverage: its mean over all numbers of answers; nil without any.
    public let area: Double?

    /// - Parameter answers: how sure each is (a probability, or any score), and its score 0...1. Of equally sure answers none is
    ///   taken without the others; a point has as many as that leaves.
    public init(_ answers: [(sureness: Float, score: Float)], coverages: [Double] = [0.5, 0.8, 0.9, 1]) {
        var sorted = answers
        sorted.sort { $0.sureness > $1.sureness }
        var points: [Point] = []
        var (before, sum, risks) = (0, 0.0, 0.0)
        for (index, answer) in sorted.enumerated() {
            sum += Double(answer.score)
            // Where equally sure answers end.
            guard index + 1 == sorted.count || sorted[index + 1].sureness != answer.sureness else { continue }
            let count = index + 1
            risks += Double(count - before) * (1 - sum / Double(count))
            before = count
            while points.count < coverages.count, Double(count) >= coverages[points.count] * Double(sorted.count) - 1e-9
            {
                points.append(
                    Point(
                        coverage: coverages[points.count], threshold: Double(answer.sureness), count: count,
                        accuracy: sum / Double(count)))
            }
        }
        area = sorted.isEmpty ? nil : risks / Double(sorted.count)
        self.points = points
    }
}
