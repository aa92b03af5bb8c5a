import Annotation

/// One response in the making, or one beam of it.
struct LiveSequence {
    /// The query that it answers, and which of its samples, options or beams it is.
    let query: Int
    let sample: Int
    /// What answers beside the model.
    var adapter: Adapter?
    /// Shared by all responses of one prefill.
    let prefix: KeyValueCache
    /// Keys and values of its tokens: between passes, of all but the last.
    var own: KeyValueBlocks
    let sampler: Sampler
    var endTokens: [Int] = []
    /// What it begins with, whatever the model would say.
    var given: [Int] = []
    /// Nothing follows what is given.
    var isGivenWhole = false
    /// Tokens that the next pass takes in.
    var rowCount = 1
    private(set) var tokens: [Int] = []
    private(set) var logProbabilities: [Double] = []
    /// Of the tokens that are locations, by index.
    private(set) var spreads: [Int: LocationSpread] = [:]
    /// What may follow the tokens of a beam, where that is to be chosen next.
    private(set) var choices: BeamSearch.Choices?

    var isBeam: Bool { sampler.settings.beams > 1 }

    /// Tokens that are known and not taken in yet.
    var readyCount: Int { max(tokens.count, isGivenWhole ? given.count - 1 : given.count) - own.count }

    /// The tokens that the next pass takes in.
    var nextTokens: [Int] {
        (own.count..<own.count + rowCount).map { $0 < given.count ? given[$0] : tokens[$0] }
    }

    /// What the pass found for the next token.
    mutating func take(_ drawn: Drawn) {
        switch drawn {
        case .token(let next):
            if let spread = next.spread { spreads[tokens.count] = spread }
            tokens.append(next.token)
            logProbabilities.append(next.logProbability)
        case .choices(let choices): self.choices = choices
        case .nothing: break
        }
    }

    /// The same place with a beam, whose parent's keys and values are `own`.
    func holding(_ beam: BeamSearch.Beam, own: KeyValueBlocks) -> LiveSequence {
        var other = self
        (other.own, other.tokens, other.logProbabilities) = (own, beam.tokens, beam.logProbabilities)
        other.spreads = beam.spreads
        other.choices = nil
        return other
    }

    /// Why it ended; nil: it goes on. How a beam goes on is its search's matter.
    var finished: FinishReason? {
        if isGivenWhole { return tokens.count == given.count ? .eos : nil }
        guard !isBeam, tokens.count > given.count else { return nil }
        let settings = sampler.settings
        if endTokens.contains(tokens.last!) { return .eos }
        if settings.maxRepeats > 0, Repetition.ends(tokens, times: settings.maxRepeats) { return .repetition }
        return tokens.count >= settings.maxTokens ? .length : nil
    }
}

extension [LiveSequence] {
    /// Rows of the next pass.
    var rowCount: Int { reduce(0) { $0 + $1.rowCount } }

    /// The first row of each in the next pass.
    var firstRows: [Int] {
        var row = 0
        return map { sequence in
            defer { row += sequence.rowCount }
            return row
        }
    }

    /// Sequences from `index` on that go on together or not at all: the beams of one query, or one alone.
    func unit(at index: Int) -> Range<Int> {
        guard self[index].isBeam else { return index..<index + 1 }
        return index..<(self[index...].firstIndex { $0.query != self[index].query } ?? count)
    }
}

/// A response before it is text.
struct ScoredTokens: Equatable {
    let tokens: [Int]
    let logProbabilities: [Double]
    let finishReason: FinishReason
    /// Of the tokens that are locations, by index.
    var spreads: [Int: LocationSpread] = [:]

    /// Σ of the log-probabilities.
    var sum: Double { logProbabilities.reduce(0, +) }
}

extension [ScoredTokens] {
    /// The ones that are kept.
    func picked(_ pick: SamplePick) -> [ScoredTokens] {
        switch pick {
        case .all: return self
        case .likeliest:
            let sums = map(\.sum)
            // A sum that is no number is an error, which must not be lost.
            let index = sums.firstIndex { !$0.isFinite } ?? sums.firstIndex(of: sums.max() ?? 0)
            return index.map { [self[$0]] } ?? []
        }
    }
}
