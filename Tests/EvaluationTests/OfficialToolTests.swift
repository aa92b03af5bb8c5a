import Evaluation
import Testing

@Suite struct OfficialToolTests {
    private static let tolerance = 1e-9

    private func agree(_ left: Double?, _ right: Double?) -> Bool {
        guard let left, let right else { return left == nil && right == nil }
        return abs(left - right) <= Self.tolerance
    }

    @Test(arguments: try MetricFixture.all().map(\.metric))
    func scoresAsTheOfficialTool(name: String) throws {
        let fixture = try #require(try MetricFixture.all().first { $0.metric == name })
        // The captions were cut before: how they are cut is PTBTokenizerTests'.
        let metric = try #require(TextMetrics.named(name, .init(tokenizer: .whitespace)))
        let scores = try metric.scores(of: fixture.items.map(\.evaluated))
        #expect(scores.items.count == fixture.scores.count)
        for (index, pair) in zip(scores.items, fixture.scores).enumerated() {
            #expect(agree(pair.0, pair.1), "item \(fixture.items[index])")
        }
        for (figure, value) in fixture.figures {
            let ours = try #require(scores.figures.first { $0.name == figure }, "\(figure) is missing")
            #expect(agree(ours.value, value), "\(figure)")
        }
    }

    /// Every metric has a sample, apart from those that need more than texts.
    @Test func coversEveryMetric() throws {
        let sampled = Set(try MetricFixture.all().map(\.metric))
        #expect(Set(TextMetrics.all().map(\.name)).subtracting(sampled) == ["caption", "choice", "mmvp", "objaverse"])
    }
}
