import Testing

@testable import Evaluation

@Suite struct BootstrapTests {
    /// The fast way, by kinds of units, against drawing each of them.
    @Test func kindsAreDrawnAsUnitsAre() throws {
        let units = (0..<500).map { (sum: $0 % 10 < 7 ? 1.0 : 0.0, count: 1) }
        let bootstrap = Bootstrap(draws: 600, seed: 1)
        let fast = try #require(bootstrap.interval(ofMean: units))
        let slow = try #require(
            bootstrap.interval(unitCount: units.count) { weights in
                zip(weights, units).reduce(0) { $0 + Double($1.0) * $1.1.sum } / 500
            })
        // ±1.96 · √(.7 · .3 / 500)
        for interval in [fast, slow] {
            #expect(abs(interval.low - 0.6598) < 0.01 && abs(interval.high - 0.7402) < 0.01, "\(interval)")
        }
    }

    @Test func binomialsHaveTheirMeanAndVariance() {
        var random = SeededRandom(seed: 3)
        for (count, probability) in [(1, 0.5), (10, 0.02), (1000, 0.999), (1_000_000, 0.3)] {
            let draws = (0..<4000).map { _ in Double(random.binomial(count, probability)) }
            let mean = draws.reduce(0, +) / 4000
            let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 4000
            let expected = Double(count) * probability
            let spread = (expected * (1 - probability)).squareRoot()
            #expect(abs(mean - expected) < 5 * spread / 63, "\(count) \(probability)")
            #expect(abs(variance / (spread * spread) - 1) < 0.2, "\(count) \(probability)")
        }
        #expect(random.binomial(0, 0.5) == 0 && random.binomial(5, 0) == 0 && random.binomial(5, 1) == 5)
    }

    @Test func theSameSeedDrawsTheSame() {
        let units = (0..<300).map { (sum: Double($0), count: 1) }
        let interval = Bootstrap(draws: 50, seed: 7).interval(ofMean: units)
        #expect(interval != nil && interval == Bootstrap(draws: 50, seed: 7).interval(ofMean: units))
        #expect(interval != Bootstrap(draws: 50, seed: 8).interval(ofMean: units))
    }

    /// What is always the same has an interval without width; what cannot be drawn has none.
    @Test func edges() {
        #expect(Bootstrap().interval(ofMean: [(1, 1), (1, 1), (1, 1)]) == Interval(low: 1, high: 1))
        #expect(Bootstrap().interval(ofMean: [(1, 1)]) == nil)
        #expect(Bootstrap(draws: 0).interval(ofMean: [(1, 1), (0, 1)]) == nil)
        #expect(Bootstrap(draws: 10).interval(unitCount: 5) { _ in nil } == nil)
    }
}
