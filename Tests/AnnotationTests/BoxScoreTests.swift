import Annotation
import Foundation
import Testing

@Suite struct BoxScoreTests {
    /// Some numbers, the same each time.
    private struct Numbers {
        var state: UInt64
        mutating func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    /// The slow twin: every box that four distributions can draw, each with its probability. They have few locations.
    private func exact(_ corners: [Int], _ distributions: [[Int: Double]]) -> Double {
        let (y1, x1, y2, x2) = (corners[0], corners[1], corners[2], corners[3])
        var sum = 0.0
        for (top, p) in distributions[0] {
            for (left, q) in distributions[1] {
                for (bottom, r) in distributions[2] where bottom > top {
                    for (right, s) in distributions[3] where right > left {
                        let height = max(0, min(y2, bottom) - max(y1, top))
                        let width = max(0, min(x2, right) - max(x1, left))
                        let common = Double(height * width)
                        let union = Double((y2 - y1) * (x2 - x1) + (bottom - top) * (right - left)) - common
                        if common / union >= 0.5 { sum += p * q * r * s }
                    }
                }
            }
        }
        return sum
    }

    private func spread(_ distribution: [Int: Double]) -> LocationSpread {
        LocationSpread(probabilities: (0..<1024).map { distribution[$0] ?? 0 })
    }

    /// Around a box, some of it far away, and some of it on no location: `parts` of equal probability.
    private func distributions(
        _ corners: [Int], parts: Int, reach: Int, _ numbers: inout Numbers
    ) -> [[Int: Double]] {
        corners.map { corner in
            let mass = Double(8 + numbers.next(9)) / 16
            return (0..<parts).reduce(into: [:]) { distribution, _ in
                let far = numbers.next(4) == 0 ? 40 * reach : reach
                let location = min(1023, max(0, corner + numbers.next(2 * far + 1) - far))
                distribution[location, default: 0] += mass / Double(parts)
            }
        }
    }

    private let corners = [301, 203, 702, 597]

    /// Where each cell holds one location, nothing is approximate.
    @Test func isExactForOneLocationACell() {
        var numbers = Numbers(state: 1)
        var found: Set<Int> = []
        for _ in 0..<40 {
            let drawn = corners.map { corner in
                let locations = (0..<16).map { _ in
                    min(1023, max(0, corner + numbers.next(numbers.next(4) == 0 ? 1601 : 61) - 30))
                }
                return zip(locations.sorted(), LocationSpread.shares).reduce(into: [:]) { $0[$1.0, default: 0] += $1.1 }
            }
            let fast = BoxScore.place(corners, drawn.map(spread))
            #expect(abs(fast - exact(corners, drawn)) < 1e-9)
            found.insert(Int(fast * 10))
        }
        #expect(found.count > 4)
    }

    /// Distributions of other shapes, as coarse as the slow twin's patience.
    @Test(arguments: [5, 21, 27]) func isRightToSomeHundredths(parts: Int) {
        var numbers = Numbers(state: UInt64(parts))
        var errors: [Double] = []
        for _ in 0..<12 {
            let drawn = distributions(corners, parts: parts, reach: 60, &numbers)
            errors.append(BoxScore.place(corners, drawn.map(spread)) - exact(corners, drawn))
        }
        let square = errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)
        #expect(square.squareRoot() < 0.03 && errors.allSatisfy { abs($0) < 0.08 }, "\(errors)")
    }

    @Test func aCertainBoxHasTheProbabilityOfItsLocations() {
        let certain = corners.map { spread([$0: 1]) }
        #expect(abs(BoxScore.place(corners, certain) - 1) < 1e-12)
        #expect(abs(BoxScore.place(corners, corners.map { spread([$0: 0.5]) }) - 0.0625) < 1e-12)
        // A second place, as likely as the first, from the first token on.
        var two = certain
        two[0] = spread([301: 0.5, 900: 0.5])
        #expect(abs(BoxScore.place(corners, two) - 0.5) < 1e-12)
    }

    /// An exact bin is unlikely where many are as good: no reason to doubt the box.
    @Test func neighboursAreAsGood() {
        let bells = corners.map { corner in
            spread(
                Dictionary(
                    uniqueKeysWithValues: (-40...40).map { offset in
                        (corner + offset, exp(-Double(offset * offset) / 128) / 20.053)
                    }))
        }
        #expect(abs(BoxScore.place(corners, bells) - 1) < 1e-3)
        let narrow = [301, 203, 321, 597]
        #expect(BoxScore.place(narrow, bells.enumerated().map { $0 == 2 ? spread([321: 1]) : $1 }) < 0.95, "20 bins")
    }

    @Test func boxesWithoutAnAreaOverlapNothing() {
        let (low, high) = (spread([300: 1]), spread([700: 1]))
        #expect(BoxScore.place([300, 300, 700, 700], [low, low, high, high]) > 0.999_999)
        #expect(BoxScore.place([300, 300, 700, 700], [high, high, low, low]) == 0, "its sides are both negative")
        #expect(BoxScore.place([300, 300, 700, 700], [low, low, low, high]) == 0)
    }
}

@Suite struct LocationSpreadTests {
    @Test func cellsHaveTheirShares() {
        #expect(LocationSpread.shares.count == 16 && abs(LocationSpread.shares.reduce(0, +) - 1) < 1e-12)
        let even = LocationSpread(probabilities: Array(repeating: 1.0 / 1024, count: 1024))
        var low = 0.0
        for (position, share) in zip(even.positions, LocationSpread.shares) {
            #expect(abs(Double(position) - (1024 * (low + share / 2) - 0.5)) < 0.2, "the middle of its part")
            low += share
        }
        // Half of the half that is on locations.
        var probabilities = Array(repeating: 0.0, count: 1024)
        (probabilities[7], probabilities[1000]) = (0.25 + 1e-12, 0.25)
        let two = LocationSpread(probabilities: probabilities)
        #expect(two.positions.prefix(8).allSatisfy { $0 == 7 } && two.positions.suffix(7).allSatisfy { $0 == 1000 })
        #expect(abs(two.mass - 0.5) < 1e-9)
    }

    /// The cells' mean is the distribution's, and they ascend.
    @Test func nothingIsLost() {
        for seed in 1...50 {
            var state = Double(seed)
            let weights = (0..<1024).map { _ in
                state = (state * 997.13 + 0.37).truncatingRemainder(dividingBy: 1)
                return pow(state, Double(seed))
            }
            let sum = weights.reduce(0, +)
            let spread = LocationSpread(probabilities: weights.map { $0 / sum })
            let mean = weights.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element } / sum
            #expect(spread.positions.count == 16 && spread.positions == spread.positions.sorted())
            let kept = zip(spread.positions, LocationSpread.shares).reduce(0) { $0 + Double($1.0) * $1.1 }
            #expect(abs(kept - mean) < 1e-2 && abs(spread.mass - 1) < 1e-9)
        }
    }

    @Test func whatIsNothingIsNoError() {
        #expect(LocationSpread(probabilities: []).mass == 0)
        #expect(LocationSpread(probabilities: [0, 0]).positions.count == 16)
        #expect(LocationSpread(probabilities: [.nan, 1]).positions.count == 16)
        #expect(LocationSpread(probabilities: [0, 1.000_000_1]) == LocationSpread(probabilities: [0, 1]))
    }
}
