import Annotation
import Synchronization

/// Tokens before a response: image tokens first, then ids.
struct Prefix {
    let images: [ImageTokens]
    let ids: [Int]
    /// What answers beside the model.
    var adapter: Adapter?

    var count: Int { images.reduce(ids.count) { $0 + $1.count } }
}

extension Prefix {
    /// The prefix that queries wait for, its images computed.
    init(key: WaitingPrefix.Key, images: [ImageTokens]) {
        self.init(images: images, ids: key.ids, adapter: key.adapter)
    }
}

/// One response in the making.
struct LiveSequence {
    /// The query that it answers, and which of its samples it is.
    let query: Int
    let sample: Int
    /// What answers beside the model.
    var adapter: Adapter?
    /// Shared by all responses of one prefill.
    let prefix: KeyValueCache
    var own: KeyValueBlocks
    let sampler: Sampler
    var tokens: [Int] = []
    var logProbabilities: [Double] = []

    func finished(endTokens: [Int]) -> FinishReason? {
        if let last = tokens.last, endTokens.contains(last) { return .eos }
        return tokens.count >= sampler.settings.maxTokens ? .length : nil
    }
}

/// A response before it is text.
struct ScoredTokens {
    let tokens: [Int]
    let logProbabilities: [Double]
    let finishReason: FinishReason
}

/// Passes over sequences of different lengths. No padding exists: rows of all sequences stand under each other, and
/// each row's arithmetic is its own.
extension LanguageModel {
    /// Fills the empty caches of the prefixes: hidden states of their last tokens [prefixes, width].
    func prefill(_ prefixes: [Prefix], _ caches: [KeyValueCache], _ compute: Compute) throws(InferenceError) -> Matrix {
        let sequences = prefixes.map { ($0, $0.count) }
        return try forwardToLast(embed(prefixes), rows(sequences, caches), compute)
    }

    /// One token more for each sequence, whose blocks have room: hidden states at it [sequences, width].
    func extend(_ live: [LiveSequence], _ compute: Compute) throws(InferenceError) -> Matrix {
        // Rows of one adapter side by side, so that their products are few.
        guard live.contains(where: { $0.adapter != live[0].adapter }) else { return try extendInOrder(live, compute) }
        let places = Dictionary(grouping: live.indices) { live[$0].adapter }.values.sorted { $0[0] < $1[0] }.joined()
        let grouped = try extendInOrder(places.map { live[$0] }, compute)
        var hidden = try Matrix(rows: live.count, columns: configuration.width)
        for (row, place) in places.enumerated() { hidden.copyRows(of: grouped, from: row, to: place, count: 1) }
        return hidden
    }

    private func extendInOrder(_ live: [LiveSequence], _ compute: Compute) throws(InferenceError) -> Matrix {
        var hidden = try Matrix(rows: live.count, columns: configuration.width)
        for (row, sequence) in live.enumerated() { embed([sequence.tokens.last!], into: &hidden, at: row) }
        let rows = live.enumerated().map { row, sequence in
            SequenceRows(prefix: sequence.prefix, response: sequence.own, row: row, adapter: sequence.adapter)
        }
        return try forwardToLast(hidden, rows, compute)
    }

    /// One pass over a whole sequence: hidden states of all tokens, [tokens, width]. The first `bidirectional` tokens
    /// see each other, later ones are causal. The slow twin of extend, and the way to score a given suffix.
    func forward(_ tokens: Prefix, bidirectional: Int, _ compute: Compute) throws(InferenceError) -> Matrix {
        var hidden = try embed([tokens])
        try forward(&hidden, rows([(tokens, bidirectional)], [makeCache(capacity: tokens.count)]), compute)
        return hidden
    }

    private func embed(_ prefixes: [Prefix]) throws(InferenceError) -> Matrix {
        var hidden = try Matrix(rows: prefixes.reduce(0) { $0 + $1.count }, columns: configuration.width)
        var row = 0
        for prefix in prefixes {
            for image in prefix.images {
                hidden.setRows(image.values, at: row)
                row += image.count
            }
            embed(prefix.ids, into: &hidden, at: row)
            row += prefix.ids.count
        }
        return hidden
    }

    private func rows(_ sequences: [(tokens: Prefix, bidirectional: Int)], _ caches: [KeyValueCache]) -> [SequenceRows]
    {
        var start = 0
        return zip(sequences, caches).map { sequence, cache in
            defer { start += sequence.tokens.count }
            return SequenceRows(
                own: cache, rows: start..<start + sequence.tokens.count, bidirectional: sequence.bidirectional,
                adapter: sequence.tokens.adapter)
        }
    }
}

extension LanguageModel {
    /// Most rows of logits at once: 66 MB at a vocabulary of 257,216, and enough for the speed of a product.
    private static let logitRows = 64

    /// Each sequence's next token, drawn from the logits of its row of `hidden` [rows, width]. `rows` names a row for
    /// each, in order; several may share one.
    func draw(
        _ hidden: borrowing Matrix, rows: [Int], for sequences: inout ArraySlice<LiveSequence>, _ compute: Compute
    ) throws(InferenceError) {
        // Parts of equal size, so that each has its logits where those of the last one were.
        let parts = (hidden.rows + Self.logitRows - 1) / Self.logitRows
        var first = 0
        for index in 0..<parts {
            let start = hidden.rows * index / parts
            let part = start..<hidden.rows * (index + 1) / parts
            let end = rows[first...].firstIndex { $0 >= part.upperBound } ?? rows.count
            let logits = try logits(hidden, rows: Array(part), compute)
            let range = sequences.startIndex + first..<sequences.startIndex + end
            compute.draw(logits, rows: rows[first..<end].map { $0 - start }, for: &sequences[range])
            first = end
        }
    }
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
