import Annotation

/// A token and its log-probability after what precedes it.
struct ScoredToken: Equatable {
    let token: Int
    let logProbability: Double
    /// Of a location: where else it might have been.
    var spread: LocationSpread?
}

/// The decisions of a beam search as big_vision's (`predict_fns._beam_decode`): which beams go on, which response is the
/// best, and when to stop. It computes nothing of a model.
///
/// Responses compare by the sum of their log-probabilities, whatever their length. At each step every beam may end now;
/// the best that ended so far is kept. Then the likeliest continuations of all beams go on. Once none of them is as
/// likely as what ended, none can become so: sums only fall.
struct BeamSearch {
    /// The beginning of a response.
    struct Beam: Equatable {
        var tokens: [Int] = []
        var logProbabilities: [Double] = []
        /// Of the tokens that are locations, by index.
        var spreads: [Int: LocationSpread] = [:]
        /// Of the log-probabilities, in order.
        var sum = 0.0
        /// Index of the beam of the step before that it continues.
        var parent = 0

        fileprivate func followed(by next: ScoredToken, parent: Int = 0) -> Beam {
            var beam = Beam(
                tokens: tokens + [next.token], logProbabilities: logProbabilities + [next.logProbability],
                spreads: spreads, sum: sum + next.logProbability, parent: parent)
            if let spread = next.spread { beam.spreads[tokens.count] = spread }
            return beam
        }
    }

    /// What may follow a beam.
    struct Choices {
        /// The likeliest end token.
        let end: ScoredToken
        /// The likeliest tokens that end nothing, the likeliest first, of equal ones the first: as many as there are beams.
        let others: [ScoredToken]
    }

    /// Most beams that go on.
    let width: Int
    /// The most tokens of a response, the end token included.
    let maxTokens: Int
    /// What goes on: one beam before the first step, the likeliest first.
    private(set) var beams: [Beam]
    /// The response, once the search is over. `length`: the limit cut it while a beam was still as likely.
    private(set) var response: ScoredTokens?
    private var best: Beam?

    /// - Parameter beginning: what all responses begin with, shorter than `maxTokens`.
    init(width: Int, maxTokens: Int, beginning: Beam = Beam()) {
        precondition(beginning.tokens.count < maxTokens)
        (self.width, self.maxTokens, beams) = (width, maxTokens, [beginning])
    }

    /// One step.
    /// - Parameter choices: of each beam, in order.
    mutating func advance(_ choices: [Choices]) {
        precondition(choices.count == beams.count && response == nil)
        let ended = zip(beams, choices).map { $0.followed(by: $1.end) }
        // What ended earlier wins against its equals.
        for beam in ended where best.map({ beam.sum > $0.sum }) ?? true { best = beam }
        beams = likeliest(choices)
        if let odd = (ended + beams).first(where: { !$0.sum.isFinite }) {
            end(with: odd, .eos)
        } else if beams.isEmpty || beams[0].sum < best!.sum {
            end(with: best!, .eos)
        } else if beams[0].tokens.count == maxTokens {
            end(with: best!, .length)
        }
    }

    /// The likeliest continuations of all beams; of equal ones those of the first beam, then the first.
    private func likeliest(_ choices: [Choices]) -> [Beam] {
        var all: [(sum: Double, beam: Int, next: ScoredToken)] = []
        for (index, choice) in choices.enumerated() {
            all += choice.others.prefix(width).map { (beams[index].sum + $0.logProbability, index, $0) }
        }
        let order = all.indices.sorted { (all[$0].sum, $1) > (all[$1].sum, $0) }
        return order.prefix(width).map { beams[all[$0].beam].followed(by: all[$0].next, parent: all[$0].beam) }
    }

    private mutating func end(with beam: Beam, _ reason: FinishReason) {
        response = ScoredTokens(
            tokens: beam.tokens, logProbabilities: beam.logProbabilities, finishReason: reason, spreads: beam.spreads)
        beams = []
    }
}
