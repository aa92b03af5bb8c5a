import Foundation

/// Where else a model might have put a coordinate: a summary of the distribution of one `<loc…>` token at its step, the
/// softmax of the raw logits, however the token was chosen.
public struct LocationSpread: Hashable, Sendable {
    /// How much of the probability each cell has; together 1. Of 16 cells those at the ends are the smallest, as
    /// Chebyshev's nodes have it: cell i ends at sin²(π (i + 1) / 32). What is far away and unlikely stays apart so.
    public static let shares: [Double] = (0..<16).map { (index: Int) -> Double in
        let angle = Double.pi / 16
        return (cos(angle * Double(index)) - cos(angle * Double(index + 1))) / 2
    }

    /// The probability that the token is a location at all, 0...1.
    public let mass: Double
    /// Where it is if so, 0...1023 in ascending order: the distribution over locations, cut into cells that have these
    /// `shares`, and the mean of each cell.
    public let positions: [Float]

    /// A distribution over the locations 0, 1, …, in order.
    ///
    /// - Parameter probabilities: of each; what they lack to 1 is the probability of other tokens.
    public init(probabilities: [Double]) {
        let sum = probabilities.reduce(0, +)
        mass = min(1, sum)
        guard sum > 0 else {
            positions = Array(repeating: 0, count: Self.shares.count)
            return
        }
        let sizes = Self.shares.map { $0 * sum }
        var (means, weight, moment): ([Float], Double, Double) = ([], 0, 0)
        for (location, probability) in probabilities.enumerated() where probability > 0 {
            var rest = probability
            // The last cell takes what rounding leaves.
            while means.count < sizes.count - 1, weight + rest >= sizes[means.count] {
                let size = sizes[means.count]
                let part = size - weight
                means.append(Float((moment + part * Double(location)) / size))
                rest -= part
                (weight, moment) = (0, 0)
            }
            weight += rest
            moment += rest * Double(location)
        }
        positions = means + [weight > 0 ? Float(moment / weight) : means[means.count - 1]]
    }

    /// One location, and nothing known of any other: it counts as no location.
    init(_ location: Int, probability: Double) {
        mass = probability
        positions = Array(repeating: Float(location), count: Self.shares.count)
    }
}
