import Foundation
import Storage

/// Which images results name.
enum BenchQueueImages: String, CaseIterable, Sendable {
    /// All results the same.
    case one
    /// Each result its own, as in a queue whose jobs have an image each.
    case each

    /// A SHA-256 as hexadecimal digits.
    func digest() -> String {
        guard self == .each else { return String(repeating: "0f", count: 32) }
        return (0..<4).map { _ in
            let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        .joined()
    }
}

/// A queue that is measured: gloss's, and the one that most have.
enum BenchQueueDesign: String, CaseIterable, Encodable, Sendable {
    case gloss
    case plain

    /// One table with a status column, a partial index over what waits, and FOR UPDATE SKIP LOCKED, as River, Oban and
    /// others have it; with the vacuum settings of gloss's own tables.
    static let plainSchema = """
        create schema bench_plain;
        create table bench_plain.job (
            id           bigint generated always as identity primary key,
            status       text not null default 'waiting',
            priority     smallint not null default 0,
            run_at       timestamptz not null default now(),
            created_at   timestamptz not null default now(),
            attempts     smallint not null default 0,
            max_attempts smallint not null default 5,
            task         text not null,
            key          text,
            batch        text,
            image_urls   text[] not null,
            spec         jsonb not null,
            worker       bigint,
            locked_at    timestamptz,
            result       jsonb,
            finished_at  timestamptz
        ) with (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);
        create unique index job_key on bench_plain.job (task, key) where key is not null;
        create index job_batch on bench_plain.job (batch, id) where batch is not null;
        create index job_waiting on bench_plain.job (priority, run_at, id) where status = 'waiting';
        """

    private static let spec = """
        {"style": "caption", "language": "en", "texts": [], "score": "sum", "background": null, "settings": \
        {"max_tokens": 64, "samples": 1, "beams": 1, "temperature": 0, "top_k": 0, "top_p": 1, "seed": 0}}
        """

    /// What a daemon says of its engine, once a call.
    private static let engine = """
        "model":"tiny","digest":"\(String(repeating: "ab", count: 32))","precision":"f32","resize":"bicubic",\
        "version":"0.1.0",
        """

    /// A caption as a daemon records it.
    private static func result(_ digest: String, _ engine: String) -> String {
        """
        {\(engine)"prompts":["caption en"],\
        "settings":{"beams":1,"max_tokens":64,"samples":1,"seed":0,"temperature":0,"top_k":0,"top_p":1},\
        "image_sha256":["\(digest)"],"final_urls":["https://images.example.org/1.jpg"],"images":[{"sha256":"\(digest)",\
        "width":640,"height":480,"orientation":1,"format":"jpeg","byte_count":81234}],\
        "timings":{"extend":0.5,"fetch":0.25,"prefill":1.5,"vision":0.75},"texts":["a cat sits on a mat"],"sums":[-1.5],\
        "norms":[-0.75],"tokens":[7],"score":-0.75}
        """
    }

    /// Enqueues `$1` jobs of a batch, with keys that begin with `$2`, in one statement.
    var insert: String {
        let columns = "'caption', array['https://images.example.org/photos/' || i || '.jpg'], $2 || i, 'bench'"
        return switch self {
        case .gloss:
            "insert into gloss.inbox (task, image_urls, key, batch) select \(columns) from generate_series(1, $1::int) i"
        case .plain:
            "insert into bench_plain.job (task, image_urls, key, batch, spec) select \(columns), '\(Self.spec)'::jsonb "
                + "from generate_series(1, $1::int) i on conflict do nothing"
        }
    }

    /// The statement of a COPY, and its lines for `count` jobs.
    func copy(_ count: Int, keys: String) -> (sql: String, chunks: [String]) {
        let isGloss = self == .gloss
        let tail = isGloss ? "" : "\t" + Self.spec
        let lines = (1...count).map {
            "caption\t{https://images.example.org/photos/\($0).jpg}\t\(keys)\($0)\tbench\(tail)\n"
        }
        let table =
            isGloss
            ? "gloss.inbox (task, image_urls, key, batch)"
            : "bench_plain.job (task, image_urls, key, batch, spec)"
        return ("copy \(table) from stdin", lines)
    }

    /// Enqueues one job with the key `$1`.
    var call: String {
        switch self {
        case .gloss:
            "select gloss.enqueue_caption('https://images.example.org/1.jpg', key => $1, batch => 'bench')"
        case .plain:
            "insert into bench_plain.job (task, image_urls, key, batch, spec) values ('caption', "
                + "'{https://images.example.org/1.jpg}', $1, 'bench', '\(Self.spec)') on conflict do nothing returning id"
        }
    }

    /// A worker's number and identity.
    func register(_ session: Session) async throws -> [SQLValue] {
        guard self == .gloss else { return [] }
        let identity = UUID().uuidString
        let sql = """
            select gloss.register_worker('bench', 1, '0.1.0', array['tiny'], array['caption'], '1 hour', $1::uuid)
            """
        let number = try await session.query(sql, [SQLValue(identity)], context: "bench").scalar
        return [SQLValue(number), SQLValue(identity)]
    }

    /// Gives up to so many jobs to a worker, with all that it needs: a row a job.
    func claim(_ count: Int, _ worker: [SQLValue], _ session: Session) async throws -> [[String?]] {
        switch self {
        case .gloss:
            let sql = "select to_json(c) from gloss.claim($1, $2::uuid, $3) c"
            return try await session.query(sql, worker + [SQLValue(count)], context: "bench").rows
        case .plain:
            let sql = """
                with next as materialized (
                    select id from bench_plain.job where status = 'waiting' and run_at <= now()
                    order by priority, run_at, id limit $1::int for update skip locked)
                update bench_plain.job j set status = 'running', worker = 1, locked_at = now(), attempts = attempts + 1
                from next where j.id = next.id
                returning j.id, j.attempts, to_jsonb(j)
                """
            return try await session.query(sql, [SQLValue(count)], context: "bench").rows
        }
    }

    /// Says that the engine begins the claimed jobs.
    func begin(_ claimed: [[String?]], _ worker: [SQLValue], _ session: Session) async throws {
        guard self == .gloss else { return }
        let leases = claimed.map(Self.lease)
        let sql = "select gloss.begin_jobs($1, $2::uuid, $3::bigint[], $4::bigint[])"
        let parameters = worker + [SQLValue(leases.map(\.job)), SQLValue(leases.map(\.fence))]
        _ = try await session.query(sql, parameters, context: "bench")
    }

    /// Records a result for each claimed job.
    func record(
        _ claimed: [[String?]], _ images: BenchQueueImages, _ worker: [SQLValue], _ session: Session
    ) async throws {
        let results = claimed.indices.map { index in
            Self.result(images.digest(), index == 0 || self == .plain ? Self.engine : "")
        }
        switch self {
        case .gloss:
            let reports = zip(claimed.map(Self.lease), results).map { lease, result in
                #"{"job":\#(lease.job),"fence":\#(lease.fence),"outcome":"completed","result":\#(result)}"#
            }
            let sql = "select ended from gloss.record($1, $2::uuid, $3::jsonb)"
            let answer = try await session.query(
                sql, worker + [SQLValue("[" + reports.joined(separator: ",") + "]")], context: "bench")
            let ended = SQLValue(answer.scalar ?? "{}")
            _ = try await session.query("select gloss.announce($1::bigint[])", [ended], context: "bench")
        case .plain:
            let sql = """
                update bench_plain.job set status = 'done', result = done.result, finished_at = now()
                from unnest($1::bigint[], $2::jsonb[]) done (id, result)
                where job.id = done.id and status = 'running'
                """
            let ids = claimed.compactMap { $0[0].flatMap { Int64($0) } }
            _ = try await session.query(sql, [SQLValue(ids), SQLValue(results)], context: "bench")
        }
    }

    /// A claimed job's JSON begins with its number and its fence.
    private static func lease(_ row: [String?]) -> (job: Int64, fence: Int64) {
        let numbers = (row[0] ?? "").split(maxSplits: 2) { !$0.isNumber }.compactMap { Int64($0) }
        return numbers.count < 2 ? (0, 0) : (numbers[0], numbers[1])
    }

    /// Takes everything away that was enqueued.
    var empty: String {
        self == .gloss
            ? "truncate gloss.job, gloss.ready, gloss.tally, gloss.total, gloss.batch_turn" : "truncate bench_plain.job"
    }

    /// What every daemon does now and then, beside its work.
    var pulse: String? { self == .gloss ? "select gloss.rescue(), gloss.maintain()" : nil }

    /// The tables in which jobs wait and move; results and what was asked are apart from them, where they can be.
    var movingTables: String {
        self == .gloss
            ? "'gloss.ready', 'gloss.leased', 'gloss.tally', 'gloss.total', 'gloss.lane'" : "'bench_plain.job'"
    }
}
