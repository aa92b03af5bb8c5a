import Foundation

/// An interval between two percentiles of a bootstrap's draws.
public struct Interval: Hashable, Sendable {
    /// The lower end.
    public var low: Double
    /// The upper end.
    public var high: Double

    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }
}

/// Draws units (items, or images with all their items) with replacement, and says how a figure varies. The same seed draws the
/// same units, so that two models are compared on the same draws.
public struct Bootstrap: Sendable {
    /// How many draws; 0: none.
    public var draws: Int
    /// Whatever is the same gives the same intervals.
    public var seed: UInt64
    /// The share of the draws within an interval.
    public var level: Double

    public init(draws: Int = 1000, seed: UInt64 = 0, level: Double = 0.95) {
        self.draws = draws
        self.seed = seed
        self.level = level
    }

    /// The interval of any figure.
    /// - Parameters:
    ///   - unitCount: how many units there are.
    ///   - figure: of a draw, given how often each unit is in it; nil: it is not defined there.
    /// - Returns: nil without draws in which it is defined, or with fewer than two units.
    public func interval(unitCount: Int, of figure: ([Int]) -> Double?) -> Interval? {
        intervals(unitCount: unitCount) { [figure($0)] }.first ?? nil
    }

    /// The intervals of several figures of the same draws.
    public func intervals(unitCount: Int, of figures: ([Int]) -> [Double?]) -> [Interval?] {
        guard draws > 0, unitCount > 1 else { return [] }
        var random = SeededRandom(seed: seed)
        var values: [[Double]] = []
        for _ in 0..<draws {
            var weights = [Int](repeating: 0, count: unitCount)
            for _ in 0..<unitCount { weights[random.index(below: unitCount)] += 1 }
            for (place, value) in figures(weights).enumerated() {
                if place == values.count { values.append([]) }
                if let value { values[place].append(value) }
            }
        }
        return values.map(percentiles)
    }

    /// The interval of the mean of `sums` over `counts`: Σ sum / Σ count of the units drawn. Units that are alike are drawn together,
    /// by binomials, so that a million right or wrong answers take no longer than a hundred.
    ///
    /// - Parameter units: the sum of a unit's scores, and how many they are.
    public func interval(ofMean units: [(sum: Double, count: Int)]) -> Interval? {
        guard draws > 0, units.count > 1 else { return nil }
        guard var groups = Self.kinds(units) else {
            return interval(unitCount: units.count) { weights in
                var (sum, count) = (0.0, 0)
                for (weight, unit) in zip(weights, units) where weight > 0 {
                    sum += Double(weight) * unit.sum
                    count += weight * unit.count
                }
                return count == 0 ? nil : sum / Double(count)
            }
        }
        groups.sort { ($0.sum, $0.count) < ($1.sum, $1.count) }
        var random = SeededRandom(seed: seed)
        let values = (0..<draws).compactMap { _ -> Double? in
            var (left, others, sum, count) = (units.count, units.count, 0.0, 0)
            for kind in groups where left > 0 {
                let drawn = kind.size == others ? left : random.binomial(left, Double(kind.size) / Double(others))
                sum += Double(drawn) * kind.sum
                count += drawn * kind.count
                left -= drawn
                others -= kind.size
            }
            return count == 0 ? nil : sum / Double(count)
        }
        return percentiles(values)
    }

    /// The different units, and how many there are of each; nil: too many.
    private static func kinds(_ units: [(sum: Double, count: Int)]) -> [(sum: Double, count: Int, size: Int)]? {
        var (kinds, last) = ([(sum: Double, count: Int, size: Int)](), 0)
        for unit in units {
            // They are few: a search is faster than a hash, and the unit before is often like this one.
            if kinds.isEmpty || kinds[last].sum != unit.sum || kinds[last].count != unit.count {
                last = kinds.firstIndex { $0.sum == unit.sum && $0.count == unit.count } ?? kinds.count
                if last == kinds.count {
                    guard kinds.count < mostKinds else { return nil }
                    kinds.append((unit.sum, unit.count, 0))
                }
            }
            kinds[last].size += 1
        }
        return kinds
    }

    /// Of more kinds of units, drawing each unit is the faster way.
    private static let mostKinds = 100

    /// Between the outer shares of the values, linear between neighbours as numpy's percentile is; nil of no values.
    private func percentiles(_ values: [Double]) -> Interval? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        func value(at share: Double) -> Double {
            let place = share * Double(sorted.count - 1)
            let below = Int(place)
            guard below + 1 < sorted.count else { return sorted[sorted.count - 1] }
            return sorted[below] + (place - Double(below)) * (sorted[below + 1] - sorted[below])
        }
        return Interval(low: value(at: (1 - level) / 2), high: value(at: (1 + level) / 2))
    }
}

/// Random numbers that are the same on every machine: SplitMix64.
struct SeededRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// 0..<count, all alike up to 2⁻⁶⁴ · count.
    mutating func index(below count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }

    /// 0..<1
    mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// How many of `count` come true, each with this probability: by inversion from the likeliest number outwards, in some
    /// √count steps.
    mutating func binomial(_ count: Int, _ probability: Double) -> Int {
        guard count > 0, probability > 0 else { return 0 }
        guard probability < 1 else { return count }
        let odds = probability / (1 - probability)
        let mode = min(count, Int(Double(count + 1) * probability))
        let atMode = SeededRandom.probability(mode, of: count, probability)
        var (up, down, upper, lower) = (mode, mode, atMode, atMode)
        var rest = fraction() - atMode
        while rest > 0, up < count || down > 0 {
            if up < count {
                upper *= odds * Double(count - up) / Double(up + 1)
                up += 1
                rest -= upper
                if rest <= 0 { return up }
            }
            if down > 0 {
                lower *= Double(down) / (odds * Double(count - down + 1))
                down -= 1
                rest -= lower
                if rest <= 0 { return down }
            }
            // What rounding has left over is nothing.
            if upper < 1e-18, lower < 1e-18 { return mode }
        }
        return mode
    }

    private static func probability(_ number: Int, of count: Int, _ probability: Double) -> Double {
        exp(
            lgamma(Double(count + 1)) - lgamma(Double(number + 1)) - lgamma(Double(count - number + 1))
                + Double(number) * log(probability) + Double(count - number) * log1p(-probability))
    }
}
