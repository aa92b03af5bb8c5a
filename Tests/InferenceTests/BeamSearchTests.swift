import Annotation
import Testing

@testable import Inference

/// The search's decisions over toy models that are tables: no weights, no scheduler.
@Suite struct BeamSearchTests {
    /// Log-probabilities that depend on all tokens before. The last token of the vocabulary ends.
    private struct Toy {
        let vocabulary: Int
        let seed: UInt64
        /// A few levels instead of any number, so that many are equal.
        let isCoarse: Bool

        var end: Int { vocabulary - 1 }

        func scores(after tokens: [Int]) -> [Double] {
            var random = SplitMix64(tokens.reduce(seed) { ($0 &* 31) &+ UInt64($1) &+ 7 })
            return (0..<vocabulary).map { token in
                // The end is seldom the likeliest.
                let extra = token == end ? 2.0 : 0
                return -extra
                    - (isCoarse
                        ? Double(Int.random(in: 1...4, using: &random)) / 2
                        : Double.random(in: 0.1...4, using: &random))
            }
        }

        func choices(after tokens: [Int], width: Int) -> BeamSearch.Choices {
            let scores = scores(after: tokens)
            let others = (0..<end).sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(width)
            return BeamSearch.Choices(
                end: ScoredToken(token: end, logProbability: scores[end]),
                others: others.map { ScoredToken(token: $0, logProbability: scores[$0]) })
        }
    }

    private func run(_ toy: Toy, width: Int, maxTokens: Int, beginning: BeamSearch.Beam = .init()) -> ScoredTokens {
        var search = BeamSearch(width: width, maxTokens: maxTokens, beginning: beginning)
        while true {
            search.advance(search.beams.map { toy.choices(after: $0.tokens, width: width) })
            if let response = search.response { return response }
        }
    }

    /// Section by section what big_vision computes with arrays: every live sequence is ended and compared with the best
    /// that ended; each has its n + 1 likeliest tokens, the end token with the smallest number for a score; n of all go on.
    private func bigVision(_ toy: Toy, width: Int, maxTokens: Int) -> ScoredTokens {
        var live: [(tokens: [Int], sum: Double)] = [([], 0)]
        var best: (tokens: [Int], sum: Double) = ([], -.infinity)
        for step in 1...maxTokens {
            let rows = live.map { toy.scores(after: $0.tokens) }
            // argmax over the best and what ends now: of equal ones the first.
            for (beam, row) in zip(live, rows) where beam.sum + row[toy.end] > best.sum {
                best = (beam.tokens + [toy.end], beam.sum + row[toy.end])
            }
            var next: [(tokens: [Int], sum: Double)] = []
            for (beam, row) in zip(live, rows) {
                let top = row.indices.sorted { (row[$0], $1) > (row[$1], $0) }.prefix(width + 1)
                next += top.map {
                    (beam.tokens + [$0], $0 == toy.end ? -.greatestFiniteMagnitude : beam.sum + row[$0])
                }
            }
            let order = next.indices.sorted { (next[$0].sum, $1) > (next[$1].sum, $0) }
            live = order.prefix(width).map { next[$0] }.filter { $0.sum > -.greatestFiniteMagnitude }
            let isOver = live.isEmpty || live[0].sum < best.sum
            if isOver || step == maxTokens { return scored(toy, best.tokens, isOver ? .eos : .length) }
        }
        fatalError("no step")
    }

    private func scored(_ toy: Toy, _ tokens: [Int], _ reason: FinishReason) -> ScoredTokens {
        let scores = tokens.indices.map { toy.scores(after: Array(tokens.prefix($0)))[tokens[$0]] }
        return ScoredTokens(tokens: tokens, logProbabilities: scores, finishReason: reason)
    }

    @Test(arguments: [false, true]) func decidesAsBigVision(isCoarse: Bool) {
        var (cut, lengths) = (0, Set<Int>())
        for seed in 0..<150 as Range<UInt64> {
            let toy = Toy(vocabulary: 3 + Int(seed % 9), seed: seed, isCoarse: isCoarse)
            let (width, maxTokens) = (2 + Int(seed % 7), 1 + Int(seed / 7 % 9))
            let found = run(toy, width: width, maxTokens: maxTokens)
            #expect(found == bigVision(toy, width: width, maxTokens: maxTokens), "seed \(seed)")
            #expect(found.tokens.count <= maxTokens && found.tokens.last == toy.end)
            cut += found.finishReason == .length ? 1 : 0
            lengths.insert(found.tokens.count)
        }
        #expect(cut > 10 && cut < 140 && lengths.count > (isCoarse ? 1 : 3))
    }

    /// Beams for all beginnings that there are: the likeliest of all responses.
    @Test func findsTheBestWhereNothingIsDropped() {
        for seed in 0..<60 as Range<UInt64> {
            let toy = Toy(vocabulary: 3, seed: seed, isCoarse: false)
            var (all, open): ([[Int]], [[Int]]) = ([], [[]])
            for _ in 0..<4 {
                all += open.map { $0 + [toy.end] }
                open = open.flatMap { tokens in (0..<toy.end).map { tokens + [$0] } }
            }
            let best = all.map { scored(toy, $0, .eos) }.max { $0.sum < $1.sum }!
            let found = run(toy, width: 8, maxTokens: 4)
            #expect(found.tokens == best.tokens && abs(found.sum - best.sum) < 1e-12)
        }
    }

    private func choices(end: Double, _ others: Double...) -> BeamSearch.Choices {
        BeamSearch.Choices(
            end: ScoredToken(token: 1, logProbability: end),
            others: others.enumerated().map { ScoredToken(token: 10 + $0, logProbability: $1) })
    }

    @Test func theLimitIsToldFromTheEnd() {
        var search = BeamSearch(width: 2, maxTokens: 2)
        search.advance([choices(end: -5, -0.5, -3)])
        #expect(search.response == nil && search.beams.map(\.tokens) == [[10], [11]])
        var cut = search
        cut.advance([choices(end: -2, -1, -4), choices(end: -3, -2, -3)])
        #expect(cut.response?.tokens == [10, 1] && cut.response?.finishReason == .length)
        search.advance([choices(end: -2, -2.5, -4), choices(end: -3, -2, -3)])
        #expect(search.response?.tokens == [10, 1] && search.response?.finishReason == .eos)
        #expect(search.response?.logProbabilities == [-0.5, -2] && search.beams.isEmpty)
    }

    /// Sums only fall, and what is as likely as the best goes on: the rule is strict.
    @Test func anEqualBeamGoesOn() {
        var search = BeamSearch(width: 2, maxTokens: 9)
        search.advance([choices(end: -1, -1, -2)])
        #expect(search.response == nil)
        search.advance([choices(end: 0, -1, -1), choices(end: 0, -1, -1)])
        #expect(search.response?.tokens == [1], "what ended first wins against its equal")
    }

    /// The parent tells whose keys and values a beam has.
    @Test func beamsNameTheirParents() {
        var search = BeamSearch(width: 3, maxTokens: 9)
        search.advance([choices(end: -50, -1, -2, -3)])
        #expect(search.beams.map(\.parent) == [0, 0, 0])
        search.advance([choices(end: -50, -9, -9, -9), choices(end: -50, -9, -9, -9), choices(end: -50, -1, -2, -3)])
        #expect(search.beams.map(\.parent) == [2, 2, 2] && search.beams.map(\.sum) == [-4, -5, -6])
        #expect(search.beams[1].tokens == [12, 11] && search.beams[1].logProbabilities == [-3, -2])
    }

    @Test func aBeginningBelongsToTheResponse() {
        let toy = Toy(vocabulary: 6, seed: 3, isCoarse: false)
        let first = BeamSearch.Beam(tokens: [0, 0], logProbabilities: [-1, -1], sum: -2)
        let response = run(toy, width: 3, maxTokens: 3, beginning: first)
        #expect(response.tokens == [0, 0, toy.end] && response.logProbabilities.prefix(2) == [-1, -1])
    }

    @Test(arguments: [Double.nan, -.infinity, .infinity]) func whatIsNoNumberEndsTheSearch(odd: Double) {
        for choice in [choices(end: odd, -1, -1), choices(end: -1, odd, odd)] {
            var search = BeamSearch(width: 2, maxTokens: 9)
            search.advance([choice])
            #expect(search.response.map { !$0.sum.isFinite } == true)
        }
    }
}
