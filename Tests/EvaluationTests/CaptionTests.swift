import Evaluation
import Foundation
import Testing

@Suite struct CaptionTests {
    private static let items = [
        EvaluatedItem(
            key: "1", text: "A man rides a horse.", answers: ["a man riding a horse", "a man rides a brown horse"]),
        EvaluatedItem(key: "2", text: "a red bus", answers: ["A red bus on a street.", "the bus is red"]),
        EvaluatedItem(key: "3", text: nil, answers: ["two dogs"]),
    ]

    /// Given the frequencies of its own references, CIDEr-D scores the same; a part of the corpus, too.
    @Test func keepsScoresByDocumentFrequencies() throws {
        let own = try CaptionMetric(.cider).scores(of: Self.items)
        let frequencies = DocumentFrequencies(images: Self.items.map(\.answers), tokenizer: .ptb)
        let stored = try JSONDecoder().decode(DocumentFrequencies.self, from: try JSONEncoder().encode(frequencies))
        #expect(stored == frequencies)
        let metric = CaptionMetric(.cider, frequencies: stored)
        #expect(try metric.scores(of: Self.items).items == own.items)
        #expect(try metric.scores(of: Self.items.prefix(1)).items == Array(own.items.prefix(1)))
        #expect(own.items[2] == 0)
    }

    /// With one image every n-gram is in every image, and weighs nothing.
    @Test func refusesCIDErOfOneImage() throws {
        #expect(throws: EvaluationError.self) { try CaptionMetric(.cider).scores(of: Self.items.prefix(1)) }
        #expect(try CaptionMetric(.rouge).scores(of: Self.items.prefix(1)).items.count == 1)
    }

    @Test func hasAllMeasuresAtOnce() throws {
        let all = try #require(TextMetrics.named("caption")).scores(of: Self.items)
        #expect(
            all.figures.map(\.name) == ["CIDEr-D", "BLEU-4", "BLEU-1", "BLEU-2", "BLEU-3", "ROUGE-L"])
        for measure in CaptionMetric.Measure.allCases {
            let one = try CaptionMetric(measure).scores(of: Self.items)
            #expect(one.figures.allSatisfy { all.figures.contains($0) })
        }
        #expect(try CaptionMetric(.cider).scores(of: Self.items).items == all.items)
    }
}
