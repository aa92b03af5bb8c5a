/// Tokens of one sequence: image tokens first, then ids.
struct Prefix {
    let images: [ImageTokens]
    let ids: [Int]

    var imageTokenCount: Int { images.reduce(0) { $0 + $1.count } }
    var count: Int { imageTokenCount + ids.count }
}

/// One answer in the making.
private struct LiveSequence {
    let request: Int
    let sample: Int
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

/// Prefill and extend over sequences of different lengths. No padding exists: rows of all sequences stand under each other,
/// and each row's arithmetic is its own.
struct BatchDecoder {
    let model: LanguageModel
    let compute: Compute
    let endToken: Int

    /// Rows of one prefill pass: bounds activations (some 60 KB a row at 3B), no gain beyond.
    private static let prefillRows = 2048

    /// Answers for each (prefix, settings): [request][sample], tokens and their log-probabilities.
    func generate(_ requests: [(prefix: Prefix, settings: DecodeSettings)]) -> [[ScoredTokens]] {
        var live: [LiveSequence] = []
        for group in groups(requests.map(\.prefix.count)) {
            let prefixes = requests[group].map(\.prefix)
            let caches = prefixes.map { model.makeCache(capacity: $0.count) }
            let logits = prefill(prefixes, caches)
            for (index, cache) in zip(group, caches) {
                let settings = requests[index].settings
                for sample in 0..<settings.samples {
                    var sequence = LiveSequence(
                        request: index, sample: sample, prefix: cache,
                        own: model.makeCache(capacity: settings.maxTokens), sampler: Sampler(settings: settings))
                    accept(logits, row: index - group.lowerBound, by: &sequence)
                    live.append(sequence)
                }
            }
        }
        return extend(live, requestCount: requests.count)
    }

    /// Runs of consecutive sequences, each within the rows of one pass (or a single longer one).
    private func groups(_ counts: [Int]) -> [Range<Int>] {
        var groups: [Range<Int>] = []
        var rows = 0
        for (index, count) in counts.enumerated() {
            if let last = groups.last, rows + count <= Self.prefillRows {
                groups[groups.count - 1] = last.lowerBound..<index + 1
                rows += count
            } else {
                groups.append(index..<index + 1)
                rows = count
            }
        }
        return groups
    }

    /// Fills the caches of the prefixes; logits at their last positions [prefixes, vocabulary].
    func prefill(_ prefixes: [Prefix], _ caches: [KeyValueCache]) -> Matrix {
        let hidden = forward(prefixes.map { ($0, $0.count) }, caches)
        var last: [Int] = []
        for prefix in prefixes { last.append((last.last ?? -1) + prefix.count) }
        return model.logits(hidden, rows: last, compute)
    }

    /// One pass over whole sequences from empty caches: hidden states [tokens of all, width]. The first `bidirectional`
    /// tokens of a sequence see each other, later ones are causal.
    func forward(_ sequences: [(tokens: Prefix, bidirectional: Int)], _ caches: [KeyValueCache]) -> Matrix {
        let total = sequences.reduce(0) { $0 + $1.tokens.count }
        var hidden = Matrix(rows: total, columns: model.configuration.width)
        var rows: [SequenceRows] = []
        var start = 0
        for ((tokens, bidirectional), cache) in zip(sequences, caches) {
            var row = start
            for image in tokens.images {
                hidden.setRows(image.values, at: row)
                row += image.count
            }
            model.embed(tokens.ids, into: &hidden, at: row)
            rows.append(
                SequenceRows(
                    shared: nil, own: cache, rows: start..<start + tokens.count,
                    bidirectional: bidirectional))
            start += tokens.count
        }
        model.forward(&hidden, rows, compute)
        return hidden
    }

    /// The same, with caches that nobody keeps: the slow twin of extend, and the way to score a given suffix.
    func forward(_ tokens: Prefix, bidirectional: Int) -> Matrix {
        forward([(tokens, bidirectional)], [model.makeCache(capacity: tokens.count)])
    }

    /// Extends all sequences together, a token a step, until each has ended.
    private func extend(_ sequences: [LiveSequence], requestCount: Int) -> [[ScoredTokens]] {
        var finished: [LiveSequence] = []
        var live = sequences
        while true {
            finished += live.filter { $0.finished(endToken: endToken) != nil }
            live.removeAll { $0.finished(endToken: endToken) != nil }
            if live.isEmpty { break }
            step(&live)
        }
        var answers = [[ScoredTokens]](repeating: [], count: requestCount)
        for sequence in finished.sorted(by: { ($0.request, $0.sample) < ($1.request, $1.sample) }) {
            answers[sequence.request].append(
                ScoredTokens(
                    tokens: sequence.tokens, logProbabilities: sequence.logProbabilities,
                    finishReason: sequence.finished(endToken: endToken)!))
        }
        return answers
    }

    private func step(_ live: inout [LiveSequence]) {
        var hidden = Matrix(rows: live.count, columns: model.configuration.width)
        for (row, sequence) in live.enumerated() { model.embed([sequence.tokens.last!], into: &hidden, at: row) }
        let rows = live.enumerated().map { row, sequence in
            SequenceRows(shared: sequence.prefix, own: sequence.own, rows: row..<row + 1, bidirectional: 0)
        }
        model.forward(&hidden, rows, compute)
        let logits = model.logits(hidden, rows: Array(live.indices), compute)
        for row in live.indices { accept(logits, row: row, by: &live[row]) }
    }

    private func accept(_ logits: borrowing Matrix, row: Int, by sequence: inout LiveSequence) {
        let token = sequence.sampler.token(
            logits, row: row, sample: sequence.sample, step: sequence.tokens.count, compute)
        sequence.tokens.append(token)
        sequence.logProbabilities.append(logProbability(of: token, logits, row: row))
    }

    /// Log-probability of `token` under the raw logits of `row`.
    func logProbability(of token: Int, _ logits: borrowing Matrix, row: Int) -> Double {
        Double(logits[row, token]) - compute.logSumExp(logits, row: row)
    }
}

/// An answer before it is text.
struct ScoredTokens {
    let tokens: [Int]
    let logProbabilities: [Double]
    let finishReason: Generation.FinishReason
}
