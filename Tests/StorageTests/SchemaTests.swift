import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// The schema through dumps, restores and other people's habits.
@Suite struct SchemaTests {
    private func file() -> String { NSTemporaryDirectory() + "gloss-dump-\(UUID().uuidString).sql" }

    /// A database with a job in each state, a result, and a superseded one.
    private func fill(_ database: TestDatabase) async throws {
        let (admin, store) = (database.administration(as: .superuser), PostgresJobStore(database.settings()))
        for number in 1...6 {
            let spec = Samples.caption("https://e.org/\(number)")
            _ = try await admin.enqueue(spec, EnqueueOptions(key: "\(number)", batch: number == 6 ? "paused" : "b"))
        }
        try await admin.pause(.batch("paused"))
        let worker = try await store.register(Samples.worker())
        for key in 1...2 {
            let job = try #require(try await store.claim(limit: 1, by: worker).first)
            _ = try await store.record([JobReport(job, Samples.completed("text \(key)"))], by: worker)
        }
        _ = try await admin.rerun(.job(JobID(rawValue: 1)))
        _ = try await store.claim(limit: 1, by: worker)
        _ = try await admin.cancel(.job(JobID(rawValue: 4)))
        await store.close()
    }

    private func complaints(_ database: TestDatabase) async -> [Diagnosis] {
        await Doctor(database.settings(), migrations: TestDatabase.migrationsDirectory).examine()
            .filter { ["objects", "grants", "migrations", "misplaced", "tasks"].contains($0.check) && $0.level != .ok }
    }

    /// Within a server; and, where the tests run on another one than Debian's, from that one.
    @Test func doctorIsQuietAfterADumpAndARestore() async throws {
        let (old, server) = (PrivatePostgres(isDebians: true), PrivatePostgres.shared)
        let database = try await old.makeDatabase()
        try await fill(database)
        let dump = file()
        try await old.dump(database, to: dump)
        try await old.stop()
        defer { try? FileManager.default.removeItem(atPath: dump) }
        let copy = try await server.restore(dump)
        #expect(await complaints(copy) == [])
        #expect(try await copy.misplacedJobs() == [])
        // And it goes on working.
        let store = PostgresJobStore(copy.settings())
        let worker = try await store.register(Samples.worker())
        for job in try await store.claim(limit: 9, by: worker) {
            #expect(try await store.record([JobReport(job, Samples.completed())], by: worker) == [.recorded])
        }
        let again = try await copy.administration(as: .superuser).enqueue(
            Samples.caption("https://e.org/1"), EnqueueOptions(key: "1"))
        #expect(again.outcome == .duplicate)
        #expect(try await copy.misplacedJobs() == [])
        await store.close()
    }

    /// Restored into a cluster without the roles, everything belongs to the superuser: migrate mends that.
    @Test func migrateMendsOwnersAndGrants() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let dump = file()
        try await PrivatePostgres.shared.dump(database, to: dump)
        defer { try? FileManager.default.removeItem(atPath: dump) }
        let elsewhere = PrivatePostgres()
        let copy = try await elsewhere.restore(dump)
        let stray = """
            select count(*) from pg_proc where pronamespace = 'gloss'::regnamespace and proowner = 'postgres'::regrole
            """
        #expect(try await copy.query(stray).scalar != "0")
        _ = try await Migrator(copy.settings(), directory: TestDatabase.migrationsDirectory).apply()
        #expect(try await copy.query(stray).scalar == "0")
        #expect(await complaints(copy) == [])
        try await elsewhere.stop()
    }

    @Test(arguments: ["SQL_ASCII", "LATIN1"])
    func otherEncodingsAreRefusedAtOnce(encoding: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(encoding: encoding)
        let error = await #expect(throws: StorageError.self) {
            try await Migrator(database.settings(), directory: TestDatabase.migrationsDirectory).apply()
        }
        #expect(error?.message == "the database \(database.name) is encoded in \(encoding), and gloss needs UTF8")
        #expect(error?.hint?.contains("encoding 'UTF8'") == true)
        #expect(try await database.query("select to_regnamespace('gloss')").scalar == nil)
    }

    /// A publication of all tables asks for a key of each that is updated or deleted from.
    @Test func everyTableHasAKey() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let keyless = try await database.query(
            """
            select c.relname from pg_class c
            where c.relnamespace = 'gloss'::regnamespace and c.relkind in ('r', 'p')
              and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
            """)
        #expect(keyless.rows == [])
    }

    /// The whole life of jobs under a publication of all tables.
    @Test func aPublicationOfAllTablesStopsNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query("create publication everything for all tables")
        let (admin, store) = (database.administration(), database.store())
        let worker = try await store.register(Samples.worker())
        for key in ["a", "b", "c", "d"] {
            _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: key, batch: "x"))
        }
        try await admin.pause(.batch("x"))
        try await admin.resume(.batch("x"))
        let jobs = try await store.claim(limit: 3, by: worker)
        try await store.begin(jobs.map(\.lease), by: worker)
        let reports = [
            JobReport(jobs[0], Samples.completed()), JobReport(jobs[1], Samples.failed(.permanent)),
        ]
        #expect(try await store.record(reports, by: worker) == [.recorded, .recorded])
        try await store.park(origin: "https://example.org", for: .seconds(60), reason: "connection refused")
        try await database.advance(by: .seconds(3600))
        #expect(try await store.rescue().rescuedCount == 1)
        try await admin.retry(DeadSelection(batch: "x"))
        try await admin.rerun(.batch("x"))
        try await admin.cancel(.batch("x"))
        try await admin.forget(.batch("x"))
        try await admin.prune(Retention(history: "0", results: "0", dead: "0", keys: "0"))
        try await database.tidy()
        #expect(try await database.query("select count(*) from gloss.job").scalar == "0")
    }

    /// Rows that are made by position are made in one place each: what goes in comes out.
    @Test func whatIsMadeByPositionIsInOrder() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for (function, type) in [
            ("move_of", "move"), ("form_row", "form"), ("rare_of", "rare_options"), ("claimed_job_of", "claimed_job"),
        ] {
            let arguments = try await database.query(
                """
                select array_to_string(p.proargnames, ','), (
                    select string_agg(a.attname, ',' order by a.attnum) from pg_attribute a
                    where a.attrelid = ('gloss.' || $2)::regclass and a.attnum > 0)
                from pg_proc p where p.proname = $1 and p.pronamespace = 'gloss'::regnamespace
                """, [SQLValue(function), SQLValue(type)])
            let names = (arguments.rows[0][0] ?? "").split(separator: ",").map(String.init)
            let fields = (arguments.rows[0][1] ?? "").split(separator: ",").map(String.init)
            #expect(Set(names) == Set(fields), "\(function)")
            for name in names {
                let types = try await database.query(
                    """
                    select format_type(a.atttypid, a.atttypmod) from pg_attribute a
                    where a.attrelid = ('gloss.' || $1)::regclass and a.attname = $2
                    """, [SQLValue(type), SQLValue(name)])
                let value = Self.sample(of: types.scalar ?? "")
                let others = names.filter { $0 != name }.map { "\"\($0)\" => null" }
                let call = (["\"\(name)\" => \(value)"] + others).joined(separator: ", ")
                let made = try await database.query(
                    """
                    select (m).\"\(name)\" is not null, num_nonnulls((m).*) from (select gloss.\(function)(\(call)) as m) x
                    """.replacingOccurrences(
                        of: "num_nonnulls((m).*)",
                        with: "num_nonnulls(\(fields.map { "(m).\"\($0)\"" }.joined(separator: ", ")))"))
                #expect(made.rows == [["t", "1"]], "\(function): \(name)")
            }
        }
    }

    private static func sample(of type: String) -> String {
        switch type {
        case "text": "'x'"
        case "text[]": "'{x}'::text[]"
        case "uuid": "gen_random_uuid()"
        case "jsonb": "'{}'::jsonb"
        case "gloss.rare_options": "row('x', 'x', 1, true, '{x}', '{x}')::gloss.rare_options"
        case let time where time.hasPrefix("timestamp"): "now()"
        default: "1::\(type)"
        }
    }

    /// A superseded result is kept whole: a column that is added to one is added to the other.
    @Test func aSupersededResultHasAllColumns() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let columns = """
            select string_agg(attname || ' ' || atttypid::regtype, ', ' order by attname) from pg_attribute
            where attrelid = $1::regclass and attnum > 0 and not attisdropped
              and attname not in ('superseded_at', 'superseded_by')
            """
        let (kept, was) = (
            try await database.query(columns, ["gloss.superseded"]).scalar,
            try await database.query(columns, ["gloss.annotation"]).scalar
        )
        #expect(kept == was && kept != nil)
        // And lift names them all.
        let body = try await database.query("select prosrc from pg_proc where proname = 'lift'").scalar ?? ""
        let names = try await database.query(
            "select attname from pg_attribute where attrelid = 'gloss.annotation'::regclass and attnum > 0")
        for name in names.rows.compactMap({ $0[0] }) { #expect(body.contains("d.\(name)"), "\(name)") }
    }

    /// The meaning of each code that a daemon gives is in the database.
    @Test func codesAreExplained() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let codes = try await database.query(
            "select code from gloss.failure_code where meaning = '' or advice = '' or code !~ '^[a-z0-9_*]+$'",
            as: .reader)
        #expect(codes.rows == [])
        for code in [
            "poison", "cancelled", "unreadable", "unrecordable", "host_unavailable", "invalid_url", "http_404",
        ] {
            let known = try await database.query(
                "select count(*) from gloss.failure_code where code = $1", [SQLValue(code)])
            #expect(known.scalar == "1", "\(code)")
        }
    }
}
