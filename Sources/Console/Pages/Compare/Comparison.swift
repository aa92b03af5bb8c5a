/// What a page of comparisons reads.
struct Comparison: Sendable {
    /// Two answers to the same question.
    struct Pair: Decodable, Sendable {
        var job_id, other_job: Int64
        var text, other_text: String?
        var model, other_model: String
        var has_boxes: Bool
        /// From 0 to 1, and as PostgreSQL writes it, so that the next page begins exactly there.
        var agreement: Double
        var exact_agreement: String
        var left_boxes, right_boxes: [Box]?
    }

    /// A box of one side.
    struct Box: Decodable, Sendable {
        var label: String
        /// Nil: a person drew it.
        var score: Double?
        var y1, x1, y2, x2: Double
        /// How far its partner covers it; nil: the other side has none.
        var iou: Double?

        var labelled: ResultRow.LabelledBox {
            ResultRow.LabelledBox(label: label, score: score ?? 1, y1: y1, x1: x1, y2: y2, x2: x2)
        }
    }

    /// Of all pairs that are compared at once.
    struct Totals: Decodable, Sendable {
        var pairs, agreeing, box_pairs, matched, left_only, right_only: Int
        /// Of boxes with a partner.
        var mean_iou: Double?
        /// The last job.
        var last_job: Int64?
    }

    var pairs: [Pair]
    var totals: Totals?
    /// By job.
    var rows: [Int64: ResultRow]
    var statements: [Statement]

    static let mostShown = 12

    static func read(_ readers: ReaderPool, _ filter: ComparisonFilter) async throws -> Comparison {
        var comparison = try await readers.read { reader in
            let pairs = try await reader.rows(Pair.self, filter.page(mostShown + 1))
            let rows = try await ResultReads.rows(
                reader, pairs.prefix(mostShown).map(\.job_id), isShown: false)
            return Comparison(
                pairs: pairs, rows: Dictionary(rows.map { ($0.job_id, $0) }) { first, _ in first },
                statements: reader.statements)
        }
        // What is slow to count is shown all the same.
        comparison.totals = try? await readers.read { reader in
            try await reader.rows(Totals.self, filter.totals, isShown: false).first
        }
        return comparison
    }
}
