import Annotation
import Synchronization

/// What the logits after a token give.
enum Drawn {
    case token(ScoredToken)
    case choices(BeamSearch.Choices)
    /// Another beam has the same choices.
    case nothing
}

/// A row of logits, and whose token of which step it gives.
struct DrawPlace {
    let row: Int
    /// Index of the sequence.
    let sequence: Int
    /// Index of the token.
    let step: Int
}

extension LanguageModel {
    /// Most rows of logits at once: 66 MB at a vocabulary of 257,216, and enough for the speed of a product.
    private static let logitRows = 64

    /// The next tokens of each sequence, from the logits of its rows of `hidden` [rows, width]: as many as it took in.
    /// `rows` names the first row of each, in order; several may share one.
    func draw(
        _ hidden: borrowing Matrix, rows: [Int], for sequences: inout [LiveSequence], locations: LocationTokens,
        _ compute: Compute
    ) throws(InferenceError) {
        var left = rows.indices.flatMap { index in
            (0..<sequences[index].rowCount).map { offset in
                DrawPlace(
                    row: rows[index] + offset, sequence: index, step: sequences[index].tokens.count + offset)
            }
        }[...]
        // Parts of equal size, so that each has its logits where those of the last one were.
        let parts = (hidden.rows + Self.logitRows - 1) / Self.logitRows
        for index in 0..<parts {
            let part = hidden.rows * index / parts..<hidden.rows * (index + 1) / parts
            let logits = try logits(hidden, rows: Array(part), compute)
            let places = left.prefix { $0.row < part.upperBound }
            left = left.dropFirst(places.count)
            let drawn = compute.draw(
                logits, firstRow: part.lowerBound, places, of: sequences, locations: locations)
            for (place, drawn) in zip(places, drawn) { sequences[place.sequence].take(drawn) }
        }
    }
}

extension Compute {
    /// Log-probability of `token` under the raw logits of `row`.
    func logProbability(of token: Int, _ logits: borrowing Matrix, row: Int) -> Double {
        Double(logits[row, token]) - logSumExp(logits, row: row)
    }

    /// What each place gets. Row `firstRow` is the first of `logits`.
    func draw(
        _ logits: borrowing Matrix, firstRow: Int, _ places: ArraySlice<DrawPlace>, of sequences: [LiveSequence],
        locations: LocationTokens
    ) -> [Drawn] {
        let sums = each(logits.rows, cost: 8 * logits.columns) { logSumExp(logits, row: $0) }
        let first = places.startIndex
        return each(places.count, cost: 4 * logits.columns) { index in
            let (place, row) = (places[first + index], places[first + index].row - firstRow)
            return draw(
                logits, row, logSumExp: sums[row], for: sequences[place.sequence], step: place.step, locations)
        }
    }

    private func draw(
        _ logits: borrowing Matrix, _ row: Int, logSumExp: Double, for sequence: LiveSequence, step: Int,
        _ locations: LocationTokens
    ) -> Drawn {
        func scored(_ tokens: [Int]) -> [ScoredToken] {
            let isSpread = tokens.contains(where: locations.contains)
            let spread = isSpread ? locations.spread(logits, row: row, logSumExp: logSumExp) : nil
            return tokens.map { token in
                ScoredToken(
                    token: token, logProbability: Double(logits[row, token]) - logSumExp,
                    spread: locations.contains(token) ? spread : nil)
            }
        }
        if step < sequence.given.count { return .token(scored([sequence.given[step]])[0]) }
        guard sequence.isBeam else {
            let token = sequence.sampler.token(logits, row: row, sample: sequence.sample, step: step, self)
            return .token(scored([token])[0])
        }
        // Before the first choice all beams are the same.
        if step == sequence.given.count, sequence.sample > 0 { return .nothing }
        let ends = sequence.endTokens
        let end = ends.dropFirst().reduce(ends[0]) { logits[row, $1] > logits[row, $0] ? $1 : $0 }
        let width = sequence.sampler.settings.beams
        let others = largest(width + ends.count, logits, row: row).filter { !ends.contains($0) }.prefix(width)
        return .choices(BeamSearch.Choices(end: scored([end])[0], others: scored(Array(others))))
    }

    /// Values of 0..<count, split among the threads.
    private func each<Value: Sendable>(_ count: Int, cost: Int, _ value: (Int) -> Value) -> [Value] {
        let parts = Mutex<[(first: Int, values: [Value])]>([])
        split(count, cost: cost) { range in
            let part = (range.lowerBound, range.map(value))
            parts.withLock { $0.append(part) }
        }
        return parts.withLock { $0.sorted { $0.first < $1.first }.flatMap(\.values) }
    }
}
