import Annotation
import Foundation
import Queue
import Storage
import Synchronization
import TestSupport
import Testing

/// PgBouncer in transaction mode: a session of the server serves one client after the other.
@Suite(.enabled(if: Pooler.program != nil, "PgBouncer is not installed"), .timeLimit(.minutes(5))) struct PoolerTests {
    @Test func jobsRunThroughAPoolerAndNothingLeaks() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let pooler = try Pooler(database)
        let notices = Mutex(0)
        let store = PostgresJobStore(pooler.settings) { _ in notices.withLock { $0 += 1 } }
        let worker = try await store.register(Samples.worker())
        let administration = Administration(pooler.settings)
        for n in 1...4 { _ = try await administration.enqueue(Samples.caption("https://example.org/\(n).jpg")) }
        let jobs = try await store.claim(limit: 4, by: worker)
        #expect(jobs.count == 4)
        let beat = Heartbeat(holding: Dictionary(uniqueKeysWithValues: jobs.map { ($0.lease, .compute) }))
        #expect(try await store.heartbeat(worker, beat).lostLeases == [])
        #expect(
            try await store.record(jobs.map { JobReport($0, Samples.completed()) }, by: worker)
                == Array(repeating: .recorded, count: 4))
        for _ in 1...3 { try await store.waitForWork(timeout: .milliseconds(1)) }
        #expect(notices.withLock { $0 } == 1, "that there is no listening is said once")
        _ = try await store.rescue()
        let session = Session(pooler.settings)
        #expect(try await session.isPooled())
        #expect(try await !pooler.direct.isPooled())
        let rows = Mutex(0)
        try await session.stream("select * from gloss.result") { _ in rows.withLock { $0 += 1 } }
        #expect(rows.withLock { $0 } == 4)
        try await session.copyIn(
            "copy gloss.inbox (task, image_url) from stdin", chunks: ["caption\thttps://example.org/5.jpg\n"])
        #expect(try await pooler.leaks() == [])
        await store.close()
    }

    @Test func eachTransactionHasItsOwnSettings() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        try await database.query("alter database \(database.name) set datestyle = 'German'")
        try await database.query("alter database \(database.name) set default_transaction_isolation = 'serializable'")
        let pooler = try Pooler(database)
        var settings = pooler.settings
        settings.statementTimeout = .seconds(7)
        let session = Session(settings)
        let answer = try await session.query(
            """
            select '2026-03-04'::date, current_setting('statement_timeout'), current_setting('jit'),
                   current_setting('transaction_isolation'), $1::text
            """, ["x"])
        #expect(answer.rows == [["2026-03-04", "7s", "off", "read committed", "x"]])
        #expect(answer.columns.count == 5)
        try await session.script("begin")
        #expect(try await session.query("select now() = transaction_timestamp()").scalar == "t")
        try await session.script("rollback")
        #expect(try await pooler.leaks() == [])
    }

    @Test func theSchemaIsMadeThroughAPooler() async throws {
        let pooler = try Pooler(await PrivatePostgres.shared.makeDatabase(migrated: false))
        let migrator = try Migrator(pooler.settings, directory: TestDatabase.migrationsDirectory)
        let applied = try await migrator.apply()
        #expect(!applied.isEmpty)
        #expect(try await migrator.plan().isUpToDate)
        #expect(try await pooler.leaks() == [])
    }

    @Test func anErrorLeavesNothingBehind() async throws {
        let pooler = try Pooler(await PrivatePostgres.shared.makeDatabase(migrated: false))
        var settings = pooler.settings
        settings.statementTimeout = .milliseconds(200)
        let session = Session(settings)
        for (sql, state) in [("select 1/0", "22012"), ("select pg_sleep(60)", "57014"), ("selec", "42601")] {
            let error = await #expect(throws: StorageError.self) { try await session.query(sql) }
            #expect(error?.sqlState == state)
            let streamed = await #expect(throws: StorageError.self) { try await session.stream(sql) { _ in } }
            #expect(streamed?.sqlState == state)
            #expect(try await session.query("select 1").scalar == "1")
        }
        let open = try await pooler.direct.query(
            "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'")
        #expect(open.scalar == "0")
        #expect(try await pooler.leaks() == [])
    }
}

/// PgBouncer beside a test's database.
private final class Pooler: Sendable {
    static let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let settings: ConnectionSettings
    /// Past the pooler.
    let direct: Session
    private let folder: String
    private let process: ChildProcess

    init(_ database: TestDatabase) throws {
        folder = NSTemporaryDirectory() + "gloss-pooler-" + UUID().uuidString.prefix(8)
        direct = database.session()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
        // mkdir heeds the umask.
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder)
        let target = database.conninfo().split(separator: " ")[0]
        let configuration = """
            [databases]
            \(database.name) = \(target) dbname=\(database.name) user=postgres
            [pgbouncer]
            listen_port = 5432
            unix_socket_dir = \(folder)
            auth_type = any
            pool_mode = transaction
            default_pool_size = 2
            logfile = \(folder)/log
            """
        try configuration.write(toFile: folder + "/ini", atomically: true, encoding: .utf8)
        let program = try #require(Self.program)
        let command = [program, "-q", folder + "/ini"]
        let words =
            getuid() == 0
            ? ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] + command : command
        process = try ChildProcess(words[0], Array(words.dropFirst()), environment: [:])
        settings = ConnectionSettings(
            conninfo: "host=\(folder) dbname=\(database.name) user=postgres", statementTimeout: .seconds(60))
        let end = ContinuousClock.now + .seconds(30)
        while !FileManager.default.fileExists(atPath: folder + "/.s.PGSQL.5432") {
            guard ContinuousClock.now < end else { throw InterleavingError("PgBouncer does not start") }
            usleep(5000)
        }
    }

    deinit {
        process.signal(SIGKILL)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// What is left in the pool's sessions, which others use next.
    func leaks() async throws -> [String] {
        let sessions = (1...2).map { _ in Session(settings) }
        var found: [String] = []
        for session in sessions {
            // Keeps its session of the server until the other one was looked at.
            try await session.script("begin")
            found += try await session.query(
                """
                select name || ' = ' || setting from pg_settings
                where source = 'session' and name not in ('application_name', 'client_encoding', 'transaction_isolation',
                    'transaction_read_only', 'transaction_deferrable')
                union all select 'it listens to ' || c from pg_listening_channels() c
                union all select 'the prepared statement ' || name from pg_prepared_statements where not from_sql
                union all select 'an advisory lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
                """
            ).rows.compactMap { $0[0] }
        }
        for session in sessions { try await session.script("rollback") }
        return found
    }
}
