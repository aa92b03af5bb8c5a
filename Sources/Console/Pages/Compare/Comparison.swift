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
        var pairs, agreeing, text_pairs, box_pairs, matched, left_only, right_only: Int
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
            let pairs = try await reader.rows(
                Pair.self,
                """
                \(filter.measured)
                select m.job_id, m.other_job, m.text, m.other_text, m.model, m.other_model, m.has_boxes, m.agreement,
                       m.agreement::text as exact_agreement,
                       \(boxes("left_box", "x.left_n")) as left_boxes,
                       \(boxes("right_box", "x.right_n")) as right_boxes
                from (select * from measured where \(filter.position)
                      order by agreement, job_id, other_job limit \(mostShown + 1)::int) m
                order by m.agreement, m.job_id, m.other_job
                """)
            let rows = try await ResultReads.rows(
                reader, pairs.prefix(mostShown).map(\.job_id), isShown: false)
            return Comparison(
                pairs: pairs, rows: Dictionary(rows.map { ($0.job_id, $0) }) { first, _ in first },
                statements: reader.statements)
        }
        // What is slow to count is shown all the same.
        comparison.totals = try? await readers.read { reader in
            try await reader.rows(
                Totals.self,
                """
                \(filter.measured)
                select count(*) as pairs, count(*) filter (where agreement = 1) as agreeing,
                       count(*) filter (where not has_boxes) as text_pairs, count(*) filter (where has_boxes) as box_pairs,
                       coalesce(sum(matched), 0) as matched, coalesce(sum(left_count - matched), 0) as left_only,
                       coalesce(sum(right_count - matched), 0) as right_only, (select avg(iou) from matched) as mean_iou,
                       max(job_id) as last_job
                from measured
                """, isShown: false
            ).first
        }
        return comparison
    }

    /// The boxes of a side of `m` as JSON, with their partners' overlap.
    private static func boxes(_ side: Statement, _ number: Statement) -> Statement {
        """
        (select jsonb_agg(jsonb_build_object('label', b.label, 'score', b.score, 'y1', b.y1, 'x1', b.x1, 'y2', b.y2,
                                                 'x2', b.x2, 'iou', x.iou) order by b.n)
                from \(side) b left join matched x on x.job_id = b.job_id and x.other_job = b.other_job and \(number) = b.n
                where b.job_id = m.job_id and b.other_job = m.other_job)
        """
    }
}
