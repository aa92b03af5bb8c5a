import Annotation
import Glibc
import Queue
import Storage
import TestSupport
import Testing

@Suite struct ConnectionTests {
    @Test func survivesAKilledServer() async throws {
        let server = PrivatePostgres()
        let database = try await server.makeDatabase()
        let job = try await database.administration(as: .producer).enqueue(Samples.caption()).job
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let claimed = try #require(try await store.claim(limit: 1, by: worker).first)
        let report = JobReport(claimed, Samples.completed())
        try await server.kill()
        for _ in 0..<2 {
            let error = await #expect(throws: StorageError.self) { try await store.record([report], by: worker) }
            #expect(error?.disposition == .retry)
        }
        try await server.start()
        #expect(try await store.record([report], by: worker) == [.recorded])
        #expect(try await store.record([report], by: worker) == [.alreadyRecorded])
        #expect(try await database.administration(as: .reader).job(job)?.job.state == "done")
        try await server.stop()
    }

    @Test func aTerminatedConnectionIsWorthARetry() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session()
        let pid = try await session.query("select pg_backend_pid()").scalar
        try await database.query("select pg_terminate_backend($1, 5000)", [SQLValue(pid)])
        let error = await #expect(throws: StorageError.self) { try await session.query("select 1") }
        #expect(error?.disposition == .retry)
        #expect(try await session.query("select 1").scalar == "1")
    }

    /// Two wait for each other, and the one that PostgreSQL ends runs again.
    @Test(.timeLimit(.minutes(5))) func aDeadlockIsRepeated() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query("create table pair (id int primary key, n int not null)")
        try await database.query("insert into pair values (1, 0), (2, 0)")
        let (gate, patient, victim) = (database.session(), database.session(), database.session())
        try await gate.script("select pg_advisory_lock(5)")
        async let repeated = victim.transact(
            """
            with door as materialized (select pg_advisory_lock_shared(6), pg_advisory_unlock_shared(6)),
                 first as (update pair p set n = n + 10 from door where p.id = 1 returning p.id),
                 gate as materialized (select pg_advisory_xact_lock(5) from first)
            update pair p set n = n + 10 from gate where p.id = 2
            """)
        func waiting(_ count: Int) async throws {
            let blocked = """
                select count(*) = \(count) from pg_stat_activity
                where datname = current_database() and pg_blocking_pids(pid) <> '{}'
                """
            while try await gate.query(blocked).scalar != "t" { try await Task.sleep(for: .milliseconds(10)) }
        }
        try await waiting(1)
        // Who has waited for a second looks for a deadlock, and ends: this one has more patience. It shuts the door behind
        // the first attempt: the second one would take the row again before this one is awake to take it.
        async let patientEnds: Void = patient.script(
            """
            set deadlock_timeout = '1 min'; select pg_advisory_lock(6); begin; update pair set n = n + 1 where id = 2;
            update pair set n = n + 1 where id = 1; commit; select pg_advisory_unlock(6)
            """)
        try await waiting(2)
        try await gate.script("select pg_advisory_unlock(5)")
        try await patientEnds
        _ = try await repeated
        #expect(try await database.query("select string_agg(n::text, ' ') from pair").scalar == "11 11")
    }

    /// The server is stopped in the middle of it all: it holds the connection, and says nothing.
    @Test(.timeLimit(.minutes(5))) func aFrozenServerIsGivenUp() async throws {
        let server = PrivatePostgres()
        let database = try await server.makeDatabase(migrated: false)
        var settings = database.settings()
        settings.statementTimeout = .milliseconds(300)
        let session = Session(settings)
        let backend = try #require(try await session.query("select pg_backend_pid()").scalar.flatMap { Int32($0) })
        kill(backend, SIGSTOP)
        let error = await #expect(throws: StorageError.self) { try await session.query("select 1") }
        kill(backend, SIGCONT)
        #expect(error?.code == .timedOut && error?.disposition == .retry)
        #expect(try await session.query("select 1").scalar == "1", "the next call connects again")
        try await server.stop()
    }

    @Test func aSlowStatementTimesOut() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        var settings = database.settings()
        // Long enough that the client's own patience, which is half as long again, isn't what ends it on a busy machine.
        settings.statementTimeout = .seconds(4)
        let session = Session(settings)
        let error = await #expect(throws: StorageError.self) { try await session.query("select pg_sleep(60)") }
        #expect(error?.sqlState == "57014" && error?.disposition == .retry)
        #expect(try await session.query("select 1").scalar == "1", "the connection is still good")
    }

    @Test(arguments: ["host=localhost passwort=geheim", "geheim", "postgresql://u:geheim@h/d?x=y"])
    func neverShowsThePassword(conninfo: String) async throws {
        let session = Session(ConnectionSettings(conninfo: conninfo))
        let error = await #expect(throws: StorageError.self) { try await session.query("select 1") }
        #expect(error?.code == .badConnectionString)
        #expect(error?.disposition == .fatal)
        #expect(error.map { "\($0)".contains("geheim") } == false)
    }

    @Test func nobodyListeningIsWorthARetry() async throws {
        let settings = ConnectionSettings(conninfo: "host=/nonexistent password=geheim", connectTimeout: .seconds(1))
        let session = Session(settings)
        let error = await #expect(throws: StorageError.self) { try await session.query("select 1") }
        #expect(error?.code == .cannotConnect && error?.disposition == .retry)
        #expect(error.map { "\($0)".contains("geheim") } == false)
    }

    @Test func aMissingSchemaIsFatal() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let error = await #expect(throws: StorageError.self) {
            try await PostgresJobStore(database.settings()).schemaVersion()
        }
        #expect(error?.disposition == .fatal)
    }

    @Test func parametersKeepTheirText() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let texts = ["plain", "with \"quotes\" and \\", "{a,b}", "", "NULL", "äöü 🖼"]
        let answer = try await database.query(
            "select $1::text[] = array[$2, $3, $4, $5, $6, $7], $8::text is null",
            [SQLValue(texts)] + texts.map { SQLValue($0) } + [nil])
        #expect(answer.rows == [["t", "t"]])
    }

    @Test func aLargeParameterGoesThrough() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let large = String(repeating: "x", count: 20_000_000)
        #expect(try await database.query("select length($1)", [SQLValue(large)]).scalar == "20000000")
    }
}

@Suite struct ListenerTests {
    @Test func wakesUpWhenAJobComes() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let listener = Listener(database.settings(as: .worker), channel: "gloss_ready")
        #expect(await listener.wait(timeout: .seconds(60)), "the first wait has missed what came before it")
        async let woken = listener.wait(timeout: .seconds(60))
        _ = try await database.administration(as: .producer).enqueue(Samples.caption())
        #expect(await woken)
        #expect(await !listener.wait(timeout: .zero))
        await listener.close()
    }

    @Test func aBulkMayBeQuiet() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let listener = Listener(database.settings(), channel: "gloss_ready")
        await listener.wait(timeout: .zero)
        try await database.session(as: .producer).script(
            "begin; set local gloss.notify = off; select gloss.enqueue_caption('https://e.org/a'); commit")
        #expect(await !listener.wait(timeout: .milliseconds(50)))
    }

    /// Workers with a hundred jobs before them are awake.
    @Test func wakesNobodyWhenMuchWaits() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let listener = Listener(database.settings(), channel: "gloss_ready")
        await listener.wait(timeout: .zero)
        let producer = database.administration(as: .producer)
        for _ in 1...100 { _ = try await producer.enqueue(Samples.caption()) }
        #expect(await listener.wait(timeout: .seconds(60)))
        while await listener.wait(timeout: .milliseconds(50)) {}
        _ = try await producer.enqueue(Samples.caption())
        #expect(await !listener.wait(timeout: .milliseconds(50)))
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        #expect(try await store.claim(limit: 50, by: worker).count == 50)
        _ = try await producer.enqueue(Samples.caption())
        #expect(await listener.wait(timeout: .seconds(60)))
    }

    @Test func tellsOfJobsThatHaveEndedOnly() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for _ in 1...2 { _ = try await database.administration(as: .producer).enqueue(Samples.caption()) }
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let leases = try await store.claim(limit: 2, by: worker).map(\.lease)
        let reports = leases.map {
            #"{"job": \#($0.job), "fence": \#($0.fence), "outcome": "failed", "permanent": \#($0 == leases[0])}"#
        }
        let record = """
            select receipts, ended
            from gloss.record(\(worker.number), '\(worker.identity)', '[\(reports.joined(separator: ", "))]')
            """
        #expect(try await database.query(record).rows == [["{recorded,recorded}", "{\(leases[0].job)}"]])
        #expect(try await database.query(record).rows == [["{already_recorded,already_recorded}", "{}"]])
    }

    @Test func tellsWhatIsDone() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let listener = Listener(database.settings(as: .reader), channel: "gloss_done")
        await listener.wait(timeout: .zero)
        _ = try await database.administration(as: .producer).enqueue(Samples.caption())
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 1, by: worker)
        #expect(await !listener.wait(timeout: .zero))
        _ = try await store.record(jobs.map { JobReport($0, Samples.completed()) }, by: worker)
        #expect(await listener.wait(timeout: .seconds(60)))
    }

    @Test func cancellationEndsTheWait() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let store = database.store()
        try await store.waitForWork(timeout: .zero)
        let task = Task { try await store.waitForWork(timeout: .seconds(600)) }
        task.cancel()
        try await task.value
    }

    @Test func outlivesItsConnection() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let listener = Listener(database.settings(), channel: "gloss_ready")
        await listener.wait(timeout: .zero)
        try await database.query(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where query = 'listen gloss_ready' and datname = $1",
            [SQLValue(database.name)])
        #expect(await !listener.wait(timeout: .milliseconds(1)), "without a connection a wait is just that")
        #expect(await listener.wait(timeout: .seconds(60)), "a new connection means: look")
    }
}
