import Foundation
import Queue
import Storage

/// What there is to export, counted before it is read.
struct ExportCounts {
    /// Who gave the results.
    struct Engine: Encodable {
        var model: String
        var model_digest: String
        var adapter_digest: String
        var mask_digest: String
        var precision: String
        var gloss_version: String
        var results: Int
    }

    /// How often something was said.
    struct Count: Encodable {
        var what: String
        var count: Int
    }

    var engines: [Engine] = []
    /// Results with a response that was cut off at its most tokens.
    var truncated = 0
    /// Results with a response that was cut off at a repetition.
    var repeated = 0
    /// Parts of responses that could not be read.
    var notUnderstood = 0
    /// Uses of images by results; one of two jobs about one image counts too.
    var imageUses = 0
    /// The most frequent prompts.
    var prompts: [Count] = []
    /// Labels of the things that were chosen, by their bytes.
    var labels: [Count] = []
    var masks = 0
    /// The image with the lowest number of those in which something was found; only for readers who take types from the first rows.
    var firstImageWithFindings: Int?
    /// Jobs without a result, by their failure's code.
    var dead: [Count] = []
    /// Jobs that are neither done nor dead.
    var pending = 0
    /// The format that most uses of images have; only for such readers.
    var format = "jpeg"

    var results: Int { engines.reduce(0) { $0 + $1.results } }
    var findings: Int { labels.reduce(0) { $0 + $1.count } }

    /// - Parameter forReaders: whether is counted what readers take from the first rows.
    init(_ snapshot: Snapshot, _ selection: ExportSelection, forReaders: Bool = false) async throws {
        try await countResults(snapshot, selection)
        try await countJobs(snapshot, selection)
        if selection.view == .found { try await countFindings(snapshot, selection, withFirst: forReaders) }
        guard forReaders else { return }
        format =
            try await snapshot.query(
                """
                select i.format from \(ExportSelection.results)
                cross join lateral unnest(a.image_sha256) u (sha256) join gloss.image i on i.sha256 = u.sha256
                where \(selection.areChosen) group by 1 order by count(*) desc, 1 limit 1
                """, selection.parameters
            ).scalar ?? format
    }

    private mutating func countResults(_ snapshot: Snapshot, _ selection: ExportSelection) async throws {
        // One reading for both: an engine a row, and the prompts that most results have.
        let rows = try await snapshot.query(
            """
            with g as (
                select e.id, a.prompts[1] as prompt, grouping(e.id) as is_prompt, count(*) as results,
                       count(*) filter (where strpos(a.finish, 'l') > 0) as truncated,
                       count(*) filter (where strpos(a.finish, 'r') > 0) as repeated,
                       sum(a.not_understood) as not_understood, sum(cardinality(a.image_sha256)) as images
                from \(ExportSelection.results) where \(selection.areChosen)
                group by grouping sets ((e.id), (a.prompts[1])))
            (select e.model, e.digest, e.adapter_digest, e.mask_digest, e.precision, e.version, g.results, g.truncated,
                    g.repeated, g.not_understood, g.images
             from g join gloss.engine e on e.id = g.id where g.is_prompt = 0)
            union all
            (select null, g.prompt, null, null, null, null, g.results, null, null, null, null
             from g where g.is_prompt = 1 order by g.results desc, g.prompt limit 20)
            """, selection.parameters
        ).rows
        for row in rows {
            let texts = row.map { $0 ?? "" }
            let numbers = texts.map { Int($0) ?? 0 }
            guard row[0] != nil else {
                prompts.append(Count(what: texts[1], count: numbers[6]))
                continue
            }
            engines.append(
                Engine(
                    model: texts[0], model_digest: texts[1], adapter_digest: texts[2], mask_digest: texts[3],
                    precision: texts[4], gloss_version: texts[5], results: numbers[6]))
            truncated += numbers[7]
            repeated += numbers[8]
            notUnderstood += numbers[9]
            imageUses += numbers[10]
        }
        // A union has no order, whatever its parts have.
        engines.sort {
            ($0.model, $0.model_digest, $0.gloss_version, $0.adapter_digest, $0.mask_digest, $0.precision)
                < ($1.model, $1.model_digest, $1.gloss_version, $1.adapter_digest, $1.mask_digest, $1.precision)
        }
        prompts.sort { ($1.count, $0.what) < ($0.count, $1.what) }
    }

    /// Jobs ask for a model, and need not get a result since.
    private mutating func countJobs(_ snapshot: Snapshot, _ selection: ExportSelection) async throws {
        let jobs = """
            from gloss.job j join gloss.kind k on k.id = j.kind
            where k.task = any ($1::text[])
              and ($2::text is null or j.batch_id = (select x.id from gloss.batch x where x.name = $2))
              and ($3::text is null or k.model in ('', $3))
            """
        let parameters = Array(selection.parameters.prefix(3))
        dead = try await Self.counts(
            snapshot,
            """
            select d.code, count(*) from gloss.dead_job d
            where d.job_id in (select j.id \(jobs)) group by 1 order by 2 desc, 1
            """, parameters)
        pending =
            try await snapshot.query(
                """
                select count(*) from (
                    select job_id from gloss.ready union all select job_id from gloss.scheduled
                    union all select job_id from gloss.paused_job union all select job_id from gloss.leased) w
                where w.job_id in (select j.id \(jobs))
                """, parameters
            ).scalar.flatMap { Int($0) } ?? 0
    }

    private mutating func countFindings(
        _ snapshot: Snapshot, _ selection: ExportSelection, withFirst: Bool
    ) async throws {
        let image = "join gloss.image i on i.sha256 = a.image_sha256[f.image]"
        let rows = try await selection.explained {
            try await snapshot.query(
                """
                select f.label, count(*), count(f.mask), \(withFirst ? "min(i.id)" : "null")
                from \(ExportSelection.results)
                join \(selection.findings) f on f.job_id = a.job_id and f.fence = a.fence \(withFirst ? image : "")
                where \(selection.areChosen) group by f.label
                """, selection.parameters
            ).rows
        }
        for row in rows {
            labels.append(Count(what: row[0] ?? "", count: row[1].flatMap { Int($0) } ?? 0))
            masks += row[2].flatMap { Int($0) } ?? 0
            let first = row[3].flatMap { Int($0) }
            firstImageWithFindings = [firstImageWithFindings, first].compactMap(\.self).min()
        }
        labels.sort { $0.what.utf8.lexicographicallyPrecedes($1.what.utf8) }
    }

    private static func counts(
        _ snapshot: Snapshot, _ sql: String, _ parameters: [SQLValue]
    ) async throws -> [Count] {
        try await snapshot.query(sql, parameters).rows.map {
            Count(what: $0[0] ?? "", count: $0[1].flatMap { Int($0) } ?? 0)
        }
    }
}
