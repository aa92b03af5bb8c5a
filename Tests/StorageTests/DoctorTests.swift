import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// Each thing is broken for real, and doctor must find it, as a role that has gloss_admin and nothing else.
@Suite struct DoctorTests {
    let database: TestDatabase

    init() async throws { database = try await PrivatePostgres.shared.makeDatabase() }

    func examine(
        as user: TestDatabase.User = .admin, migrations: String? = TestDatabase.migrationsDirectory,
        limits: Doctor.Limits = Doctor.Limits(), now: @escaping @Sendable () -> Double = Doctor.systemClock
    ) async -> [Diagnosis] {
        await Doctor(database.settings(as: user), migrations: migrations, limits: limits, now: now).examine()
    }

    /// What is worse than ok of one check.
    func complaints(
        _ check: String, as user: TestDatabase.User = .admin, limits: Doctor.Limits = Doctor.Limits()
    ) async -> [Diagnosis] {
        await examine(as: user, limits: limits).filter { $0.check == check && $0.level != .ok }
    }

    func register(_ worker: WorkerDescription = Samples.worker()) async throws -> WorkerID {
        try await database.store().register(worker)
    }

    @Test func aWellQueueHasNothingToComplainOf() async throws {
        _ = try await register()
        // So that a slow machine is not told that it is silent.
        try await database.query("update gloss.registered_worker set heartbeat_at = now() + interval '1 hour'")
        let findings = await examine()
        #expect(findings.filter { $0.level > .unseen } == [])
        #expect(
            Set(findings.map(\.check)) == [
                "server", "migrations", "objects", "tasks", "roles", "daemons", "models", "misplaced", "dead",
                "reproduction", "horizon",
                "bloat", "notify", "clock", "connections", "disk",
            ])
        #expect(findings.first { $0.check == "server" }?.message.hasSuffix("seen as test_admin") == true)
        #expect(findings.first { $0.check == "disk" }?.level == .unseen, "an administrator sees no disk")
        let others = findings.filter { !["disk", "horizon"].contains($0.check) }
        #expect(others.allSatisfy { $0.level == .ok })
    }

    @Test func aRoleThatMayNotLookIsToldSo() async throws {
        let findings = await examine(as: .producer)
        #expect(findings.filter { $0.level == .error } == [])
        let unseen = findings.filter { $0.level == .unseen && $0.message.hasPrefix("your role may not look") }
        #expect(Set(unseen.map(\.check)).isSuperset(of: ["migrations", "objects", "daemons", "misplaced", "dead"]))
    }

    // MARK: The schema

    @Test func noSchema() async throws {
        let bare = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let doctor = Doctor(bare.settings(), migrations: TestDatabase.migrationsDirectory)
        let last = try #require(await doctor.examine().last)
        #expect(
            last == Diagnosis("migrations", .error, "the database has no schema gloss", advice: "run: glossctl migrate")
        )
    }

    @Test func noServer() async throws {
        var settings = database.settings()
        settings.conninfo = "host=/nonexistent dbname=x password=geheim"
        let findings = await Doctor(settings, migrations: nil).examine()
        #expect(findings.map(\.level) == [.error] && !"\(findings)".contains("geheim"))
    }

    @Test func migrationsThatDoNotFit() async throws {
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("gloss-migrations-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try FileManager.default.copyItem(atPath: TestDatabase.migrationsDirectory, toPath: copy)
        func finding() async -> Diagnosis? { await examine(migrations: copy).first { $0.check == "migrations" } }
        let next = try FileManager.default.contentsOfDirectory(atPath: copy).count + 1
        let name = String(format: "%04d_next", next)
        try Data("select 1;".utf8).write(to: URL(fileURLWithPath: "\(copy)/\(name).sql"))
        #expect(
            await finding()
                == Diagnosis("migrations", .error, "not applied yet: \(name)", advice: "run: glossctl migrate"))
        try Data("select 1;".utf8).write(to: URL(fileURLWithPath: "\(copy)/0003_tasks.sql"))
        #expect(await finding()?.message == "migration 0003_tasks was changed after it was applied")
        #expect(await finding()?.level == .error)
        let nowhere = await examine(migrations: nil).first { $0.check == "migrations" }
        #expect(nowhere?.level == .unseen)
    }

    @Test(arguments: [
        ("drop index gloss.job_batch", "index job_batch is missing"),
        (
            "update pg_index set indisvalid = false where indexrelid = 'gloss.job_batch'::regclass",
            "index job_batch is changed"
        ),
        (
            "create or replace function gloss.host_of(origin text) returns text language sql immutable as 'select origin'",
            "function host_of(text) is changed"
        ),
        (
            "alter function gloss.prune reset all",
            "function prune(interval,interval,interval,interval,integer) is changed"
        ),
        (
            "alter function gloss.prune owner to postgres",
            "function prune(interval,interval,interval,interval,integer) is changed"
        ),
        ("drop function gloss.explain(bigint)", "function explain(bigint) is missing"),
        ("alter table gloss.job add column extra int", "table job is changed"),
        ("alter table gloss.annotation disable trigger all", nil),
        ("alter table gloss.inbox disable trigger take_inbox", "trigger take_inbox of inbox is changed"),
        ("create or replace view gloss.stage as select * from gloss.worker", nil),
        ("drop view gloss.error_frequency", "view error_frequency is missing"),
        (
            "alter table gloss.attempt drop constraint attempt_outcome_check",
            "constraint attempt_outcome_check of attempt is missing"
        ),
        ("alter type gloss.move add attribute extra int", "type move is changed"),
    ])
    func anObjectThatWasChangedByHand(sql: String, complaint: String?) async throws {
        guard (try? await database.query(sql)) != nil else {
            #expect(complaint == nil, "\(sql)")
            return
        }
        let found = await complaints("objects")
        guard let complaint else { return #expect(found == [], "\(sql)") }
        #expect(found.contains { $0.level == .error && $0.message == complaint }, "\(found)")
        #expect(found.allSatisfy { $0.advice?.isEmpty == false })
    }

    @Test func anObjectThatIsNotOurs() async throws {
        try await database.query("create table gloss.mine (a int)")
        let found = await complaints("objects")
        #expect(found.map(\.level) == [.warning] && found[0].message == "table mine is not gloss's own")
    }

    @Test func grantsThatAreGoneOrTooMany() async throws {
        try await database.query("revoke execute on function gloss.record(bigint, uuid, jsonb) from gloss_worker")
        try await database.query("grant select on gloss.job to gloss_producer")
        try await database.query("grant execute on function gloss.forget to public")
        let found = await complaints("grants")
        #expect(found.map(\.level) == [.warning, .error, .warning])
        #expect(found[0].message.hasPrefix("not gloss's own: execute on function gloss.forget("))
        #expect(found[0].message.hasSuffix(" to public"))
        #expect(
            found[1]
                == Diagnosis(
                    "grants", .error, "missing: execute on function gloss.record(bigint,uuid,jsonb) to gloss_worker",
                    advice: "run: glossctl migrate --repair"))
        #expect(found[2].advice == "unless you want that: revoke select on gloss.job from gloss_producer")
        for finding in [found[0], found[2]] {
            let statement = try #require(finding.advice?.split(separator: ": ", maxSplits: 1).last)
            try await database.query(String(statement))
        }
        _ = try await Migrator(database.settings(), directory: TestDatabase.migrationsDirectory).repair()
        #expect(await complaints("grants") == [], "the advice helps")
    }

    /// Roles belong to the whole server, so this test has one of its own.
    @Test func rolesThatAreNotAsTheyShouldBe() async throws {
        let server = PrivatePostgres()
        let database = try await server.makeDatabase()
        func found() async -> [Diagnosis] {
            await Doctor(database.settings(as: .admin), migrations: nil).examine()
                .filter { $0.check == "roles" && $0.level != .ok }
        }
        #expect(await found() == [])
        try await database.query("alter role gloss_owner login")
        try await database.query("drop role test_worker")
        #expect(
            await found().map(\.message) == [
                "gloss_owner may log in itself", "no log-in has gloss_worker, so no daemon can",
            ])
        try await database.query("alter role gloss_owner nologin")
        try await database.query("create role test_worker login in role gloss_worker")
        try await database.query("alter role gloss_console login")
        try await database.query("revoke gloss_reader from gloss_reviewer")
        #expect(await found().map(\.message) == ["gloss_reviewer is no member of gloss_reader"])
        let migrator = try Migrator(database.settings(), directory: TestDatabase.migrationsDirectory)
        #expect(try await migrator.repair() == [])
        #expect(await found() == [])
        try await server.stop()
    }

    @Test func aDaemonThatMayTooMuch() async throws {
        var settings = database.settings(as: .superuser)
        settings.applicationName = "glossd"
        let daemon = Session(settings)
        _ = try await daemon.query("select 1")
        let found = await complaints("roles")
        #expect(found.map(\.message) == ["a daemon is connected as postgres, which is a superuser"])
        await daemon.close()
    }

    // MARK: The server

    @Test func anOpenTransactionHoldsTheHorizon() async throws {
        let holder = database.session(as: .producer)
        try await holder.script("begin isolation level repeatable read; select gloss.schema_version()")
        let pid = try await holder.query("select pg_backend_pid()").scalar ?? ""
        var limits = Doctor.Limits()
        limits.transaction = (0, 1000)
        /// Of our session: an autovacuum may be about, too.
        func levels(as user: TestDatabase.User) async -> [Diagnosis.Level] {
            await complaints("horizon", as: user, limits: limits).filter { $0.message.contains("session \(pid) ") }.map(
                \.level)
        }
        let seen = await complaints("horizon", as: .superuser, limits: limits)
        #expect(await levels(as: .superuser) == [.warning])
        #expect(
            seen[0].message.hasPrefix("session \(pid) (gloss-test, as test_producer, idle in transaction) has kept "))
        #expect(seen[0].advice?.contains("select pg_terminate_backend(\(pid))") == true)
        limits.transaction.error = 0
        #expect(await levels(as: .superuser) == [.error])
        let hidden = await complaints("horizon")
        #expect(hidden.map(\.level) == [.unseen])
        #expect(hidden[0].message.hasPrefix("session \(pid) (gloss-test, as test_producer) is "))
        limits.transactionAge = (0, Int.max)
        #expect(await levels(as: .admin) == [.warning])
        limits.transactionAge = (0, 0)
        #expect(await levels(as: .admin) == [.error])
        try await holder.script("rollback")
        #expect(await levels(as: .superuser) == [])
        await holder.close()
    }

    @Test func tablesThatAreNotCleanedUp() async throws {
        try await database.query("alter table gloss.ready set (autovacuum_enabled = false)")
        #expect(
            await complaints("bloat").map(\.message) == ["autovacuum is off for gloss.ready"], "an error of its own")
        let session = database.session()
        _ = try await session.query(
            "select count(gloss.enqueue_caption('https://e.org/' || i)) from generate_series(1, 300) i")
        _ = try await session.query("select gloss.cancel(everything => true)")
        _ = try await session.query("select pg_stat_force_next_flush()")
        await session.close()
        var limits = Doctor.Limits()
        limits.deadRows = 299
        let dead = await complaints("bloat", limits: limits)
        #expect(dead.last?.message == "gloss.ready has 300 deleted rows and 0 others, never vacuumed")
        limits = Doctor.Limits()
        limits.tableBytes = 8192
        let large = await complaints("bloat", limits: limits).filter { $0.message.contains("gloss.ready takes") }
        #expect(large.count == 1 && large[0].message.hasSuffix("KiB for 0 rows, never vacuumed"))
    }

    @Test(arguments: [(90.0, "1 min", "ahead of"), (-90, "1 min", "behind"), (-4000, "67 min", "behind")])
    func clocksThatDiffer(seconds: Double, time: String, which: String) async throws {
        let found = await examine(now: { Doctor.systemClock() + seconds }).filter { $0.check == "clock" }
        #expect(found.map(\.level) == [abs(seconds) > 300 ? .error : .warning])
        let message = try #require(found.first?.message)
        #expect(message.hasPrefix("this machine is ") && message.hasSuffix(" \(which) the database"))
    }

    @Test func notificationsThatDoNotWork() async throws {
        #expect(
            await examine().first { $0.check == "notify" }?.message.hasPrefix("a notification arrived after ") == true)
        try await database.query("revoke execute on function pg_notify(text, text) from public")
        let found = await complaints("notify")
        #expect(found.map(\.level) == [.error])
        #expect(found[0].message == "NOTIFY is refused: permission denied for function pg_notify")
        let advice = try #require(found[0].advice)
        try await database.query(advice)
        #expect(await complaints("notify") == [])
    }

    @Test func connectionsThatRunOut() async throws {
        let sessions = (0..<3).map { _ in database.session() }
        for session in sessions { _ = try await session.query("select 1") }
        try await database.query("alter database \(database.name) connection limit 12")
        let found = await complaints("connections")
        #expect(found.map(\.level) == [.warning])
        #expect(found[0].message.hasSuffix(" of this database's 12 connections are left"))
        var limits = Doctor.Limits()
        limits.connections = (100, 50)
        #expect(await complaints("connections", limits: limits).map(\.level) == [.error])
        for session in sessions { await session.close() }
    }

    @Test func aDiskThatFillsUp() async throws {
        let seen = await examine(as: .superuser).first { $0.check == "disk" }
        #expect(seen?.message.contains("and its disk has ") == true)
        var limits = Doctor.Limits()
        limits.diskBytes = (Int.max, 0)
        #expect(await complaints("disk", as: .superuser, limits: limits).map(\.level) == [.warning])
        limits.diskBytes.error = Int.max
        #expect(await complaints("disk", as: .superuser, limits: limits).map(\.level) == [.error])
    }
}
