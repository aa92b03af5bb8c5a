import Evaluation

extension TextEvaluation {
    /// Whether the score of an item does not depend on the other ones, so that each sample may be one.
    static func readsItemsAlone(_ metric: any TextMetric) -> Bool {
        !ofPairs.contains(metric.name) && !uncalibrated.contains { metric.name.hasPrefix($0) }
    }

    /// What several samples of a result score in the mean and at best, if the headline is the mean of the items' scores. A result
    /// with one sample counts as it does in the headline.
    func sampleFigures(_ results: TextResults, _ scores: MetricScores) throws -> [EvaluationReport.Line] {
        guard results.haveSamples, Self.readsItemsAlone(metric), let headline = scores.figures.first,
            Resampling.isMean(headline, scores)
        else { return [] }
        var run = metric.start()
        for label in items {
            for text in samples(label, results) {
                var item = item(label, results)
                item.text = text
                try run.add(item)
            }
        }
        var rest = try run.scores().items[...]
        var (means, best) = ([Double](), [Double]())
        for (place, label) in items.enumerated() {
            let count = samples(label, results).count
            let samples = count == 0 ? [scores.items[place] ?? 0] : rest.prefix(count).map { $0 ?? 0 }
            rest = rest.dropFirst(count)
            means.append(samples.reduce(0, +) / Double(samples.count))
            best.append(samples.max() ?? 0)
        }
        let sampling = Resampling(bootstrap: bootstrap, units: units)
        return [("mean", means), ("best", best)].map { name, scores in
            EvaluationReport.Line(
                name: "\(headline.name), \(name) of samples", value: scores.reduce(0, +) / Double(scores.count),
                count: scores.count, interval: sampling.interval(ofMean: scores))
        }
    }

    private func samples(_ label: Int, _ results: TextResults) -> [String] {
        rejected.contains(label) ? [] : results.samples(label)
    }
}
