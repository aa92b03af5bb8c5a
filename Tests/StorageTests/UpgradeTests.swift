import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// A database with data in it goes on working when its schema is upgraded. The first point is the schema of the
/// migrations in Tests/Fixtures/schema-1.sha256, which never change from then on.
@Suite(.timeLimit(.minutes(5))) struct UpgradeTests {
    /// What a later version might bring: a column of each table, and a task.
    private static let nextMigration = """
        set local role gloss_owner;
        do $$
        declare
            place text;
        begin
            for place in select c.relname from pg_class c where c.relnamespace = 'gloss'::regnamespace and c.relkind = 'r' loop
                execute format('alter table gloss.%I add column reviewed boolean not null default false', place);
            end loop;
        end $$;
        select gloss.define_task('{"name": "outline", "summary": "Outline a thing.", "default_style": "outline",
            "styles": {"outline": {"prompt": "outline {text}", "texts": [1, 1]}}, "limits": {"images": 1, "views": false},
            "defaults": {"max_tokens": 16, "samples": 1, "beams": 1, "temperature": 0, "top_k": 0, "top_p": 1, "seed": 0}}');
        """

    private static var root: URL {
        URL(fileURLWithPath: TestDatabase.migrationsDirectory).deletingLastPathComponent()
    }

    /// The migrations of the first point: checksum and name.
    private static func firstPoint() throws -> [(checksum: String, name: String)] {
        let list = try String(
            contentsOf: root.appendingPathComponent("Tests/Fixtures/schema-1.sha256"), encoding: .utf8)
        return list.split(separator: "\n").map { line in
            (String(line.prefix(64)), String(line.dropFirst(66)))
        }
    }

    /// A folder of migrations, which goes with the test.
    private final class Folder {
        let path = NSTemporaryDirectory() + "gloss-migrations-" + UUID().uuidString

        init(_ names: [String]) throws {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            for name in names {
                try FileManager.default.copyItem(
                    atPath: TestDatabase.migrationsDirectory + "/" + name, toPath: path + "/" + name)
            }
        }

        func add(_ name: String, _ sql: String) throws {
            try sql.write(toFile: path + "/" + name, atomically: true, encoding: .utf8)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// A database at the first point, with a job in each state; two daemons run.
    private func filled() async throws -> TestDatabase {
        // The first database of all makes the roles.
        _ = try await PrivatePostgres.shared.makeDatabase()
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let folder = try Folder(Self.firstPoint().map(\.name))
        _ = try await Migrator(database.settings(), directory: folder.path).apply()
        let session = database.session()
        try await session.script(Interleaving.fixture())
        _ = try await session.query("select interleaving.build('plain')")
        return database
    }

    private func upgrade(_ database: TestDatabase) async throws -> [String] {
        let names = try FileManager.default.contentsOfDirectory(atPath: TestDatabase.migrationsDirectory)
            .filter { $0.hasSuffix(".sql") }.sorted()
        let folder = try Folder(names)
        let number = String(names.count + 1)
        let name = String(repeating: "0", count: 4 - number.count) + number + "_next"
        try folder.add(name + ".sql", Self.nextMigration)
        let applied = try await Migrator(database.settings(), directory: folder.path).apply()
        #expect(applied.last == name)
        return applied
    }

    @Test func releasedMigrationsDoNotChange() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let first = try Self.firstPoint()
        #expect(first.count >= 18)
        for (checksum, name) in first {
            let text = try String(contentsOfFile: TestDatabase.migrationsDirectory + "/" + name, encoding: .utf8)
            let actual = try await database.query(
                "select encode(sha256(convert_to($1, 'UTF8')), 'hex')", [SQLValue(text)]
            ).scalar
            #expect(
                actual == checksum,
                """
                \(name) has changed: databases have it already, so add a migration instead. As long as nothing is \
                released: (cd migrations && sha256sum *.sql) > Tests/Fixtures/schema-1.sha256
                """)
        }
    }

    @Test func daemonsOfBeforeGoOnAfterAnUpgrade() async throws {
        let database = try await filled()
        // Sessions that are open before the upgrade, with plans of its tables.
        let store = database.store()
        let administration = database.administration(as: .superuser)
        let worker = try await store.register(Samples.worker())
        _ = try await administration.enqueue(Samples.caption())
        let before = try await store.claim(limit: 2, by: worker)
        #expect(!before.isEmpty)
        _ = try await store.rescue()
        _ = try await administration.depth()

        _ = try await upgrade(database)

        #expect(try await database.query("select * from interleaving.faults()").rows == [])
        let receipts = try await store.record(before.map { JobReport($0, Samples.completed()) }, by: worker)
        #expect(receipts == Array(repeating: .recorded, count: before.count))
        let session = database.session()
        let asked = try await session.query(
            "select outcome from gloss.enqueue('outline', 'https://one.example/o.jpg', prompt => 'a cat', key => 'outline')"
        )
        #expect(asked.scalar == "inserted")
        while true {
            let jobs = try await store.claim(limit: 10, by: worker)
            #expect(!jobs.contains { $0.spec.task.rawValue == "outline" }, "it does not know that task")
            if jobs.isEmpty { break }
            _ = try await store.record(jobs.map { JobReport($0, Samples.completed()) }, by: worker)
        }
        let identity = SQLValue(UUID().uuidString)
        let newer = try await session.query(
            "select gloss.register_worker('newer', 1, '9', '{tiny}', '{caption,outline}', '15 s', $1::uuid)", [identity]
        )
        let outline = try await session.query(
            "select task, spec ->> 'style' from gloss.claim($1, $2::uuid, 10)", [SQLValue(newer.scalar), identity])
        #expect(outline.rows == [["outline", "outline"]])
        #expect(try await database.query("select * from interleaving.faults()").rows == [])
    }

    @Test func resultsOfBeforeAreRunAgainAndPruned() async throws {
        let database = try await filled()
        _ = try await upgrade(database)
        let session = database.session()
        func number(_ sql: String) async throws -> Int? { try await session.query(sql).scalar.flatMap { Int($0) } }
        #expect(
            try await number("select count(*) from gloss.dead_job where host = 'one.example' and batch_id is not null")
                == 2)
        #expect(try await number("select dead from gloss.failures where code = 'corrupt'") == 2)
        #expect(try await number("select gloss.rerun(key => 'done')") == 1)
        #expect(try await number("select count(*) from gloss.superseded where not reviewed") == 2)
        #expect(try await number("select gloss.retry(key => 'dead')") == 1)
        #expect(try await number("select gloss.pause(batch => 'b')") ?? 0 > 0)
        #expect(try await number("select gloss.resume(batch => 'b')") ?? 0 > 0)
        #expect(try await number("select gloss.cancel(key => 'held-1')") == 1)
        #expect(
            try await number(
                "select count(*) from gloss.enqueue('caption', 'https://one.example/pruned.jpg', key => 'pruned', batch => 'b') where outcome = 'duplicate'"
            ) == 1)
        #expect(try await number("select results_deleted from gloss.prune('0', '0', '0', null)") ?? 0 > 0)
        #expect(try await number("select gloss.forget(batch => 'b')") ?? 0 > 0)
        #expect(try await session.query("select * from interleaving.verdict(null, null)").rows == [])
    }

    @Test func aSchemaThatHasLeftADaemonBehindSaysSo() async throws {
        let database = try await filled()
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        _ = try await upgrade(database)
        // What no migration of ours does without need: a call that old daemons make is gone.
        try await database.query("drop function gloss.claim")
        let error = await #expect(throws: StorageError.self) { try await store.claim(limit: 1, by: worker) }
        #expect(error?.disposition == .fatal)
        #expect(error?.description.contains("function gloss.claim") == true)
        let older = try Folder(Self.firstPoint().map(\.name))
        let refusal = await #expect(throws: StorageError.self) {
            try await Migrator(database.settings(), directory: older.path).apply()
        }
        #expect(refusal?.message.contains("which this program does not know") == true)
    }
}
