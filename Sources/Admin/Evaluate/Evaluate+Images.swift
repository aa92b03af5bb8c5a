import Console
import Evaluation
import Storage

extension Evaluate {
    /// Scores boxes or masks against COCO's ground truth.
    func evaluate(masks areMasks: Bool) async throws -> EvaluationReport {
        let administration = database.administration(statementTimeout: nil)
        return try await withFiles { try await evaluate(masks: areMasks, administration, $0, coco: $1) }
    }

    private func evaluate(
        masks areMasks: Bool, _ administration: Administration, _ perItem: PerItemFile?, coco: PerItemFile?
    ) async throws -> EvaluationReport {
        var report = EvaluationReport(metric: metric, variant: areMasks ? "coco-masks" : "coco-boxes")
        let file = try await labelFile(administration)
        report.labelsSHA256 = file.sha256
        let truth = try COCOTruthFile(file, areMasks: areMasks)
        try await sayRejected(&report, administration)
        let models = try await models(administration)
        let selections = try selections(models)
        let empty = try Detections(truth, areMasks: areMasks, map: map)
        let ours = try await detections(selections.ours, empty, administration)
        var theirs: Detections?
        if let selection = selections.theirs { theirs = try await detections(selection, empty, administration) }

        let image = truth.images.first.map { $0.fileName ?? "\($0.id)" }
        try requireMatch(ours.count, strayKey: ours.strayKey, labelKey: image)
        try await sayMissing(
            &report, administration, count: truth.images.count - ours.count, of: "images",
            label: { truth.keys.value(of: $0) }, has: { ours.has($0) })
        report.add(gap: "results of other images", ours.withoutImage, ours.strayKey.map { "such as \"\($0)\"" })
        report.add(gap: "results without a key", ours.withoutKey)
        report.add(gap: "truncated", ours.truncated, "cut off at max_tokens or max_repeats; scored as they stand")
        report.add(gap: "partly unparsable", ours.notUnderstood, "what could be read is scored")
        let outside = ours.outside.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        report.add(
            gap: "labels outside the categories", outside.reduce(0) { $0 + $1.value },
            outside.prefix(20).map { "\($0.key) \(Formats.count($0.value))" }.joined(separator: ", ")
                + (outside.count > 20 ? ", and \(outside.count - 20) more" : "") + "; --map names their categories")
        report.add(gap: "detections without a mask", ours.withoutMask, "left out")
        report.add(gap: "masks of another size than their image", ours.otherSize, "they overlap nothing")

        let evaluation = DetectionEvaluation(
            truth: truth, results: [ours] + [theirs].compactMap(\.self), missing: policy, bootstrap: resampling,
            threshold: threshold)
        let matched = evaluation.evaluation(ours)
        say(models, ours.engines, against: theirs?.engines, in: &report)
        evaluation.fill(&report, ours, matched, against: theirs.map { evaluation.evaluation($0) })
        if let perItem { try evaluation.write(perItem, ours, matched) }
        if let coco { try ours.write(coco: coco) }
        return report
    }

    private func detections(
        _ selection: EvaluationSelection, _ empty: Detections, _ administration: Administration
    ) async throws -> Detections {
        if let results {
            var found = empty
            let file = ResultFile(file: try RowFile(path: results))
            if let rows = try file.file.document()?.array {
                try found.add(results: rows, file.file)
            } else {
                try file.forEachFound { key, boxes, _ in try found.add(key, boxes) }
            }
            return found
        }
        let found = Collected(empty)
        try await administration.found(of: selection) { row in try found.change { try $0.add(row) } }
        return found.value
    }

    // MARK: RefCOCO

    /// Scores referring expressions.
    func evaluateReferring() async throws -> EvaluationReport {
        let administration = database.administration(statementTimeout: nil)
        return try await withFiles { perItem, _ in try await evaluateReferring(administration, perItem) }
    }

    private func evaluateReferring(
        _ administration: Administration, _ perItem: PerItemFile?
    ) async throws -> EvaluationReport {
        var report = EvaluationReport(metric: metric, variant: "refcoco")
        let file = try await labelFile(administration)
        report.labelsSHA256 = file.sha256
        let labels = try ReferringLabels(file)
        try await sayRejected(&report, administration)
        let models = try await models(administration)
        let selections = try selections(models)
        let ours = try await referring(selections.ours, labels, administration)
        var theirs: ReferringResults?
        if let selection = selections.theirs { theirs = try await referring(selection, labels, administration) }

        try requireMatch(ours.count, strayKey: ours.strayKey, labelKey: labels.labels.first?.key)
        try await sayMissing(
            &report, administration, count: labels.labels.count - ours.count, of: "labels",
            label: { labels.keys.value(of: $0) }, has: { ours.found[$0] != nil })
        report.add(gap: "results without a label", ours.withoutLabel, ours.strayKey.map { "such as \"\($0)\"" })
        report.add(gap: "results without a key", ours.withoutKey)
        report.add(gap: "truncated", ours.truncated, "cut off at max_tokens or max_repeats; scored as they stand")
        report.add(gap: "without a box", ours.unparsable, "their IoU is 0")

        let evaluation = ReferringEvaluation(
            labels: labels, results: [ours] + [theirs].compactMap(\.self), missing: policy, bootstrap: resampling)
        let expressions = evaluation.expressions(ours)
        say(models, ours.engines, against: theirs?.engines, in: &report)
        evaluation.fill(&report, expressions, against: theirs.map { evaluation.expressions($0) })
        if let perItem { try evaluation.write(perItem, expressions) }
        return report
    }

    private func referring(
        _ selection: EvaluationSelection, _ labels: ReferringLabels, _ administration: Administration
    ) async throws -> ReferringResults {
        if let results {
            var found = ReferringResults(labelCount: labels.labels.count)
            let file = ResultFile(file: try RowFile(path: results))
            try file.forEachFound { key, boxes, line in try found.add(key, boxes, line, labels, file.file) }
            return found
        }
        let found = Collected(ReferringResults(labelCount: labels.labels.count))
        try await administration.found(of: selection) { row in try found.change { try $0.add(row, labels) } }
        return found.value
    }
}
