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
    /// The image with the lowest number of those in which something was found.
    var firstImageWithFindings: Int?
    /// Jobs without a result, by their failure's code.
    var dead: [Count] = []
    /// Jobs that are neither done nor dead.
    var pending = 0
    /// The format that most uses of images have; only if it was asked for.
    var format = "jpeg"

    var results: Int { engines.reduce(0) { $0 + $1.results } }
    var findings: Int { labels.reduce(0) { $0 + $1.count } }

    /// - Parameter withFormat: whether `format` is counted.
    init(_ snapshot: Snapshot, _ selection: ExportSelection, withFormat: Bool = false) async throws {
        try await countResults(snapshot, selection)
        try await countJobs(snapshot, selection)
        if selection.view == .found { try await countFindings(snapshot, selection) }
        guard withFormat else { return }
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
        let rows = try await snapshot.query(
            """
            select e.model, e.digest, e.adapter_digest, e.mask_digest, e.precision, e.version, count(*),
                   count(*) filter (where strpos(a.finish, 'l') > 0), count(*) filter (where strpos(a.finish, 'r') > 0),
                   sum(a.not_understood), sum(cardinality(a.image_sha256))
            from \(ExportSelection.results) where \(selection.areChosen)
            group by e.id order by e.model, e.id
            """, selection.parameters
        ).rows
        for row in rows {
            let texts = row.map { $0 ?? "" }
            let numbers = texts.map { Int($0) ?? 0 }
            engines.append(
                Engine(
                    model: texts[0], model_digest: texts[1], adapter_digest: texts[2], mask_digest: texts[3],
                    precision: texts[4], gloss_version: texts[5], results: numbers[6]))
            truncated += numbers[7]
            repeated += numbers[8]
            notUnderstood += numbers[9]
            imageUses += numbers[10]
        }
        prompts = try await Self.counts(
            snapshot,
            """
            select a.prompts[1], count(*) from \(ExportSelection.results) where \(selection.areChosen)
            group by 1 order by 2 desc, 1 limit 20
            """, selection.parameters)
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

    private mutating func countFindings(_ snapshot: Snapshot, _ selection: ExportSelection) async throws {
        let rows = try await selection.explained {
            try await snapshot.query(
                """
                select label, count(*), count(mask), min(image_id) from \(selection.rows) f group by label
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
