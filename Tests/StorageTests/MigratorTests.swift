import Foundation
import Storage
import TestSupport
import Testing

@Suite struct MigratorTests {
    /// A copy of the migrations that a test may spoil.
    private func copyOfMigrations() throws -> String {
        let copy = FileManager.default.temporaryDirectory.appendingPathComponent("gloss-migrations-\(UUID())").path
        try FileManager.default.copyItem(atPath: TestDatabase.migrationsDirectory, toPath: copy)
        return copy
    }

    @Test func plansAppliesAndIsDone() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let migrator = try Migrator(database.settings(), directory: TestDatabase.migrationsDirectory)
        let plan = try await migrator.plan()
        #expect(plan.applied == [] && plan.pending.first?.name == "0001_roles")
        #expect(try await database.query("select to_regnamespace('gloss')").scalar == nil, "a plan changes nothing")
        #expect(try await migrator.apply() == plan.pending.map(\.name))
        #expect(try await migrator.apply() == [])
        #expect(try await migrator.plan().isUpToDate)
        let version = try await database.query("select gloss.schema_version()")
        #expect(version.scalar == "\(plan.pending.count)")
    }

    @Test func twoMigratorsDoNotMeet() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    try await Migrator(database.settings(), directory: TestDatabase.migrationsDirectory).apply().count
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(counts.sorted().first == 0)
    }

    @Test func noticesAChangedMigration() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let copy = try copyOfMigrations()
        defer { try? FileManager.default.removeItem(atPath: copy) }
        let file = copy + "/0003_tasks.sql"
        try (String(contentsOfFile: file, encoding: .utf8) + "\n").write(
            toFile: file, atomically: true, encoding: .utf8)
        let error = await #expect(throws: StorageError.self) {
            try await Migrator(database.settings(), directory: copy).plan()
        }
        #expect(error?.message == "migration 0003_tasks was changed after it was applied")
    }

    @Test func noticesAMigrationItDoesNotKnow() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query("insert into gloss.schema_migrations values (99, '0099_future', 'x')")
        let error = await #expect(throws: StorageError.self) {
            try await Migrator(database.settings(), directory: TestDatabase.migrationsDirectory).apply()
        }
        #expect(error?.message == "the database has migration 0099_future, which this program does not know")
    }

    @Test func aFailureLeavesNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let copy = try copyOfMigrations()
        defer { try? FileManager.default.removeItem(atPath: copy) }
        let count = try FileManager.default.contentsOfDirectory(atPath: copy).count
        try "select 1/0;".write(
            toFile: copy + String(format: "/%04d_bad.sql", count + 1), atomically: true, encoding: .utf8)
        let error = await #expect(throws: StorageError.self) {
            try await Migrator(database.settings(), directory: copy).apply()
        }
        #expect(error?.sqlState == "22012")
        #expect(try await database.query("select to_regnamespace('gloss')").scalar == nil)
    }

    @Test func refusesADirectoryWithGaps() throws {
        let copy = try copyOfMigrations()
        defer { try? FileManager.default.removeItem(atPath: copy) }
        try FileManager.default.removeItem(atPath: copy + "/0002_ledger.sql")
        let error = #expect(throws: StorageError.self) { try Migrator(ConnectionSettings(), directory: copy) }
        #expect(error?.message == "\(copy): expected migration number 2, found 0003_tasks")
        #expect(throws: StorageError.self) { try Migrator(ConnectionSettings(), directory: "/nonexistent") }
    }

    @Test func saysWhatRightsAreMissing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        _ = try await PrivatePostgres.shared.makeDatabase()  // so that the roles exist
        let error = await #expect(throws: StorageError.self) {
            try await Migrator(database.settings(as: .reader), directory: TestDatabase.migrationsDirectory).apply()
        }
        #expect(error?.sqlState == "42501")
        #expect(error?.message.contains("test_reader may not") == true)
        #expect(error?.hint?.isEmpty == false)
    }

    @Test func needsNoSuperuser() async throws {
        let server = PrivatePostgres()
        let database = try await server.makeDatabase(migrated: false)
        try await database.query("create role installer login createrole")
        try await database.query("grant create on database \(database.name) to installer")
        var settings = database.settings()
        settings.conninfo = settings.conninfo.replacingOccurrences(of: "user=postgres", with: "user=installer")
        #expect(try await Migrator(settings, directory: TestDatabase.migrationsDirectory).apply().isEmpty == false)
        try await server.stop()
    }
}
