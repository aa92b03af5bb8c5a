/// What reviewers say is right, as labels.
extension Administration {
    /// What the labels of an evaluation look like.
    public enum TruthForm: Sendable {
        /// Rows of key and answers.
        case texts
        /// Rows of key, box and mask: the first thing of each image.
        case expressions
        /// COCO's ground truth: one object with images, categories and annotations.
        case detections
    }

    /// Hands over the truth of a batch and a task (nil: of all), in the order of its keys; of what has no key nothing.
    public func truth(
        _ form: TruthForm, batch: String?, task: String?, onRow: @Sendable (String) throws -> Void
    ) async throws {
        let sql =
            switch form {
            case .texts: Self.texts
            case .expressions: Self.expressions
            case .detections: Self.detections
            }
        try await session.stream(sql, [SQLValue(batch), SQLValue(task)], context: "the truth") { row in
            if let object = row[0] { try onRow(object) }
        }
    }

    /// Hands over results that were rejected, and of which the truth is not known, in the order of their keys: rows of key and
    /// answers, which are what was said.
    public func rejections(
        batch: String?, task: String?, engines: [Int64]?, onRow: @Sendable (String) throws -> Void
    ) async throws {
        let engines: SQLValue = if let engines { SQLValue(engines) } else { nil }
        try await session.stream(
            """
            select json_build_object('key', j.key, 'answers', json_build_array(coalesce(a.answers[1], a.texts[1])))::text
            from gloss.rejection r join gloss.annotation a on a.job_id = r.job_id join gloss.job j on j.id = a.job_id
            where j.key is not null and gloss.answer_form(a.task) <> 'boxes'
                and ($1::text is null or j.batch_id = (select b.id from gloss.batch b where b.name = $1))
                and ($2::text is null or a.task = $2) and ($3::int[] is null or a.engine = any ($3))
            order by j.key collate "C", j.id
            """, [SQLValue(batch), SQLValue(task), engines], context: "the truth"
        ) { row in
            if let object = row[0] { try onRow(object) }
        }
    }

    /// How many results were rejected, without or with a key, and of which the truth is not known.
    public func rejectionCount(batch: String?, task: String?) async throws -> Int {
        let answer = try await session.query(
            """
            select count(*) from gloss.rejection r join gloss.job j on j.id = r.job_id
            where ($1::text is null or j.batch_id = (select b.id from gloss.batch b where b.name = $1))
                and ($2::text is null or r.task = $2)
            """, [SQLValue(batch), SQLValue(task)], context: "the truth")
        return answer.scalar.flatMap { Int($0) } ?? 0
    }

    private static let chosen = """
        t.key is not null and ($1::text is null or t.batch = $1) and ($2::text is null or t.task = $2)
        """

    private static let texts = """
        select json_build_object('key', t.key, 'answers', json_build_array(coalesce(t.answer ->> 'text', t.answer ->> 'answer')))::text
        from gloss.truth t where not t.answer ? 'boxes' and \(chosen) order by t.key collate "C", t.task
        """

    private static let expressions = """
        select json_strip_nulls(json_build_object('key', t.key, 'box', t.answer #> '{boxes,0,box}',
            'segmentation', t.answer #> '{boxes,0,mask}', 'image', encode(t.image_sha256[1], 'hex'),
            'width', i.width, 'height', i.height))::text
        from gloss.truth t left join gloss.image i on i.sha256 = t.image_sha256[1]
        where t.answer #> '{boxes,0}' is not null and \(chosen) order by t.key collate "C", t.task
        """

    /// An image that is gone has no size any more; its boxes have one in fractions.
    private static let detections = """
        with t as materialized (
            select t.*, row_number() over (order by t.key collate "C", t.task) as id, coalesce(i.width, 1024) as width,
                   coalesce(i.height, 1024) as height
            from gloss.truth t left join gloss.image i on i.sha256 = t.image_sha256[1]
            where t.answer ? 'boxes' and \(chosen)
        ), box as materialized (
            select t.id as image, t.width, t.height, b.box ->> 'label' as label, b.box -> 'mask' as mask,
                   (b.box #> '{box,0}')::float8 as y1, (b.box #> '{box,1}')::float8 as x1,
                   (b.box #> '{box,2}')::float8 as y2, (b.box #> '{box,3}')::float8 as x2,
                   row_number() over (order by t.id, b.n) as id
            from t cross join lateral jsonb_array_elements(t.answer -> 'boxes') with ordinality b (box, n)
            where coalesce((b.box -> 'image')::int, 1) = 1
        ), category as materialized (
            select l.label, row_number() over (order by l.label collate "C") as id from (select distinct label from box) l
        )
        select json_build_object(
            'images', (select json_agg(json_build_object('id', t.id, 'file_name', t.key, 'width', t.width,
                'height', t.height) order by t.id) from t),
            'categories', (select json_agg(json_build_object('id', c.id, 'name', c.label) order by c.id) from category c),
            'annotations', (select json_agg(json_build_object('id', b.id, 'image_id', b.image, 'category_id', c.id,
                'bbox', json_build_array(b.x1 * b.width, b.y1 * b.height, (b.x2 - b.x1) * b.width, (b.y2 - b.y1) * b.height),
                'area', (b.x2 - b.x1) * b.width * (b.y2 - b.y1) * b.height, 'iscrowd', 0, 'segmentation', b.mask)
                order by b.id) from box b join category c using (label)))::text
        where exists (select from t)
        """
}
