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

/// Passes over sequences of different lengths. No padding exists: rows of all sequences stand under each other, and
/// each row's arithmetic is its own.
extension LanguageModel {
    /// Fills the empty caches of the prefixes: hidden states of their last tokens [prefixes, width].
    func prefill(_ prefixes: [Prefix], _ caches: [KeyValueCache], _ compute: Compute) throws(InferenceError) -> Matrix {
        let sequences = prefixes.map { ($0, $0.count) }
        return try forwardToLast(embed(prefixes), rows(sequences, caches), compute)
    }

    /// The next `rowCount` tokens of each sequence, whose blocks have room: hidden states of all of them, one sequence
    /// after the other [rows, width].
    func extend(_ live: [LiveSequence], _ compute: Compute) throws(InferenceError) -> Matrix {
        // Rows of one adapter side by side, so that their products are few.
        guard live.contains(where: { $0.adapter != live[0].adapter }) else { return try extendInOrder(live, compute) }
        let places = Dictionary(grouping: live.indices) { live[$0].adapter }.values.sorted { $0[0] < $1[0] }.joined()
        let grouped = try extendInOrder(places.map { live[$0] }, compute)
        var hidden = try Matrix(rows: grouped.rows, columns: configuration.width)
        let firstRows = live.firstRows
        var row = 0
        for place in places {
            hidden.copyRows(of: grouped, from: row, to: firstRows[place], count: live[place].rowCount)
            row += live[place].rowCount
        }
        return hidden
    }

    private func extendInOrder(_ live: [LiveSequence], _ compute: Compute) throws(InferenceError) -> Matrix {
        var hidden = try Matrix(rows: live.rowCount, columns: configuration.width)
        var rows: [SequenceRows] = []
        for (sequence, first) in zip(live, live.firstRows) {
            embed(sequence.nextTokens, into: &hidden, at: first)
            rows.append(
                SequenceRows(
                    prefix: sequence.prefix, response: sequence.own, rows: first..<first + sequence.rowCount,
                    adapter: sequence.adapter))
        }
        try forward(&hidden, rows, compute)
        return hidden
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
