import Evaluation

/// An evaluation of boxes or masks against COCO's ground truth.
struct DetectionEvaluation {
    let truth: COCOTruthFile
    let missing: MissingPolicy
    let bootstrap: Bootstrap
    /// Precision, recall and F1 are of detections from this score on.
    let threshold: Double
    /// The ids of the images that are evaluated.
    let images: [Int]

    init(
        truth: COCOTruthFile, results: [Detections], missing: MissingPolicy, bootstrap: Bootstrap, threshold: Double
    ) {
        self.truth = truth
        self.missing = missing
        self.bootstrap = bootstrap
        self.threshold = threshold
        images = truth.images.indices.filter { place in missing != .skip || results.allSatisfy { $0.has(place) } }
            .map { truth.images[$0].id }
    }

    func evaluation(_ results: Detections) -> COCOEvaluation {
        COCOEvaluation(
            images: images, categories: Array(truth.categories.keys), truths: truth.truths, detections: results.found)
    }

    /// Fills in a report: the twelve numbers, each category, the calibration of scores, the comparison with another model.
    func fill(
        _ report: inout EvaluationReport, _ results: Detections, _ evaluation: COCOEvaluation,
        against other: COCOEvaluation?
    ) {
        let intervals = bootstrap.intervals(unitCount: images.count) { evaluation.figures(weights: $0).values }
        let differences = other.map { other in
            bootstrap.intervals(unitCount: images.count) { weights in
                zip(evaluation.figures(weights: weights).values, other.figures(weights: weights).values).map {
                    value, against in
                    if let value, let against { value - against } else { nil }
                }
            }
        }
        let (figures, others) = (evaluation.figures(), other?.figures())
        report.count = images.count
        report.figures = COCOFigures.names.enumerated().map { place, name in
            var line = EvaluationReport.Line(name: name, value: figures.values[place], count: images.count)
            if place < intervals.count { line.interval = intervals[place] }
            if let others {
                line.against = others.values[place]
                if let value = line.value, let against = line.against { line.difference = value - against }
                if let differences, place < differences.count { line.differenceInterval = differences[place] }
            }
            return line
        }
        let precisions = Dictionary(evaluation.averagePrecisions().map { ($0.category, $0.value) }) { first, _ in first
        }
        var all = DetectionCounts()
        for (id, counts) in evaluation.counts(from: threshold) {
            all.found += counts.found
            all.wrong += counts.wrong
            all.missed += counts.missed
            report.categories.append(
                EvaluationReport.Category(
                    category: truth.categories[id] ?? "\(id)", averagePrecision: precisions[id] ?? nil,
                    found: counts.found,
                    wrong: counts.wrong, missed: counts.missed, precision: counts.precision, recall: counts.recall,
                    f1: counts.f1))
        }
        report.figures += [
            EvaluationReport.Line(name: "precision .5", value: all.precision, count: all.found + all.wrong),
            EvaluationReport.Line(name: "recall .5", value: all.recall, count: all.found + all.missed),
            EvaluationReport.Line(name: "F1 .5", value: all.f1, count: all.found + all.wrong + all.missed),
        ]
        let answers = evaluation.matches().filter { !$0.isIgnored }.map { match in
            (results.found[match.detection].score, match.truth == nil ? 0.0 : 1.0)
        }
        if answers.allSatisfy({ 0...1 ~= $0.0 }) {
            var calibration = Calibration()
            for (score, isRight) in answers { calibration.add(probability: score, score: isRight) }
            report.calibration = EvaluationReport.Reliability(calibration)
        }
        if !results.found.isEmpty, Set(results.found.map(\.score)).count == 1, results.found.count > 1 {
            report.notes.append("All detections have the same score: AP depends on their order then.")
        }
        if truth.hasZero {
            report.notes.append(
                "An annotation has the id 0. pycocotools takes it for \"no match\", so it is never found; count ids from 1."
            )
        }
    }

    /// Writes a row a detection, then a row a thing that was missed.
    func write(_ file: PerItemFile, _ results: Detections, _ evaluation: COCOEvaluation) throws {
        let matches = evaluation.matches()
        let counted = Set(images)
        let found = Set(matches.compactMap(\.truth))
        func key(_ image: Int) -> String { truth.places[image].flatMap { truth.images[$0].fileName } ?? "\(image)" }
        try file.write { add in
            for match in matches {
                let detection = results.found[match.detection]
                var box: [Double]?
                if case .box(let edges) = detection.region { box = [edges.x, edges.y, edges.width, edges.height] }
                try add(
                    DetectionItem(
                        key: key(detection.image), imageID: detection.image, label: results.labels[match.detection],
                        categoryID: detection.category, score: detection.score, bbox: box, truth: match.truth,
                        overlap: match.overlap, isIgnored: match.isIgnored, isMissed: nil))
            }
            for truth in truth.truths where !truth.isCrowd && counted.contains(truth.image) && !found.contains(truth.id)
            {
                try add(
                    DetectionItem(
                        key: key(truth.image), imageID: truth.image, label: self.truth.categories[truth.category] ?? "",
                        categoryID: truth.category, score: nil, bbox: nil, truth: truth.id, overlap: nil,
                        isIgnored: nil,
                        isMissed: true))
            }
        }
    }
}

/// A detection, or a thing that was missed.
private struct DetectionItem: Encodable {
    let key: String
    let imageID: Int
    let label: String
    let categoryID: Int
    let score: Double?
    let bbox: [Double]?
    /// The annotation's id.
    let truth: Int?
    let overlap: Double?
    let isIgnored: Bool?
    let isMissed: Bool?

    enum CodingKeys: String, CodingKey {
        case key, label, score, bbox, truth
        case imageID = "image_id"
        case categoryID = "category_id"
        case overlap = "iou"
        case isIgnored = "ignored"
        case isMissed = "missed"
    }
}
