import Annotation

/// Which pairs of answers to compare: all of it stands in the address.
struct ComparisonFilter {
    /// What stands on the right.
    enum Kind: String, CaseIterable {
        case models, superseded, truth

        var words: String {
            switch self {
            case .models: "another model's"
            case .superseded: "the one before"
            case .truth: "the truth"
            }
        }
    }

    /// Pairs that are compared at once: few enough for a moment.
    static let mostPairs = 5_000

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
        // A key names one job of a task and a model: without two models of a task there is nothing to look for.
        if kind == .models {
            all.append("exists (select from gloss.kind k join gloss.kind l on l.task = k.task and l.id > k.id)")
        }
        // Without a model on both sides each pair would come twice.
        if kind == .models, left == nil || right == nil { all.append("o.id > j.id") }
        return .all(all)
    }

    /// The results, and what each is compared with.
    private var source: Statement {
        switch kind {
        case .models:
            """
            gloss.annotation a join gloss.job j on j.id = a.job_id
                join gloss.job o on o.key = j.key and o.id <> j.id
                join gloss.annotation b on b.job_id = o.id and b.task = a.task and b.engine <> a.engine
            """
        case .superseded:
            """
            gloss.annotation a join gloss.job j on j.id = a.job_id
                join gloss.superseded b on b.job_id = a.job_id
                    and not exists (select from gloss.superseded s where s.job_id = b.job_id and s.fence > b.fence)
            """
        case .truth:
            """
            gloss.truth t
                cross join lateral (select k.id from gloss.job k where k.key = t.key
                                    union all select t.job_id where t.key is null) same
                join gloss.job j on j.id = same.id join gloss.annotation a on a.job_id = j.id and a.task = t.task
            """
        }
    }

    /// What a pair has of the other one.
    private var columns: Statement {
        kind == .truth
            ? """
            t.job_id as other_job, t.fence as other_fence, coalesce(t.answer ->> 'text', t.answer ->> 'answer') as other_text,
                       t.answer, 'reviewed by ' || t.reviewer as other_model
            """
            : """
            b.job_id as other_job, b.fence as other_fence, coalesce(b.answers[1], b.texts[1]) as other_text,
                       null::jsonb as answer, (select model from gloss.engine where id = b.engine) as other_model
            """
    }

    /// The boxes of the right.
    private var otherBoxes: Statement {
        kind == .truth
            ? """
            select b.n::int as n, b.box ->> 'label' as label, null::real as score,
                           (b.box #>> '{box,0}')::real as y1, (b.box #>> '{box,1}')::real as x1,
                           (b.box #>> '{box,2}')::real as y2, (b.box #>> '{box,3}')::real as x2
                    from jsonb_array_elements(p.answer -> 'boxes') with ordinality b (box, n) where p.has_boxes
            """
            : """
            select f.n::int as n, f.label, f.score, f.y1, f.x1, f.y2, f.x2 from gloss.finding f
                    where p.has_boxes and f.job_id = p.other_job and f.fence = p.other_fence and f.y1 is not null
            """
    }

    /// The boxes of both sides of a pair `p`, and which of them are the same: those that have the same label, and of which each is the
    /// nearest of the other by intersection over union. It is computed pair by pair: so no guess of how many there are misleads the
    /// planner.
    private var boxes: Statement {
        """
        with l as (
                    select f.n::int as n, f.label, f.score, f.y1, f.x1, f.y2, f.x2 from gloss.finding f
                    where p.has_boxes and f.job_id = p.job_id and f.fence = p.fence and f.y1 is not null
                ), r as (
                    \(otherBoxes)
                ), nearest as (
                    select l.n as left_n, r.n as right_n, u.iou,
                           row_number() over (partition by l.n order by u.iou desc, r.n) as of_left,
                           row_number() over (partition by r.n order by u.iou desc, l.n) as of_right
                    from l join r on r.label = l.label
                    cross join lateral (
                        select greatest(least(l.y2, r.y2) - greatest(l.y1, r.y1), 0)
                               * greatest(least(l.x2, r.x2) - greatest(l.x1, r.x1), 0) as area) i
                    cross join lateral (
                        select i.area / nullif((l.y2 - l.y1) * (l.x2 - l.x1) + (r.y2 - r.y1) * (r.x2 - r.x1) - i.area, 0) as iou) u
                    where u.iou >= \(overlap)::real
                ), matched as (
                    select left_n, right_n, iou from nearest where of_left = 1 and of_right = 1
                )
        """
    }

    /// Pairs with what both sides share: `with …`, then `measured`. The agreement of boxes is the share of boxes that have a partner;
    /// texts agree or do not.
    var measured: Statement {
        """
        with pair as materialized (
            select a.job_id, a.fence, coalesce(a.answers[1], a.texts[1]) as text,
                   (select model from gloss.engine where id = a.engine) as model, \(columns),
                   a.task = any (string_to_array(\(Self.boxTasks), ',')) as has_boxes
            from \(source)
            where \(conditions)
            order by a.job_id limit \(Self.mostPairs)::int
        ), measured as materialized (
            select p.*, x.matched, x.left_count, x.right_count, x.overlap,
                   case when p.has_boxes then coalesce(2.0 * x.matched / nullif(x.left_count + x.right_count, 0), 1)
                        when lower(btrim(p.text)) = lower(btrim(p.other_text)) then 1 else 0 end::real as agreement
            from pair p cross join lateral (
                \(boxes)
                select (select count(*) from l) as left_count, (select count(*) from r) as right_count,
                       count(*) as matched, sum(iou) as overlap from matched) x
        )
        """
    }

    /// The pairs of a page with their boxes.
    func page(_ count: Int) -> Statement {
        """
        \(measured)
        select p.job_id, p.other_job, p.text, p.other_text, p.model, p.other_model, p.has_boxes, p.agreement,
               p.agreement::text as exact_agreement, x.left_boxes, x.right_boxes
        from (select * from measured where \(position)
              order by agreement, job_id, other_job limit \(count)::int) p cross join lateral (
                \(boxes)
                select (select jsonb_agg(to_jsonb(l) || jsonb_build_object('iou', m.iou) order by l.n)
                        from l left join matched m on m.left_n = l.n) as left_boxes,
                       (select jsonb_agg(to_jsonb(r) || jsonb_build_object('iou', m.iou) order by r.n)
                        from r left join matched m on m.right_n = r.n) as right_boxes) x
        order by p.agreement, p.job_id, p.other_job
        """
    }

    /// Of all pairs.
    var totals: Statement {
        """
        \(measured)
        select count(*) as pairs, count(*) filter (where agreement = 1) as agreeing,
               count(*) filter (where has_boxes) as box_pairs, coalesce(sum(matched), 0)::bigint as matched,
               coalesce(sum(left_count - matched), 0)::bigint as left_only,
               coalesce(sum(right_count - matched), 0)::bigint as right_only,
               sum(overlap) / nullif(sum(matched), 0) as mean_iou, max(job_id) as last_job
        from measured
        """
    }

    /// What is behind the last one of the page before.
    private var position: Statement {
        guard let afterAgreement, let afterJob, let afterOther else { return "true" }
        let place: Statement = "(\("\(afterAgreement)")::real, \(afterJob)::bigint, \(afterOther)::bigint)"
        return "(agreement, job_id, other_job) > \(place)"
    }
}
