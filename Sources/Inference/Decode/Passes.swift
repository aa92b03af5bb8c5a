import Synchronization

/// Tokens before an answer: image tokens first, then ids.
struct Prefix {
    let images: [ImageTokens]
    let ids: [Int]

    var count: Int { images.reduce(ids.count) { $0 + $1.count } }
}

/// One answer in the making.
struct LiveSequence {
    /// The query that it answers, and which of its samples it is.
    let query: Int
    let sample: Int
    /// Shared by all answers of one prefill.
    let prefix: KeyValueCache
    let own: KeyValueCache
    let sampler: Sampler
    var tokens: [Int] = []
    var logProbabilities: [Double] = []

    func finished(endToken: Int) -> Generation.FinishReason? {
        if tokens.last == endToken { return .eos }
        return tokens.count >= sampler.settings.maxTokens ? .length : nil
    }
}

/// An answer before it is text.
struct ScoredTokens {
    let tokens: [Int]
    let logProbabilities: [Double]
    let finishReason: Generation.FinishReason
}

/// Passes over sequences of different lengths. No padding exists: rows of all sequences stand under each other, and each row's
/// arithmetic is its own.
extension LanguageModel {
    /// Fills the empty caches of the prefixes; logits at their last positions [prefixes, vocabulary].
    func prefill(_ prefixes: [Prefix], _ caches: [KeyValueCache], _ compute: Compute) -> Matrix {
        let hidden = forward(prefixes.map { ($0, $0.count) }, caches, compute)
        var last: [Int] = []
        for prefix in prefixes { last.append((last.last ?? -1) + prefix.count) }
        return logits(hidden, rows: last, compute)
    }

    /// One token more for each sequence: logits at it [sequences, vocabulary].
    func extend(_ live: [LiveSequence], _ compute: Compute) -> Matrix {
        var hidden = Matrix(rows: live.count, columns: configuration.width)
        for (row, sequence) in live.enumerated() { embed([sequence.tokens.last!], into: &hidden, at: row) }
        let rows = live.enumerated().map { row, sequence in
            SequenceRows(shared: sequence.prefix, own: sequence.own, rows: row..<row + 1, bidirectional: 0)
        }
        forward(&hidden, rows, compute)
        return logits(hidden, rows: Array(live.indices), compute)
    }

    /// One pass over whole sequences from empty caches: hidden states [tokens of all, width]. The first `bidirectional`
    /// tokens of a sequence see each other, later ones are causal.
    private func forward(
        _ sequences: [(tokens: Prefix, bidirectional: Int)], _ caches: [KeyValueCache], _ compute: Compute
    ) -> Matrix {
        let total = sequences.reduce(0) { $0 + $1.tokens.count }
        var hidden = Matrix(rows: total, columns: configuration.width)
        var rows: [SequenceRows] = []
        var start = 0
        for ((tokens, bidirectional), cache) in zip(sequences, caches) {
            let end = start + tokens.count
            rows.append(SequenceRows(shared: nil, own: cache, rows: start..<end, bidirectional: bidirectional))
            for image in tokens.images {
                hidden.setRows(image.values, at: start)
                start += image.count
            }
            embed(tokens.ids, into: &hidden, at: start)
            start = end
        }
        forward(&hidden, rows, compute)
        return hidden
    }

    /// The same for one, with a cache that nobody keeps: the slow twin of extend, and the way to score a given suffix.
    func forward(_ tokens: Prefix, bidirectional: Int, _ compute: Compute) -> Matrix {
        forward([(tokens, bidirectional)], [makeCache(capacity: tokens.count)], compute)
    }

    /// Bytes of the keys and values of so many tokens: layers × (keys + values) × KV heads × padded head × 4.
    func cacheBytes(tokens: Int) -> Int { heads.cache.layers * 2 * heads.cache.heads * heads.cache.stride * 4 * tokens }
}

extension Compute {
    /// Log-probability of `token` under the raw logits of `row`.
    func logProbability(of token: Int, _ logits: borrowing Matrix, row: Int) -> Double {
        Double(logits[row, token]) - logSumExp(logits, row: row)
    }

    /// Each sequence's next token, drawn from its row of `logits`. `rows` names a row for each; several may share one.
    func draw(_ logits: borrowing Matrix, rows: [Int], for sequences: inout ArraySlice<LiveSequence>) {
        let drawn = Mutex<[(index: Int, token: Int, logProbability: Double)]>([])
        let drawers = sequences.map { ($0.sampler, $0.sample, $0.tokens.count) }
        split(rows.count, cost: 8 * logits.columns) { range in
            let part = range.map { index in
                let (sampler, sample, step) = drawers[index]
                let token = sampler.token(logits, row: rows[index], sample: sample, step: step, self)
                return (index, token, logProbability(of: token, logits, row: rows[index]))
            }
            drawn.withLock { $0 += part }
        }
        for (index, token, logProbability) in drawn.withLock({ $0 }) {
            sequences[sequences.startIndex + index].tokens.append(token)
            sequences[sequences.startIndex + index].logProbabilities.append(logProbability)
        }
    }
}
