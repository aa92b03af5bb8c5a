import Annotation
import Foundation
import Testing

@testable import Inference

@Suite struct SamplerTests {
    private func logits(_ probabilities: [Double]) throws -> Matrix {
        try Matrix(rows: 1, columns: probabilities.count, values: probabilities.map { Float(log($0)) })
    }

    @Test func topPKeepsTheTokenThatCrosses() {
        let weights: [Float] = [0.125, 0.5, 0.0625, 0.3125]
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topP: 0.5)).kept(weights) == [1])
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topP: 0.51)).kept(weights) == [1, 3])
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topP: 0.82)).kept(weights) == [1, 3, 0])
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topP: 0.999)).kept(weights).count == 4)
    }

    @Test func topKBreaksTiesByID() {
        let weights: [Float] = [0.2, 0.3, 0.2, 0.3]
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topK: 3)).kept(weights) == [1, 3, 0])
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topK: 99)).kept(weights) == [1, 3, 0, 2])
        // top-p is of what top-k left: 0.3 of 0.6 is half.
        #expect(Sampler(settings: DecodeSettings(temperature: 1, topK: 2, topP: 0.5)).kept(weights) == [1])
    }

    @Test func filtersMatchAFullSort() {
        var noise = Noise(3)
        for round in 0..<20 {
            let weights = noise.values(500).map { exp($0 * Float(round + 1)) }
            let order = weights.indices.sorted { (weights[$0], $1) > (weights[$1], $0) }
            let total = weights.reduce(0) { $0 + Double($1) }
            var mass = 0.0
            let nucleus = order.prefix { index in
                defer { mass += Double(weights[index]) }
                return mass < 0.9 * total
            }
            #expect(Sampler(settings: DecodeSettings(temperature: 1, topP: 0.9)).kept(weights) == Array(nucleus))
            #expect(
                Sampler(settings: DecodeSettings(temperature: 1, topK: 37)).kept(weights) == Array(order.prefix(37)))
        }
    }

    @Test func frequenciesFollowTheTemperature() throws {
        let row = try logits([0.5, 0.3, 0.2])
        let compute = Compute(threadCount: 1)
        for (temperature, expected) in [(1.0, [0.5, 0.3, 0.2]), (0.5, [0.6579, 0.2368, 0.1053])] {
            let sampler = Sampler(settings: DecodeSettings(temperature: temperature, seed: 11))
            var counts = [0.0, 0, 0]
            for step in 0..<20_000 { counts[sampler.token(row, row: 0, sample: step % 7, step: step, compute)] += 1 }
            for (count, share) in zip(counts, expected) { #expect(abs(count / 20_000 - share) < 0.015) }
        }
    }

    @Test(arguments: [0, 1e-300, 1e-40, 1e-5]) func coldIsGreedy(temperature: Double) throws {
        let sampler = Sampler(settings: DecodeSettings(temperature: temperature, seed: 3))
        let logits = try logits([0.3, 0.3, 0.4])
        #expect(sampler.token(logits, row: 0, sample: 0, step: 0, Compute(threadCount: 1)) == 2)
    }

    @Test func drawsDependOnSeedSampleAndStepAlone() {
        let draws = (0..<3).flatMap { seed in
            (0..<3).flatMap { sample in
                (0..<3).map { Sampler.uniform(seed: UInt64(seed), sample: sample, step: $0) }
            }
        }
        #expect(Set(draws).count == draws.count)
        #expect(draws.allSatisfy { (0..<1).contains($0) })
        #expect(Sampler.uniform(seed: 1, sample: 2, step: 3) == Sampler.uniform(seed: 1, sample: 2, step: 3))
    }
}
