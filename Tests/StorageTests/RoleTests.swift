import Queue
import Storage
import TestSupport
import Testing

@Suite struct RoleTests {
    typealias User = TestDatabase.User

    /// What only some may do, and who.
    static let rights: [(sql: String, users: Set<User>)] = [
        ("select gloss.enqueue_caption('https://e.org/a')", [.producer, .admin]),
        ("insert into gloss.inbox (task, image_urls) values ('caption', '{https://e.org/a}')", [.producer, .admin]),
        ("select * from gloss.inbox", [.reader, .admin]),
        ("select gloss.register_worker('h', 1, 'v', '{}')", [.worker]),
        ("select gloss.claim(1, 1)", [.worker]),
        ("select gloss.heartbeat(1, '{}', '{}')", [.worker]),
        ("select gloss.checkpoint(1, 1, 0, '{}')", [.worker]),
        ("select gloss.record('[]')", [.worker]),
        ("select gloss.announce('{1}')", [.worker]),
        ("select gloss.rescue()", [.worker]),
        ("select gloss.deregister_worker(1)", [.worker]),
        ("select gloss.release_unheld(1, '{}')", [.worker]),
        ("select gloss.park_host('h', '1 second', 'r')", [.worker, .admin]),
        ("select gloss.unpark_host('h')", [.admin]),
        ("select gloss.cancel(job => 1)", [.admin]),
        ("select gloss.retry(job => 1)", [.admin]),
        ("select gloss.pause(task => 'vqa')", [.admin]),
        ("select gloss.resume(task => 'vqa')", [.admin]),
        ("select gloss.forget(job => 1)", [.admin]),
        ("select gloss.prune()", [.admin]),
        ("select gloss.explain(1)", [.reader, .admin]),
        ("select * from gloss.jobs(null, null, null, null)", [.reader, .admin]),
        ("select * from gloss.result", [.reader, .admin]),
        ("select * from gloss.multiview_response", [.reader, .admin]),
        ("select * from gloss.detection", [.reader, .admin]),
        ("select * from gloss.depth", [.reader, .admin]),
        ("select * from gloss.worker", [.reader, .admin]),
        ("select * from gloss.error_frequency", [.reader, .admin]),
        ("select * from gloss.job", [.reader, .admin]),
        ("select gloss.schema_version()", [.producer, .worker, .reader, .admin]),
        ("insert into gloss.ready values (1, 0, 0, 0, 1)", []),
        ("delete from gloss.job", []),
        ("update gloss.annotation set texts = '{}'", []),
        ("select gloss.take(1, '{1}', '{0}', '{0}', 1)", []),
        ("select gloss.cancel_once('true')", []),
        ("select gloss.enqueue_row(null)", []),
        ("select gloss.fold_tally(0)", []),
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
