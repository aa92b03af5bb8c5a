import Annotation
import Console
import Storage

/// An element of the column `figures` of `gloss.evaluation`: a figure, or a table that has a figure's name and count.
enum KeptFigure: Encodable {
    case line(EvaluationReport.Line)
    /// `value` is the ECE.
    case calibration(EvaluationReport.Reliability)
    case confusion(EvaluationReport.ConfusionTable)

    private enum CodingKeys: String, CodingKey { case name, value, count }

    /// The figures of a report, then its tables.
    static func all(_ report: EvaluationReport) -> [KeptFigure] {
        report.figures.map(KeptFigure.line) + [report.calibration.map(KeptFigure.calibration)].compactMap(\.self)
            + [report.confusion.map(KeptFigure.confusion)].compactMap(\.self)
    }

    func encode(to encoder: any Encoder) throws {
        func encode(_ name: String, _ value: Double?, _ count: Int, _ table: any Encodable) throws {
            try table.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(value, forKey: .value)
            try container.encode(count, forKey: .count)
        }
        switch self {
        case .line(let line): try line.encode(to: encoder)
        case .calibration(let table):
            let count = table.bins.reduce(0) { $0 + $1.count }
            try encode("calibration", table.expectedError, count, table)
        case .confusion(let table):
            try encode("confusion", nil, table.counts.reduce(0) { $0 + $1.reduce(0, +) }, table)
        }
    }
}

extension Evaluate {
    /// Keeps the run; without the right to, says so.
    func keep(_ report: inout EvaluationReport) async throws {
        struct Kept: Encodable {
            let metric: String
            let variant: String
            let labels_sha256: String
            let model: String?
            let model_digest: String?
            let gloss_version: String
            let n: Int
            let selection: [String: String]
            let not_scored: [EvaluationReport.Gap]
            let figures: [KeptFigure]
        }
        var selection = ["missing": policy.rawValue]
        for (name, value) in [
            ("batch", batch), ("task", task?.rawValue), ("model", model), ("since", since), ("against", against),
        ] {
            if let value { selection[name] = value }
        }
        if truth { selection["labels"] = "gloss.truth" }
        let kept = Kept(
            metric: report.metric, variant: report.variant, labels_sha256: report.labelsSHA256,
            model: report.keptModel?.name,
            model_digest: report.keptModel?.digest, gloss_version: report.glossVersion, n: report.count,
            selection: selection,
            not_scored: report.notScored, figures: KeptFigure.all(report))
        do {
            report.evaluation = try await database.administration().keep(evaluation: try JSONText.encode(kept))
        } catch let error as StorageError where error.sqlState == "42501" {
            Console.note(
                "Not kept in gloss.evaluation: that takes the role gloss_admin. --no-keep says that you do not mean to."
            )
        }
    }
}
