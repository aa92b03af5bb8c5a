import Evaluation
import Foundation

/// What is done with labels that have no result.
enum MissingPolicy: String, CaseIterable {
    /// They are an error, and there is no figure.
    case error
    /// They count as wrong, as the official tools count them.
    case zero
    /// They do not count.
    case skip
}

/// An evaluation of texts against labels.
struct TextEvaluation {
    let metric: any TextMetric
    let labels: LabelSet
    let missing: MissingPolicy
    let bootstrap: Bootstrap
    /// What cuts captions before they are scored; nil: the metric does.
    let cutter: StanfordTokenizer?
    /// The labels that are scored, in their order.
    let items: [Int]
    let units: [[Int]]?

    /// Metrics whose items are no right or wrong answers, so that a probability says nothing about them.
    static let uncalibrated = ["caption", "cider", "bleu", "rouge", "cer", "wer"]
    /// Metrics of pairs, which are drawn as such.
    static let ofPairs: Set<String> = ["mmvp", "nlvr2", "paired"]

    /// - Parameter results: of one model, or of two that are compared: then a label counts if each has a result, unless missing
    ///   ones count as wrong.
    init(
        metric: any TextMetric, labels: LabelSet, results: [TextResults], missing: MissingPolicy, bootstrap: Bootstrap,
        cutter: StanfordTokenizer? = nil
    ) {
        self.metric = metric
        self.labels = labels
        self.missing = missing
        self.bootstrap = bootstrap
        self.cutter = cutter
        items = (0..<labels.count).filter { label in missing != .skip || results.allSatisfy { $0.has(label) } }
        let column = Self.ofPairs.contains(metric.name) ? labels.pairs : labels.images
        units = column.isEmpty ? nil : Self.units(items.map { column[$0] })
    }

    /// The places of the items of each name; items without one are alone.
    private static func units(_ names: [String?]) -> [[Int]] {
        var (places, units) = ([String: Int](), [[Int]]())
        for (item, name) in names.enumerated() {
            if let name, let place = places[name] {
                units[place].append(item)
            } else {
                if let name { places[name] = units.count }
                units.append([item])
            }
        }
        return units
    }

    /// Scores the results of a model.
    /// - Parameter onItem: gets each item that was scored.
    /// - Throws: `CommandError` if the labels are none that the metric can score against.
    func scores(
        _ results: TextResults, file: RowFile, onItem: (EvaluatedItem) -> Void = { _ in }
    ) throws -> MetricScores {
        var run = metric.start()
        let cut = try cutter?.cut(items.map { item($0, results) })
        do throws(EvaluationError) {
            for (place, label) in items.enumerated() {
                let item = cut?[place] ?? item(label, results)
                try run.add(item)
                onItem(item)
            }
            return try run.scores()
        } catch {
            if let key = error.key, let label = labels.keys.value(of: key) {
                throw file.problem(labels.line(label), "the label of \"\(key)\": \(error.reason)")
            }
            throw CommandError(.badData, "\(metric.name): \(error.reason)")
        }
    }

    func item(_ label: Int, _ results: TextResults) -> EvaluatedItem {
        EvaluatedItem(
            key: labels.key(label), text: results.text(label), answers: labels.answers(label),
            answerType: labels.answerTypes[label], questionType: labels.questionTypes[label],
            group: labels.pairs[label],
            choices: labels.choices(label), distribution: results.distribution(label))
    }

    /// Fills in a report: figures, groups, calibration, and the comparison with another model.
    func fill(
        _ report: inout EvaluationReport, _ results: TextResults, _ scores: MetricScores,
        against other: (results: TextResults, scores: MetricScores)?
    ) {
        let sampling = Resampling(bootstrap: bootstrap, units: units)
        let sample = Resampling.Sample(scores: scores, unitScores: unitScores(scores))
        let otherSample = other.map { Resampling.Sample(scores: $0.scores, unitScores: unitScores($0.scores)) }
        let intervals = sampling.intervals(sample)
        let differences = otherSample.map { sampling.intervals(sample, minus: $0) } ?? [:]
        report.count = items.count
        report.figures = scores.figures.map { figure in
            var line = EvaluationReport.Line(
                name: figure.name, value: figure.value, count: figure.count, interval: intervals[figure.name])
            if let other {
                line.against = other.scores.figures.first { $0.name == figure.name }?.value
                if let value = line.value, let against = line.against { line.difference = value - against }
                line.differenceInterval = differences[figure.name]
            }
            return line
        }
        if bootstrap.draws > 0, items.count > Resampling.mostWork / bootstrap.draws,
            report.figures.contains(where: { $0.value != nil && $0.interval == nil })
        {
            report.notes.append(
                "Only means of the items' scores have an interval: there are too many items for \(bootstrap.draws) draws of the rest."
            )
        }
        report.add(
            gap: "unparsable", zip(items, scores.items).count { results.has($0) && $1 == nil },
            "the metric finds no answer in them; they count as wrong")
        report.groups = groups(scores)
        if let other { compare(&report, scores, other.scores) }
        calibrate(&report, results, scores)
    }

    private func unitScores(_ scores: MetricScores) -> [Double]? {
        guard Self.ofPairs.contains(metric.name), let units else { return nil }
        return units.map { $0.allSatisfy { scores.items[$0] == 1 } ? 1 : 0 }
    }

    private func groups(_ scores: MetricScores) -> [EvaluationReport.Group] {
        guard !labels.groups.isEmpty else { return [] }
        var places: [String: [Int]] = [:]
        for (item, label) in items.enumerated() { places[labels.groups[label] ?? "", default: []].append(item) }
        return places.sorted { $0.key < $1.key }.map { name, places in
            let some = places
            let part = MetricScores(items: some.map { scores.items[$0] }) { indices in
                scores.figures(of: indices.map { some[$0] })
            }
            let column = Self.ofPairs.contains(metric.name) ? labels.pairs : labels.images
            let units = column.isEmpty ? nil : Self.units(some.map { column[items[$0]] })
            let sample = Resampling.Sample(
                scores: part,
                unitScores: Self.ofPairs.contains(metric.name)
                    ? units?.map { $0.allSatisfy { part.items[$0] == 1 } ? 1 : 0 } : nil)
            let intervals = Resampling(bootstrap: bootstrap, units: units).intervals(sample)
            return EvaluationReport.Group(
                group: name.isEmpty ? "(none)" : name, count: some.count,
                figures: part.figures.map {
                    EvaluationReport.Line(name: $0.name, value: $0.value, count: $0.count, interval: intervals[$0.name])
                })
        }
    }

    private func compare(_ report: inout EvaluationReport, _ scores: MetricScores, _ other: MetricScores) {
        var (better, worse) = (0, 0)
        for (score, against) in zip(scores.items, other.items) {
            if (score ?? 0) > (against ?? 0) { better += 1 }
            if (score ?? 0) < (against ?? 0) { worse += 1 }
        }
        // Of an error rate the smaller one is the better.
        if metric.name.hasPrefix("cer") || metric.name.hasPrefix("wer") { (better, worse) = (worse, better) }
        report.better = better
        report.worse = worse
        report.same = items.count - better - worse
    }

    /// Only answers that are there say how good their probabilities are.
    private func calibrate(_ report: inout EvaluationReport, _ results: TextResults, _ scores: MetricScores) {
        guard !Self.uncalibrated.contains(where: { metric.name.hasPrefix($0) }) else { return }
        let isShare = scores.items.allSatisfy { 0...1 ~= $0 ?? 0 }
        guard isShare else { return }
        var (calibration, answers) = (Calibration(), [(sureness: Float, score: Float)]())
        for (place, label) in items.enumerated() {
            guard let probability = results.probability(label) else { continue }
            let (sureness, score) = (min(max(probability, 0), 1), scores.items[place] ?? 0)
            calibration.add(probability: sureness, score: score)
            answers.append((Float(sureness), Float(score)))
        }
        report.calibration = EvaluationReport.Reliability(calibration)
        report.coverage = EvaluationReport.Coverage(RiskCoverage(answers))
    }
}
