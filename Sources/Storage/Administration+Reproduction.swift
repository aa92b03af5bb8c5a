import Annotation
import Queue

/// Which results are run again: those of these jobs (nil: of any), of this batch, that were finished within this interval,
/// such as `1 day`, and that these files gave.
public struct ReproductionSelection: Sendable, Equatable {
    /// The jobs.
    public var jobs: [JobID]?
    /// The batch's name.
    public var batch: String?
    /// As PostgreSQL reads an interval.
    public var within: String?
    /// Digests of the files of models and adapters, 64 hexadecimal digits each.
    public var files: [String]?
    /// The most results, drawn by chance; nil: all.
    public var sample: Int?

    public init(
        jobs: [JobID]? = nil, batch: String? = nil, within: String? = nil, files: [String]? = nil, sample: Int? = nil
    ) {
        (self.jobs, self.batch, self.within, self.files, self.sample) = (jobs, batch, within, files, sample)
    }
}

/// A result that is there.
public struct ListedResult: Hashable, Sendable {
    /// The lease under which it was recorded: a job that runs again has another one.
    public var lease: Lease
    /// The digest of the model that gave it.
    public var modelDigest: String
    /// How many images it is about.
    public var imageCount: Int
}

/// A result with all that is needed to run it again.
public struct StoredResult: Sendable {
    /// The lease under which it was recorded.
    public var lease: Lease
    /// The task, perhaps one that this version does not know.
    public var task: String
    /// What gave it.
    public var engine: EngineIdentity
    /// The machine that gave it; nil: it is not known any more.
    public var host: String?
    /// Of each image's file, 64 hexadecimal digits, in the order of the image URLs.
    public var imageSHA256: [String]
    /// The images' URLs after redirects, in the same order.
    public var finalURLs: [String]
    /// What was asked, with the settings that were used; a failure: why this version cannot read it.
    public var spec: Result<JobSpec, UnreadableSpec>
    /// What was found.
    public var result: RecordedResult
}

/// A spec that only another version can read.
public struct UnreadableSpec: Error, Hashable, Sendable {
    /// Why, as the end of a sentence.
    public var reason: String

    public init(reason: String) { self.reason = reason }
}

/// What came of running a result again: a row of `gloss.reproduction`.
public struct ReproductionRecord: Sendable, Equatable {
    /// The lease under which the result was recorded.
    public var result: Lease
    /// The machine that ran it again.
    public var host: String
    /// Its instruction set, and the threads it computed with.
    public var instructionSet: String, threads: Int
    /// One word.
    public var outcome: String
    /// What differs; nil: nothing.
    public var detail: String?

    public init(
        result: Lease, host: String, instructionSet: String, threads: Int, outcome: String, detail: String?
    ) {
        (self.result, self.host, self.instructionSet) = (result, host, instructionSet)
        (self.threads, self.outcome, self.detail) = (threads, outcome, detail)
    }
}

extension Administration {
    /// The results of a selection, by the model that gave them and then by job.
    public func results(_ selection: ReproductionSelection) async throws -> [ListedResult] {
        let answer = try await session.query(
            """
            select * from (
                select a.job_id, a.fence, e.digest, cardinality(a.image_sha256)
                from gloss.annotation a join gloss.engine e on e.id = a.engine
                where ($1::bigint[] is null or a.job_id = any ($1))
                  and ($2::text is null or a.job_id in (
                      select j.id from gloss.job j join gloss.batch b on b.id = j.batch_id where b.name = $2))
                  and ($3::interval is null or a.finished_at >= now() - $3::interval)
                  and ($5::text[] is null or left(e.digest, 64) = any ($5)
                      and (e.adapter_digest = '' or e.adapter_digest = any ($5)))
                order by case when $4::bigint is null then 0 else random() end limit $4) x
            order by digest, job_id
            """,
            [
                selection.jobs.map { SQLValue($0.map(\.rawValue)) } ?? SQLValue(nil as String?),
                SQLValue(selection.batch),
                SQLValue(selection.within), SQLValue(selection.sample), SQLValue(selection.files),
            ], context: "reproduce")
        return try answer.rows.map { row in
            guard row.count == 4, let job = row[0].flatMap({ Int64($0) }), let fence = row[1].flatMap({ Int64($0) }),
                let digest = row[2], let count = row[3].flatMap({ Int($0) })
            else { throw StorageError.unexpected("reproduce") }
            return ListedResult(
                lease: Lease(job: JobID(rawValue: job), fence: fence), modelDigest: digest, imageCount: count)
        }
    }

    /// These results, in the same order, without those that are gone or have been replaced meanwhile.
    public func storedResults(_ leases: [Lease]) async throws -> [StoredResult] {
        let rows = try await session.rows(
            StoredRow.self, Self.stored,
            [SQLValue(leases.map(\.job.rawValue)), SQLValue(leases.map(\.fence))], context: "reproduce")
        let found = Dictionary(rows.map { ($0.lease, $0.stored) }) { first, _ in first }
        return leases.compactMap { found[$0] }
    }

    private static let stored = """
        select a.job_id, a.fence, a.task, j.image_urls, nullif(k.model, '') as asked_model,
            (j.spec || jsonb_build_object('settings', coalesce(a.settings, j.spec -> 'settings')))::text as spec,
            e.model, e.digest, nullif(e.adapter_digest, '') as adapter_digest, nullif(e.mask_digest, '') as mask_digest,
            e.precision, e.resize, nullif(e.window_size, 0) as window_size, e.version, w.host, a.final_urls, a.score,
            a.not_understood,
            array(select encode(u.h, 'hex') from unnest(a.image_sha256) with ordinality u (h, n) order by u.n)
                as image_sha256,
            (select jsonb_agg(to_jsonb(s) order by s.stage) from (
                select 1 as stage, a.prompts, a.views, a.questions, a.samples, a.finish, a.texts, a.responses, a.sums,
                    a.norms, a.tokens, a.token_scores, a.answers, a.probabilities
                union all
                select y.stage, y.prompts, y.views, y.questions, y.samples, y.finish, y.texts, y.responses, y.sums,
                    y.norms, y.tokens, y.token_scores, y.answers, y.probabilities
                from gloss.annotation_stage y where y.job_id = a.job_id and y.fence = a.fence) s) as stages,
            (select coalesce(jsonb_agg(to_jsonb(f) order by f.n), '[]') from gloss.finding f
             where f.job_id = a.job_id and f.fence = a.fence) as findings
        from unnest($1::bigint[], $2::bigint[]) x (job_id, fence)
        join gloss.annotation a on a.job_id = x.job_id and a.fence = x.fence
        join gloss.job j on j.id = a.job_id join gloss.kind k on k.id = j.kind join gloss.engine e on e.id = a.engine
        left join gloss.registered_worker w on w.id = a.worker
        """

    /// Keeps what came of running a result again, unless the result is gone.
    public func keep(_ record: ReproductionRecord) async throws {
        _ = try await session.transact(
            "select gloss.keep_reproduction($1, $2, $3, $4, $5, $6, $7, $8)",
            [
                SQLValue(record.result.job.rawValue), SQLValue(record.result.fence), SQLValue(record.host),
                SQLValue(glossVersion), SQLValue(record.instructionSet), SQLValue(record.threads),
                SQLValue(record.outcome), SQLValue(record.detail?.replacing("\0", with: "\u{FFFD}")),
            ], context: "reproduce")
    }
}

/// A row of what `stored` gives.
private struct StoredRow: Decodable {
    var job_id: Int64
    var fence: Int64
    var task: String
    var image_urls: [String]
    var asked_model: String?
    var spec: String
    var model, digest: String
    var adapter_digest, mask_digest: String?
    var precision, resize: String
    var window_size: Int?
    var version: String
    var host: String?
    var final_urls: [String]
    var score: Float?
    var not_understood: Int
    var image_sha256: [String]
    var stages: [RecordedStage]
    var findings: [RecordedFinding]

    var lease: Lease { Lease(job: JobID(rawValue: job_id), fence: fence) }

    var stored: StoredResult {
        StoredResult(
            lease: lease, task: task,
            engine: EngineIdentity(
                model: model, digest: digest, adapterDigest: adapter_digest, maskDecoderDigest: mask_digest,
                precision: precision, resize: resize, window: window_size, version: version),
            host: host, imageSHA256: image_sha256, finalURLs: final_urls,
            spec: Result { () throws(UnreadableSpec) in try readSpec() },
            result: RecordedResult(
                stages: stages.map(RecordedResult.Stage.init), findings: findings.map(\.finding), score: score,
                notUnderstoodCount: not_understood))
    }

    private func readSpec() throws(UnreadableSpec) -> JobSpec {
        guard let task = TaskName(rawValue: task) else {
            throw UnreadableSpec(reason: "this version knows no task \"\(task)\"")
        }
        do {
            return try JSON.decode(WireSpec.self, from: spec, context: "reproduce")
                .jobSpec(task: task, imageURLs: image_urls, model: asked_model)
        } catch {
            throw UnreadableSpec(reason: (error as? StorageError)?.message ?? "\(error)")
        }
    }
}
