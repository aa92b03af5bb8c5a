import Foundation

/// BLEU-1 to BLEU-4 as pycocoevalcap computes them: clipped counts and lengths are summed over the corpus. Other tools
/// tokenise differently, so that their numbers differ.
struct BLEU {
    /// What a caption adds to the sums.
    struct Counts: Sendable {
        /// N-grams of 1 to 4 words: all, and those that a reference has.
        var guessed = SIMD4<Int>()
        var correct = SIMD4<Int>()
        /// Words of the caption, and of the reference that is closest in length; the shorter one on ties.
        var length = 0
        var referenceLength = 0

        static func += (sum: inout Counts, counts: Counts) {
            sum.guessed &+= counts.guessed
            sum.correct &+= counts.correct
            sum.length += counts.length
            sum.referenceLength += counts.referenceLength
        }
    }

    /// The counts of one caption; there is a reference.
    static func counts(_ caption: NGramCounts, references: [NGramCounts]) -> Counts {
        var counts = Counts(length: caption.wordCount)
        let closest = references.map(\.wordCount).min {
            (abs($0 - caption.wordCount), $0) < (abs($1 - caption.wordCount), $1)
        }
        counts.referenceLength = closest ?? 0
        for length in 0..<4 {
            var most: [NGram: Int] = [:]
            for reference in references {
                for entry in reference.counts[length] { most[entry.ngram] = max(most[entry.ngram] ?? 0, entry.count) }
            }
            counts.guessed[length] = caption.total(length: length + 1)
            counts.correct[length] = caption.counts[length].reduce(0) { $0 + min(most[$1.ngram] ?? 0, $1.count) }
        }
        return counts
    }

    /// BLEU-1 to BLEU-4 of summed counts.
    static func scores(_ counts: Counts) -> [Double] {
        var product = 1.0
        var scores = (0..<4).map { length in
            product *= (Double(counts.correct[length]) + 1e-15) / (Double(counts.guessed[length]) + 1e-9)
            return pow(product, 1 / Double(length + 1))
        }
        let ratio = (Double(counts.length) + 1e-15) / (Double(counts.referenceLength) + 1e-9)
        if ratio < 1 { scores = scores.map { $0 * exp(1 - 1 / ratio) } }
        return scores
    }
}
