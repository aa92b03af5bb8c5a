import Annotation

/// Which pairs of answers to compare: all of it stands in the address.
struct ComparisonFilter {
    /// What stands on the right.
    enum Kind: String, CaseIterable {
        case models, superseded, truth

        var words: String {
            switch self {
            case .models: "another result of the same key"
            case .superseded: "the result before this one"
            case .truth: "the truth of reviews"
            }
        }
    }

    /// Pairs that are compared at once: few enough for a moment.
    static let mostPairs = 10_000

    let kind: Kind
    let batch, task, left, right: String?
    /// The least overlap of two boxes that are the same.
    let overlap: Double
    /// The pairs begin behind this job.
    let from: Int64?
    /// Where the page before this one ended.
    let afterAgreement: Double?
    let afterJob, afterOther: Int64?

    init(_ query: URLQuery) throws {
        kind = try BadField.word(query, "with", of: Kind.allCases.map(\.rawValue)).flatMap(Kind.init) ?? .models
        (batch, task, left, right) = (query["batch"], query["task"], query["left"], query["right"])
        overlap = try BadField.number(query, "iou") ?? 0.5
        guard overlap > 0, overlap <= 1 else { throw BadField(message: "iou is above 0, and 1 at the most.") }
        from = try BadField.whole(query, "from")
        (afterJob, afterOther) = (try BadField.whole(query, "job"), try BadField.whole(query, "other"))
        afterAgreement = try BadField.number(query, "agreement")
    }

    /// Two models' results are looked for in a batch, or by the name of one of them.
    var isEnough: Bool { kind != .models || batch != nil || left != nil }

    // MARK: SQL

    /// The tasks whose results are boxes.
    private static let boxTasks = TaskName.all.filter { $0.presentation == .boxes }.map(\.name.rawValue)
        .joined(separator: ",")

    private static func engine(_ column: Statement, _ name: String) -> Statement {
        "\(column) = any (array(select id from gloss.engine where \(name) in (model, digest)))"
    }

    private var conditions: Statement {
        var all: [Statement] = []
        if let batch { all.append("j.batch_id = (select id from gloss.batch where name = \(batch))") }
        if let task { all.append("a.task = \(task)") }
        if let left { all.append(Self.engine("a.engine", left)) }
        if let right, kind != .truth { all.append(Self.engine("b.engine", right)) }
        if let from { all.append("a.job_id > \(from)::bigint") }
        // Without a model on both sides each pair would come twice.
        if kind == .models, left == nil || right == nil { all.append("o.id > j.id") }
        return .all(all)
    }

    /// Where the other one is.
    private var other: Statement {
        switch kind {
        case .models:
            """
            join gloss.job o on o.key = j.key and o.id <> j.id
                join gloss.annotation b on b.job_id = o.id and b.task = a.task and b.engine <> a.engine
            """
        case .superseded:
            """
            join gloss.superseded b on b.job_id = a.job_id
                    and not exists (select from gloss.superseded s where s.job_id = b.job_id and s.fence > b.fence)
            """
        case .truth:
            """
            join gloss.truth t on t.task = a.task
                    and coalesce('key ' || t.key, t.job_id::text) = coalesce('key ' || j.key, j.id::text)
            """
        }
    }

    private var pairs: Statement {
        let columns: Statement =
            kind == .truth
            ? """
            t.job_id as other_job, t.fence as other_fence, coalesce(t.answer ->> 'text', t.answer ->> 'answer') as other_text,
                       t.answer, 'reviewed by ' || t.reviewer as other_model
            """
            : """
            b.job_id as other_job, b.fence as other_fence, coalesce(b.answers[1], b.texts[1]) as other_text,
                       null::jsonb as answer, (select model from gloss.engine where id = b.engine) as other_model
            """
        return """
            select a.job_id, a.fence, coalesce(a.answers[1], a.texts[1]) as text,
                       (select model from gloss.engine where id = a.engine) as model, \(columns),
                       a.task = any (string_to_array(\(Self.boxTasks), ',')) as has_boxes
                from gloss.annotation a join gloss.job j on j.id = a.job_id
                \(other)
                where \(conditions)
                order by a.job_id limit \(Self.mostPairs)::int
            """
    }

    /// The boxes of the right.
    private var otherBoxes: Statement {
        guard kind == .truth else {
            return """
                select p.job_id, p.other_job, f.n::int as n, f.label, f.score, f.y1, f.x1, f.y2, f.x2
                    from pair p join gloss.finding f on f.job_id = p.other_job and f.fence = p.other_fence
                    where p.has_boxes and f.y1 is not null
                """
        }
        return """
            select p.job_id, p.other_job, f.n::int as n, f.box ->> 'label' as label, null::real as score,
                       (f.box #>> '{box,0}')::real as y1, (f.box #>> '{box,1}')::real as x1,
                       (f.box #>> '{box,2}')::real as y2, (f.box #>> '{box,3}')::real as x2
                from pair p cross join lateral jsonb_array_elements(p.answer -> 'boxes') with ordinality f (box, n)
                where p.has_boxes
            """
    }

    /// Pairs with what both sides share: `with …`, then `measured` and `matched`. Two boxes are the same if they have the same label
    /// and each is the nearest of the other by intersection over union. The agreement of boxes is the share of boxes that have a
    /// partner; texts agree or do not.
    var measured: Statement {
        """
        with pair as materialized (
            \(pairs)
        ), left_box as materialized (
            select p.job_id, p.other_job, f.n::int as n, f.label, f.score, f.y1, f.x1, f.y2, f.x2
            from pair p join gloss.finding f on f.job_id = p.job_id and f.fence = p.fence
            where p.has_boxes and f.y1 is not null
        ), right_box as materialized (
            \(otherBoxes)
        ), overlap as (
            select l.job_id, l.other_job, l.n as left_n, r.n as right_n, i.area / nullif((l.y2 - l.y1) * (l.x2 - l.x1)
                       + (r.y2 - r.y1) * (r.x2 - r.x1) - i.area, 0) as iou
            from left_box l join right_box r on r.job_id = l.job_id and r.other_job = l.other_job and r.label = l.label
            cross join lateral (
                select greatest(least(l.y2, r.y2) - greatest(l.y1, r.y1), 0)
                       * greatest(least(l.x2, r.x2) - greatest(l.x1, r.x1), 0) as area) i
        ), nearest as (
            select *, row_number() over (partition by job_id, other_job, left_n order by iou desc, right_n) as of_left,
                   row_number() over (partition by job_id, other_job, right_n order by iou desc, left_n) as of_right
            from overlap where iou >= \(overlap)::real
        ), matched as materialized (
            select job_id, other_job, left_n, right_n, iou from nearest where of_left = 1 and of_right = 1
        ), measured as materialized (
            select p.*, coalesce(m.n, 0) as matched, coalesce(l.n, 0) as left_count, coalesce(r.n, 0) as right_count,
                   case when p.has_boxes then coalesce(2.0 * coalesce(m.n, 0) / nullif(coalesce(l.n, 0) + coalesce(r.n, 0), 0), 1)
                        when lower(btrim(p.text)) = lower(btrim(p.other_text)) then 1 else 0 end::real as agreement
            from pair p
            left join (select job_id, other_job, count(*) as n from matched group by 1, 2) m using (job_id, other_job)
            left join (select job_id, other_job, count(*) as n from left_box group by 1, 2) l using (job_id, other_job)
            left join (select job_id, other_job, count(*) as n from right_box group by 1, 2) r using (job_id, other_job)
        )
        """
    }

    /// What is behind the last one of the page before.
    var position: Statement {
        guard let afterAgreement, let afterJob, let afterOther else { return "true" }
        let place: Statement = "(\("\(afterAgreement)")::real, \(afterJob)::bigint, \(afterOther)::bigint)"
        return "(agreement, job_id, other_job) > \(place)"
    }
}
