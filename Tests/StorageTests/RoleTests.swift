import Queue
import Storage
import TestSupport
import Testing

@Suite struct RoleTests {
    typealias User = TestDatabase.User

    /// What only some may do, and who.
    static let rights: [(sql: String, users: Set<User>)] = [
        ("select gloss.enqueue_caption('https://e.org/a')", [.producer, .admin]),
        ("select gloss.enqueue('caption', 'https://e.org/a')", [.producer, .admin]),
        ("select gloss.enqueue_json_rows('[]')", [.producer, .admin]),
        ("insert into gloss.inbox (task, image_urls) values ('caption', '{https://e.org/a}')", [.producer, .admin]),
        (
            "insert into gloss.submission (task, image_url) values ('caption', 'https://e.org/a') returning job_id",
            [.producer, .admin]
        ),
        ("select * from gloss.submission", [.producer, .reader, .admin]),
        ("select * from gloss.inbox", [.reader, .admin]),
        (
            "select gloss.register_worker('h', 1, 'v', '{}', '{caption}', '15 seconds', '00000000-0000-0000-0000-000000000001')",
            [.worker]
        ),
        ("select gloss.claim(1, '00000000-0000-0000-0000-000000000001', 1)", [.worker]),
        ("select gloss.begin_jobs(1, '00000000-0000-0000-0000-000000000001', '{}', '{}')", [.worker]),
        ("select gloss.heartbeat(1, '00000000-0000-0000-0000-000000000001', '{}', '{}')", [.worker]),
        ("select gloss.checkpoint(1, '00000000-0000-0000-0000-000000000001', 1, 1, 1, 0, '{}')", [.worker]),
        ("select gloss.record(1, '00000000-0000-0000-0000-000000000001', '[]')", [.worker]),
        ("select gloss.announce('{1}')", [.worker]),
        ("select gloss.rescue()", [.worker]),
        ("select gloss.queue_metrics()", [.worker]),
        ("select gloss.maintain()", [.worker, .admin]),
        ("select gloss.deregister_worker(1, '00000000-0000-0000-0000-000000000001')", [.worker]),
        ("select gloss.release_unheld(1, '00000000-0000-0000-0000-000000000001', '{}')", [.worker]),
        ("select gloss.park_origin('h', '1 second', 'r')", [.worker, .admin]),
        ("select gloss.unpark_origin('h')", [.admin]),
        ("select gloss.cancel(job => 1)", [.admin]),
        ("select gloss.retry(job => 1)", [.admin]),
        ("select gloss.would_retry(code => 'timeout')", [.reader, .admin]),
        ("select * from gloss.failures", [.reader, .admin]),
        ("select * from gloss.failures_of('b')", [.reader, .admin]),
        ("select gloss.rerun(job => 1)", [.admin]),
        ("select gloss.pause(task => 'vqa')", [.admin]),
        ("select gloss.resume(task => 'vqa')", [.admin]),
        ("select gloss.forget(job => 1)", [.admin]),
        ("select gloss.prune()", [.admin]),
        ("select gloss.change_setting('give_up_after', '2 days')", [.admin]),
        ("select gloss.keep_reproduction(1, 1, 'h', 'v', 'amx', 2, 'same', null)", [.admin]),
        ("select * from gloss.reproduction", [.reader, .admin]),
        ("select gloss.explain(1)", [.reader, .admin]),
        ("select * from gloss.jobs(null, null, null, null)", [.reader, .admin]),
        ("select gloss.origin_of('https://e.org')", [.reader, .admin]),
        ("select * from gloss.result", [.reader, .admin]),
        ("select * from gloss.multiview_response", [.reader, .admin]),
        ("select * from gloss.multiview_stage", [.reader, .admin]),
        ("select * from gloss.detection", [.reader, .admin]),
        ("select * from gloss.found", [.reader, .admin]),
        ("select * from gloss.depth", [.reader, .admin]),
        ("select * from gloss.worker", [.reader, .admin]),
        ("select * from gloss.error_frequency", [.reader, .admin]),
        ("select * from gloss.failure_code", [.reader, .admin]),
        ("select * from gloss.job", [.reader, .admin]),
        ("select gloss.schema_version()", [.producer, .worker, .reader, .admin]),
        ("insert into gloss.ready (lane, attempts, rescues, turn, job_id) values (1, 0, 0, 0, 1)", []),
        ("delete from gloss.job", []),
        ("update gloss.annotation set texts = '{}'", []),
        ("update gloss.setting set value = '0'", []),
        ("select gloss.define_task('{}')", []),
        ("select gloss.lift('{1}', '{ready}')", []),
        ("select gloss.place('{}')", []),
        ("select gloss.erase('{1}')", []),
        ("select gloss.fold_counts(0)", []),
        ("create table gloss.x ()", []),
    ]

    @Test(arguments: [User.producer, .worker, .reader, .admin])
    func eachRoleMayDoItsPartOnly(user: User) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session(as: user)
        for (sql, users) in Self.rights {
            do {
                _ = try await session.query(sql)
                #expect(users.contains(user), "\(user) should not be allowed: \(sql)")
            } catch let error as StorageError {
                #expect(error.sqlState == "42501", "\(sql): \(error)")
                #expect(!users.contains(user), "\(user) should be allowed: \(sql)")
                #expect(error.disposition == .fatal)
            }
        }
        await session.close()
    }

    @Test func publicHasNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let open = try await database.query(
            """
            select p.proname from pg_proc p
            where p.pronamespace = 'gloss'::regnamespace
              and (p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0))
            """)
        #expect(open.rows == [])
        let unpinned = try await database.query(
            """
            select p.proname from pg_proc p
            where p.pronamespace = 'gloss'::regnamespace and p.prosecdef
              and not 'search_path=pg_catalog, gloss, pg_temp' = any (coalesce(p.proconfig, '{}'))
            """)
        #expect(unpinned.rows == [])
        let foreign = try await database.query(
            "select relname from pg_class where relnamespace = 'gloss'::regnamespace and relowner <> 'gloss_owner'::regrole"
        )
        #expect(foreign.rows == [])
    }
}
