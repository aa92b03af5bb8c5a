import Annotation
import Foundation

/// Distributions over labels, as ScoreAgg makes them of an object's views: how often the label is first or among the
/// first, its probability, its log score, and how undecided the distribution is. Answers and labels are compared in
/// ScoreAgg's canonical form; a label's synonyms are further answers. The score of an item is whether its first answer
/// is right.
///
/// Objaverse's published number is a cosine of sentence embeddings. With embeddings of every text, of any model, their
/// mean cosine is a figure, too.
public struct Objaverse: TextMetric {
    /// The probability that the log score takes for a label without any: ln 0 would decide the mean alone.
    public static let leastMass = 1e-6
    /// Up to which ranks a label counts as found.
    public let ranks: [Int]
    private let embeddings: Embeddings?

    /// - Parameter ranks: each ≥ 1.
    public init(ranks: [Int] = [1, 5], embeddings: Embeddings? = nil) {
        precondition(ranks.allSatisfy { $0 >= 1 })
        self.ranks = ranks
        self.embeddings = embeddings
    }

    public var name: String { "objaverse" }

    private struct Evidence: Sendable {
        /// The place of the label among the answers, from 1; nil: it is not among them.
        var rank: Int?
        /// The probability of the label, and −Σ p ln p of the distribution; nil: there is no distribution.
        var mass: Double?
        var entropy: Double?
        var cosine: Double?
    }

    public func start() -> any MetricRun {
        ItemRun<Evidence>(
            read: { [embeddings] item throws(EvaluationError) in
                try item.requireAnswers()
                let evidence = try Self.read(item, embeddings)
                return (evidence.rank == 1 ? 1 : 0, evidence)
            },
            figures: { [ranks, embeddings] items, indices in
                let evidence = items.evidence
                let masses = indices.map { evidence[$0].mass }.filter { $0 != nil }
                let logs = masses.map { $0.map { log(max($0, Self.leastMass)) } }
                let entropies = indices.map { evidence[$0].entropy }.filter { $0 != nil }
                var figures = ranks.map { rank in
                    Figure.mean("top-\(rank)", of: indices.map { (evidence[$0].rank ?? .max) <= rank ? 1 : 0 })
                }
                figures.append(.mean("mass", of: masses))
                figures.append(.mean("log score", of: logs))
                figures.append(.mean("entropy", of: entropies))
                if embeddings != nil { figures.append(.mean("cosine", of: indices.map { evidence[$0].cosine })) }
                return figures + items.meansByType("top-1", indices)
            })
    }

    private static func read(
        _ item: EvaluatedItem, _ embeddings: Embeddings?
    ) throws(EvaluationError) -> Evidence {
        let labels = Set(item.answers.map { PythonText(ScoreAgg.canonical($0)) })
        // Without a distribution, the text is the only answer.
        let ranked =
            item.distribution.isEmpty
            ? item.text.map { [$0] } ?? []
            : item.distribution.enumerated()
                .sorted { ($1.element.probability, $0.offset) < ($0.element.probability, $1.offset) }
                .map(\.element.answer)
        func isLabel(_ answer: String) -> Bool { labels.contains(PythonText(ScoreAgg.canonical(answer))) }
        let rank = ranked.firstIndex(where: isLabel).map { $0 + 1 }
        var evidence = Evidence(rank: rank)
        if !item.distribution.isEmpty {
            evidence.mass = item.distribution.reduce(0) { $0 + (isLabel($1.answer) ? $1.probability : 0) }
            evidence.entropy = item.distribution.reduce(0) { sum, answer in
                answer.probability > 0 ? sum - answer.probability * log(answer.probability) : sum
            }
        }
        if let embeddings, let text = item.text ?? ranked.first {
            var best = -Double.infinity
            for answer in item.answers { best = max(best, try embeddings.cosine(text, answer)) }
            evidence.cosine = best
        }
        return evidence
    }
}
