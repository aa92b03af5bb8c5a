import Annotation
import Testing

@testable import Inference

@Suite struct RepetitionTests {
    /// The slow twin compares every copy with the last.
    private func ends(_ tokens: [Int], times count: Int) -> Bool {
        (1...64).contains { length in
            guard tokens.count >= length * count else { return false }
            let last = tokens.suffix(length)
            return (0..<count).allSatisfy { copy in
                tokens.dropLast(copy * length).suffix(length).elementsEqual(last)
            }
        }
    }

    @Test func copiesOfAnyLengthUpToSixtyFour() {
        for length in [1, 2, 3, 63, 64, 65] {
            let run = Array(0..<length)
            for count in 2...4 {
                let copies = (0..<count).flatMap { _ in run }
                #expect(Repetition.ends([-1, -2] + copies, times: count) == (length <= 64))
                #expect(Repetition.ends(copies, times: count) == (length <= 64))
                #expect(!Repetition.ends(copies + [-3], times: count))
                #expect(!Repetition.ends(Array(copies.dropFirst()), times: count))
                #expect(!Repetition.ends(copies, times: count + 1))
            }
        }
        #expect(!Repetition.ends([], times: 2) && !Repetition.ends([1], times: 2) && Repetition.ends([1, 1], times: 2))
    }

    @Test func isLikeItsTwin() {
        var random = SplitMix64(4)
        var found = 0
        for round in 0..<2000 {
            let tokens = (0..<round % 160).map { _ in Int.random(in: 0...(round % 3), using: &random) }
            let period = 1 + round % 70
            let repeated = tokens + (0..<3 * period).map { $0 % period }
            for list in [tokens, repeated] {
                for count in 2...4 {
                    #expect(Repetition.ends(list, times: count) == ends(list, times: count))
                    found += ends(list, times: count) ? 1 : 0
                }
            }
        }
        #expect(found > 500)
    }

    @Test func theLikeliestIsPicked() {
        func response(_ token: Int, _ scores: [Double]) -> ScoredTokens {
            ScoredTokens(tokens: [token], logProbabilities: scores, finishReason: .eos)
        }
        let all = [response(1, [-3]), response(2, [-1, -1]), response(3, [-2]), response(4, [-4])]
        #expect(all.picked(.all) == all)
        #expect(all.picked(.likeliest).map(\.tokens) == [[2]], "of equal ones the first")
        #expect((all + [response(5, [.nan])]).picked(.likeliest).map(\.tokens) == [[5]], "an error is not hidden")
    }
}
