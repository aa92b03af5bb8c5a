import Annotation

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
        var scores = try scoreUncached(prefix, tokens).logProbabilities
        while true {
            let logits = try logitsUncached(prefix, tokens)
            tokens.append(sampler.token(logits, row: 0, sample: sample, step: tokens.count, compute))
            scores.append(compute.logProbability(of: tokens.last!, logits, row: 0))
            let isRepeating = settings.maxRepeats > 0 && Repetition.ends(tokens, times: settings.maxRepeats)
            let isFull = tokens.count == settings.maxTokens
            guard ends(tokens) || isRepeating || isFull else { continue }
            let reason: FinishReason = ends(tokens) ? .eos : isRepeating ? .repetition : .length
            return ScoredTokens(tokens: tokens, logProbabilities: scores, finishReason: reason)
        }
    }

    /// One pass over the prefix and all of `tokens`.
    private func scoreUncached(_ prefix: Prefix, _ tokens: [Int]) throws(InferenceError) -> ScoredTokens {
        guard !tokens.isEmpty else { return ScoredTokens(tokens: [], logProbabilities: [], finishReason: .length) }
        let whole = Prefix(images: prefix.images, ids: prefix.ids + tokens, adapter: prefix.adapter)
        let hidden = try language.forward(whole, bidirectional: prefix.count, compute)
        let logits = try language.logits(hidden, rows: tokens.indices.map { prefix.count - 1 + $0 }, compute)
        let scores = tokens.enumerated().map { compute.logProbability(of: $1, logits, row: $0) }
        return ScoredTokens(tokens: tokens, logProbabilities: scores, finishReason: .eos)
    }

    /// Beam search in plain words: it ranks the whole vocabulary after every beam.
    private func searchUncached(_ prefix: Prefix, _ settings: DecodeSettings) throws(InferenceError) -> ScoredTokens {
        typealias Beam = (tokens: [Int], scores: [Double], sum: Double)
        let first = try scoreUncached(prefix, beginning(settings))
        var live: [Beam] = [(first.tokens, first.logProbabilities, first.sum)]
        var best: Beam = ([], [], -.infinity)
        while true {
            var all: [Beam] = []
            for beam in live {
                let logits = try logitsUncached(prefix, beam.tokens)
                let logSum = compute.logSumExp(logits, row: 0)
                let scores = logits.values(rows: 0..<1).map { Double($0) - logSum }
                func with(_ token: Int) -> Beam {
                    (beam.tokens + [token], beam.scores + [scores[token]], beam.sum + scores[token])
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
                finishReason: live[0].sum < best.sum ? .eos : .length)
        }
    }

    /// Of the token after `tokens`.
    private func logitsUncached(_ prefix: Prefix, _ tokens: [Int]) throws(InferenceError) -> Matrix {
        let whole = Prefix(images: prefix.images, ids: prefix.ids + tokens, adapter: prefix.adapter)
        let hidden = try language.forward(whole, bidirectional: prefix.count, compute)
        return try language.logits(hidden, rows: [whole.count - 1], compute)
    }
}
