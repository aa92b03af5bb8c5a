import Annotation
import Foundation

/// Draws tokens from logits. Stateless: a draw depends on (seed, sample, step) and its logits alone, never on what else
/// is computed.
struct Sampler {
    let settings: DecodeSettings

    /// Below this, logits over temperature leave the range of f32, and nothing but the largest has a weight anyway.
    private static let coldest = 1e-4

    /// The token of `step` of `sample`, from row `row` of `logits`.
    func token(_ logits: borrowing Matrix, row: Int, sample: Int, step: Int, _ compute: Compute) -> Int {
        if settings.temperature < Self.coldest { return compute.argmax(logits, row: row) }
        let uniform = Self.uniform(seed: settings.seed, sample: sample, step: step)
        if settings.topK == 0 && settings.topP == 1 {
            return compute.draw(logits, row: row, temperature: settings.temperature, uniform: uniform)
        }
        let weights = compute.weights(logits, row: row, temperature: settings.temperature)
        return Self.draw(weights, kept(weights), uniform)
    }

    /// The tokens that top-k and then top-p leave, most probable first; equal weights by id.
    func kept(_ weights: [Float]) -> [Int] {
        let limit = settings.topK == 0 ? weights.count : min(settings.topK, weights.count)
        let total = weights.reduce(0) { $0 + Double($1) }
        // Sorting the whole vocabulary is slow: sort only above a threshold below which nothing can be kept.
        var threshold: Float = 0.01
        while threshold > 1e-30 {
            let above = weights.indices.filter { weights[$0] >= threshold }
            let mass = above.reduce(0) { $0 + Double(weights[$1]) }
            if above.count >= limit || (limit == weights.count && mass >= settings.topP * total) {
                return cut(above, weights, limit: limit)
            }
            threshold /= 100
        }
        return cut(Array(weights.indices), weights, limit: limit)
    }

    private func cut(_ candidates: [Int], _ weights: [Float], limit: Int) -> [Int] {
        let sorted = candidates.sorted { (weights[$0], $1) > (weights[$1], $0) }.prefix(limit)
        guard settings.topP < 1 else { return Array(sorted) }
        let total =
            limit < weights.count
            ? sorted.reduce(0) { $0 + Double(weights[$1]) } : weights.reduce(0) { $0 + Double($1) }
        var mass = 0.0
        var kept: [Int] = []
        for index in sorted {
            kept.append(index)
            mass += Double(weights[index])
            if mass >= settings.topP * total { break }
        }
        return kept
    }

    private static func draw(_ weights: [Float], _ candidates: some Collection<Int>, _ uniform: Double) -> Int {
        let target = uniform * candidates.reduce(0) { $0 + Double(weights[$1]) }
        var mass = 0.0
        var last = 0
        for index in candidates where weights[index] > 0 {
            mass += Double(weights[index])
            last = index
            if mass > target { return index }
        }
        return last
    }

    /// A number in 0..<1 of a counter: SplitMix64's finaliser over seed, sample and step (Steele et al. 2014).
    static func uniform(seed: UInt64, sample: Int, step: Int) -> Double {
        let counter = mix(mix(mix(seed) ^ UInt64(sample)) ^ UInt64(step))
        return Double(counter >> 11) * 0x1p-53
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
