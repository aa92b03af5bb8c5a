import Foundation

/// A row of `gloss.evaluation`.
struct EvaluationRow: Decodable, Sendable {
    var id: Int64
    var at: String
    var by: String
    var metric, variant: String
    var labels_sha256: String
    var model, model_digest: String?
    var gloss_version: String
    var n: Int64
    var selection: [String: Text]
    var not_scored: [Gap]
    var figures: [Figure]

    /// A number with its interval, or a table.
    struct Figure: Decodable, Sendable {
        var name: String
        /// Nil: there is none for so few items.
        var value: Double?
        var count: Int64?
        var low, high: Double?
        /// Of a calibration: its bins, and the errors of all.
        var bins: [Bin]?
        var ece, brier: Double?
        /// Of a confusion: `labels` and one row for all others; `answers`, one column for all others, and one for no answer.
        var labels, answers: [String]?
        var counts: [[Int]]?

        /// Whether it is a table, which stands below the figures.
        var isTable: Bool { bins != nil || counts != nil }
    }

    /// Answers with about the same probability.
    struct Bin: Decodable, Sendable {
        var low, high: Double
        var count: Int
        /// Their mean probability, and the share that is right.
        var confidence, accuracy: Double
    }

    /// Items without a score, and why.
    struct Gap: Decodable, Sendable {
        var reason: String
        var count: Int
        var detail: String?
    }

    /// A value of any kind as a text.
    struct Text: Decodable, Sendable {
        let text: String

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let text = try? value.decode(String.self) {
                self.text = text
            } else if let number = try? value.decode(Double.self) {
                text = "\(number)"
            } else if let truth = try? value.decode(Bool.self) {
                text = "\(truth)"
            } else {
                text = value.decodeNil() ? "" : "…"
            }
        }
    }

    /// The selection as results are filtered: batch, task and model.
    var query: URLQuery {
        ["batch", "task", "model"].reduce(URLQuery()) { $0.setting($1, selection[$1]?.text) }
    }
}
