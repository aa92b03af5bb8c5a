/// A call that one of two interleaved sessions makes. What they find is made by Tests/Fixtures/interleaving.sql.
enum InterleavedCall: String, CaseIterable, CustomStringConvertible {
    case enqueue, bulk, claim, claimOther, begin, checkpoint, record, rescue, release, deregister, pause, resume,
        pauseHost, park, unpark
    case cancel, cancelAll, retry, rerun, forget, prune, maintain

    var description: String { rawValue }

    /// Changes what cancelled jobs or recorded results are afterwards.
    var revives: Bool { [.retry, .rerun].contains(self) }
    var forgets: Bool { [.forget, .prune].contains(self) }
    var cancels: Bool { [.cancel, .cancelAll].contains(self) }

    /// One statement; of `enqueue`, `cancel` and `record` the answer counts.
    var sql: String {
        switch self {
        case .enqueue:
            """
            select count(*) filter (where e.job_id is null)
            from unnest(array['new-1', 'new-2', 'pruned', 'done', 'dead']) k,
                 gloss.enqueue('caption', format('https://one.example/%s.jpg', k), key => k, batch => 'b') e
            """
        case .bulk:
            """
            insert into gloss.inbox (task, image_url, key, batch)
            select 'caption', format('https://one.example/%s.jpg', k), k, 'b'
            from (select 'new-' || g from generate_series(1, 12) g
                  union all select unnest(array['pruned', 'pruned-dead', 'done', 'dead', 'ready-1'])) x (k)
            """
        case .claim: "select count(*) from gloss.claim(\(Self.worker("alive")), 100)"
        case .claimOther: "select count(*) from gloss.claim(\(Self.worker("other")), 100)"
        case .begin:
            """
            select gloss.begin_jobs(f.number, f.identity, array_agg((r ->> 'job')::bigint order by n),
                array_agg((r ->> 'fence')::bigint order by n))
            from interleaving.fact f, jsonb_array_elements(f.value) with ordinality r (r, n)
            where f.name = 'alive' group by f.name
            """
        case .checkpoint:
            """
            select gloss.checkpoint(f.number, f.identity, (f.value #>> '{0,job}')::bigint,
                (f.value #>> '{0,fence}')::bigint, 1, 1, '{}')
            from interleaving.fact f where f.name = 'alive'
            """
        case .record:
            """
            select receipts from gloss.record(\(Self.worker("alive")),
                (select value from interleaving.fact where name = 'alive'))
            """
        case .rescue: "select * from gloss.rescue()"
        case .release: "select gloss.release_unheld(\(Self.worker("alive")), '{}')"
        case .deregister: "select gloss.deregister_worker(\(Self.worker("alive")))"
        case .pause: "select gloss.pause(batch => 'b')"
        case .resume: "select gloss.resume(batch => 'b')"
        case .pauseHost: "select gloss.pause(host => 'https://one.example')"
        case .park: "select gloss.park_origin('https://one.example', '1 hour', 'http_503')"
        case .unpark: "select gloss.unpark_origin('one.example')"
        case .cancel: "select gloss.cancel(batch => 'b')"
        case .cancelAll: "select gloss.cancel(everything => true)"
        case .retry: "select gloss.retry(batch => 'b')"
        case .rerun: "select gloss.rerun(batch => 'b')"
        case .forget: "select gloss.forget(batch => 'b')"
        case .prune: "select * from gloss.prune('0', '0', '0', '0')"
        case .maintain: "select * from gloss.maintain(true)"
        }
    }

    private static func worker(_ name: String) -> String {
        let fact = "from interleaving.fact where name = '\(name)'"
        return "(select number \(fact)), (select identity \(fact))"
    }
}

/// What a job of each state stands in when two sessions begin.
enum InterleavingWorld: String, CaseIterable {
    case plain, paused
    case hostPaused = "host paused"
    case parked
}

/// How two calls meet. The first session's transaction is open until the second call has ended, or waits.
enum Meeting: String, CaseIterable {
    /// The first one's transaction is committed then.
    case commit
    /// It is rolled back.
    case rollback
    /// The second call is in a transaction too, which commits last.
    case bothOpen
    /// The second session's transaction began before the first one's.
    case secondBeganFirst
}
