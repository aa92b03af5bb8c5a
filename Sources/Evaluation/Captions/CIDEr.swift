import Foundation

/// CIDEr-D (Vedantam et al. 2015) as pycocoevalcap computes it: n-grams of 1 to 4 words, weighted by how few images
/// have them in a reference. The score depends on the whole set: those of subsets can't be compared.
struct CIDEr {
    /// In the references of how many images each n-gram occurs.
    private var frequencies: [NGram: Int] = [:]
    /// ln of the number of images.
    private let logImageCount: Double
    private static let sigma = 6.0

    /// Frequencies of these images' references.
    init(images: some Sequence<[NGramCounts]>) {
        var imageCount = 0
        for references in images {
            imageCount += 1
            for ngram in Set(references.lazy.flatMap { $0.counts.joined().map(\.ngram) }) {
                frequencies[ngram, default: 0] += 1
            }
        }
        logImageCount = log(Double(imageCount))
    }

    /// Given frequencies.
    init(frequencies: [NGram: Int], imageCount: Int) {
        self.frequencies = frequencies
        logImageCount = log(Double(imageCount))
    }

    /// The score of one caption, 0...10.
    func score(_ caption: NGramCounts, references: [NGramCounts]) -> Double {
        let weighted = weigh(caption)
        var sums = [0.0, 0, 0, 0]
        for reference in references {
            let similarities = Self.similarity(weighted, weigh(reference))
            for length in 0..<4 { sums[length] += similarities[length] }
        }
        return sums.reduce(0, +) / 4 / Double(references.count) * 10
    }

    /// tf·idf of each n-gram, in the order of the counts.
    private struct Weighted {
        var weights: [[(ngram: NGram, weight: Double)]]
        var norms: [Double]
        /// What the penalty calls length: the number of bigrams.
        var length: Int
    }

    private func weigh(_ counts: NGramCounts) -> Weighted {
        let weights = counts.counts.map { entries in
            entries.map { entry in
                let frequency = log(max(1, Double(frequencies[entry.ngram] ?? 0)))
                return (entry.ngram, Double(entry.count) * (logImageCount - frequency))
            }
        }
        let norms = weights.map { $0.reduce(0) { $0 + $1.1 * $1.1 }.squareRoot() }
        return Weighted(weights: weights, norms: norms, length: counts.total(length: 2))
    }

    private static func similarity(_ caption: Weighted, _ reference: Weighted) -> [Double] {
        let difference = Double(caption.length - reference.length)
        let penalty = exp(-(difference * difference) / (2 * sigma * sigma))
        return (0..<4).map { length in
            let expected = Dictionary(uniqueKeysWithValues: reference.weights[length].map { ($0.ngram, $0.weight) })
            var sum = caption.weights[length].reduce(0.0) { sum, entry in
                let other = expected[entry.ngram] ?? 0
                return sum + min(entry.weight, other) * other
            }
            if caption.norms[length] != 0 && reference.norms[length] != 0 {
                sum /= caption.norms[length] * reference.norms[length]
            }
            return sum * penalty
        }
    }
}
