import Annotation
import Evaluation
import Storage

/// `--truth`: labels that reviewers gave.
extension Evaluate {
    /// The name of these labels in errors.
    private static let truthName = "the truth"

    /// What reviewers accepted or edited, of the batch and the task.
    /// - Throws: `CommandError` if there is nothing.
    func truthFile(_ administration: Administration) async throws -> RowFile {
        if let batch { try await administration.batch(named: batch) }
        let form: Administration.TruthForm =
            switch try kind() {
            case .texts: .texts
            case .detections: .detections
            case .referring: .expressions
            }
        let rows = Collected<[UInt8]>([])
        try await administration.truth(form, batch: batch, task: task?.rawValue) { row in
            rows.change {
                $0.append(contentsOf: row.utf8)
                $0.append(UInt8(ascii: "\n"))
            }
        }
        guard !rows.value.isEmpty else {
            throw CommandError(.failed, "no answer of this kind that has a key was accepted or edited in a review")
        }
        if case .detections = form { return RowFile(query: Self.truthName, document: rows.value) }
        return RowFile(query: Self.truthName, rows: rows.value)
    }

    /// Whether an answer that was rejected is a wrong answer to the metric; else it compares with what is right alone.
    private var countsRejections: Bool {
        guard against == nil, results == nil, missing != .error else { return false }
        return metric == "vqa"
            || ["vqa-", "textvqa", "exact", "squad", "anls", "relaxed"].contains { metric.hasPrefix($0) }
    }

    /// Results that were rejected, as labels that name wrong answers; nil: there are none, or they do not count.
    func rejectedLabels(_ administration: Administration) async throws -> LabelSet? {
        guard truth, countsRejections else { return nil }
        let rows = Collected<[UInt8]>([])
        let all = try await models(administration)
        let engines = try model.map { try all.ids(of: $0) }
        try await administration.rejections(batch: batch, task: task?.rawValue, engines: engines) { row in
            rows.change {
                $0.append(contentsOf: row.utf8)
                $0.append(UInt8(ascii: "\n"))
            }
        }
        guard !rows.value.isEmpty else { return nil }
        return try LabelReader.read(RowFile(query: "the rejected results", rows: rows.value))
    }

    /// Says which results were rejected.
    func sayRejected(
        _ report: inout EvaluationReport, _ administration: Administration, counted: Int = 0
    ) async throws {
        guard truth else { return }
        report.add(gap: "rejected", counted, "they count as wrong: reviewers rejected them")
        let all = try await administration.rejectionCount(batch: batch, task: task?.rawValue)
        report.add(
            gap: "rejected and left out", max(0, all - counted),
            "reviewers rejected them, and nobody has said what is right")
    }
}
