import Annotation
import Foundation

/// The slow twins of `generate`: no cache, the whole sequence again for each token, one response at a time.
extension PaliGemma {
    /// Whatever is asked.
    func generateUncached(_ request: GenerationRequest) throws(InferenceError) -> [Generation] {
        let prefix = try prefix(request.images, request.prompt, request.adapter)
        let settings = request.settings
        var responses: [ScoredTokens] = []
        if !request.options.isEmpty {
            for option in request.options { responses.append(try scoreUncached(prefix, optionIDs(option))) }
        } else if settings.beams > 1 {
            responses = [try searchUncached(prefix, settings)]
        } else {
            for sample in 0..<settings.samples { responses.append(try drawUncached(prefix, settings, sample)) }
        }
        let picked = responses.picked(request.options.isEmpty ? settings.pick : .all)
        return try picked.map { response throws(InferenceError) in
            try generation(response, prefix.count)
        }
    }

    private func drawUncached(
        _ prefix: Prefix, _ settings: DecodeSettings, _ sample: Int
    ) throws(InferenceError) -> ScoredTokens {
        let sampler = Sampler(settings: settings)
        var tokens = try beginning(settings)
        let given = try scoreUncached(prefix, tokens)
        var (scores, spreads) = (given.logProbabilities, given.spreads)
        while true {
            let logits = try logitsUncached(prefix, tokens)
            tokens.append(sampler.token(logits, row: 0, sample: sample, step: tokens.count, compute))
            scores.append(compute.logProbability(of: tokens.last!, logits, row: 0))
            if vocabulary.locations[tokens.last!] != nil {
                spreads[scores.count - 1] = spreadUncached(logits, row: 0)
            }
            let isRepeating = settings.maxRepeats > 0 && Repetition.ends(tokens, times: settings.maxRepeats)
            let isFull = tokens.count == settings.maxTokens
            guard ends(tokens) || isRepeating || isFull else { continue }
            let reason: FinishReason = ends(tokens) ? .eos : isRepeating ? .repetition : .length
            return ScoredTokens(tokens: tokens, logProbabilities: scores, finishReason: reason, spreads: spreads)
        }
    }

    /// One pass over the prefix and all of `tokens`.
    private func scoreUncached(_ prefix: Prefix, _ tokens: [Int]) throws(InferenceError) -> ScoredTokens {
        guard !tokens.isEmpty else { return ScoredTokens(tokens: [], logProbabilities: [], finishReason: .length) }
        let whole = Prefix(images: prefix.images, ids: prefix.ids + tokens, adapter: prefix.adapter)
        let hidden = try language.forward(whole, bidirectional: prefix.count, compute)
        let logits = try language.logits(hidden, rows: tokens.indices.map { prefix.count - 1 + $0 }, compute)
        let scores = tokens.enumerated().map { compute.logProbability(of: $1, logits, row: $0) }
        var spreads: [Int: LocationSpread] = [:]
        for (row, token) in tokens.enumerated() where vocabulary.locations[token] != nil {
            spreads[row] = spreadUncached(logits, row: row)
        }
        return ScoredTokens(tokens: tokens, logProbabilities: scores, finishReason: .eos, spreads: spreads)
    }

    /// From the probabilities of all tokens.
    private func spreadUncached(_ logits: borrowing Matrix, row: Int) -> LocationSpread {
        let weights = logits.values(rows: row..<row + 1).map { exp(Double($0)) }
        let sum = weights.reduce(0, +)
        let tokens = vocabulary.locations.sorted { $0.value < $1.value }
        return LocationSpread(probabilities: tokens.map { weights[$0.key] / sum })
    }

    /// Beam search in plain words: it ranks the whole vocabulary after every beam.
    private func searchUncached(_ prefix: Prefix, _ settings: DecodeSettings) throws(InferenceError) -> ScoredTokens {
        typealias Beam = (tokens: [Int], scores: [Double], sum: Double, spreads: [Int: LocationSpread])
        let first = try scoreUncached(prefix, beginning(settings))
        var live: [Beam] = [(first.tokens, first.logProbabilities, first.sum, first.spreads)]
        var best: Beam = ([], [], -.infinity, [:])
        while true {
            var all: [Beam] = []
            for beam in live {
                let logits = try logitsUncached(prefix, beam.tokens)
                let logSum = compute.logSumExp(logits, row: 0)
                let scores = logits.values(rows: 0..<1).map { Double($0) - logSum }
                let spread = spreadUncached(logits, row: 0)
                func with(_ token: Int) -> Beam {
                    var spreads = beam.spreads
                    if vocabulary.locations[token] != nil { spreads[beam.tokens.count] = spread }
                    return (beam.tokens + [token], beam.scores + [scores[token]], beam.sum + scores[token], spreads)
                }
                for ended in configuration.endTokens.map(with) where ended.sum > best.sum { best = ended }
                let ranked = scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
                all += ranked.filter { !ends([$0]) }.prefix(settings.beams).map(with)
            }
            let order = all.indices.sorted { (all[$0].sum, $1) > (all[$1].sum, $0) }
            live = order.prefix(settings.beams).map { all[$0] }
            guard live[0].sum < best.sum || live[0].tokens.count == settings.maxTokens else { continue }
            return ScoredTokens(
                tokens: best.tokens, logProbabilities: best.scores,
                finishReason: live[0].sum < best.sum ? .eos : .length, spreads: best.spreads)
        }
    }

    /// Of the token after `tokens`.
    private func logitsUncached(_ prefix: Prefix, _ tokens: [Int]) throws(InferenceError) -> Matrix {
        let whole = Prefix(images: prefix.images, ids: prefix.ids + tokens, adapter: prefix.adapter)
        let hidden = try language.forward(whole, bidirectional: prefix.count, compute)
        return try language.logits(hidden, rows: [whole.count - 1], compute)
    }
}
