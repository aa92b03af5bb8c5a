import Foundation
import Queue
import Storage
import TestSupport
import Testing

@testable import Admin

@Suite struct MigrateTests {
    private static let names = try? FileManager.default.contentsOfDirectory(atPath: TestDatabase.migrationsDirectory)
        .filter { $0.hasSuffix(".sql") }.map { String($0.dropLast(4)) }.sorted()

    @Test func aDryRunChangesNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let migrate = Tool(database, as: .superuser)
        let run = try await migrate("migrate", "--dry-run", "--json", "--directory", TestDatabase.migrationsDirectory)
        #expect(run.status == 0, "\(run.errors)")
        let answer = try #require(try run.json().first)
        #expect((answer["pending"] as? [[String: Any]])?.map { $0["name"] as? String } == Self.names)
        #expect(answer["applied_now"] as? [String] == [])
        let there = try await database.query("select to_regnamespace('gloss') is null")
        #expect(there.scalar == "t")
    }

    @Test func showsTheSQL() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let run = try await Tool(database, as: .superuser)(
            "migrate", "--dry-run", "--show-sql", "--directory", TestDatabase.migrationsDirectory)
        #expect(run.status == 0)
        #expect(run.output.contains("create table gloss.job ("))
        #expect(run.output.hasSuffix("pending; nothing was changed.\n"))
    }

    @Test func appliesOnceAndThenNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let migrate = Tool(database, as: .superuser)
        let first = try await migrate("migrate", "--json", "--directory", TestDatabase.migrationsDirectory)
        #expect(first.status == 0, "\(first.errors)")
        #expect(try first.json().first?["applied_now"] as? [String] == Self.names)
        let second = try await migrate("migrate", "--directory", TestDatabase.migrationsDirectory)
        #expect(second.status == 0)
        #expect(second.output.hasSuffix("The schema is up to date.\n"))
    }

    @Test func aChangedMigrationIsRefused() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let folder = try TemporaryFolder()
        for name in Self.names ?? [] {
            let sql = try String(contentsOfFile: "\(TestDatabase.migrationsDirectory)/\(name).sql", encoding: .utf8)
            try folder.write("\(name).sql", name == Self.names?[2] ? sql + "-- changed" : sql)
        }
        let run = try await Tool(database, as: .superuser)("migrate", "--directory", folder.path)
        #expect(run.status == 1)
        #expect(run.errors.contains("migration \(Self.names?[2] ?? "") was changed after it was applied"))
    }

    @Test func migrationsAreFoundBesideTheProgram() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let line = ["-c", "cd / && \"$0\" migrate --dry-run --json --database \"$1\"", Tool.path, database.conninfo()]
        let run = try await Tool.run("/bin/sh", line)
        #expect(run.status == 0, "\(run.errors)")
        #expect((try run.json().first?["pending"] as? [[String: Any]])?.count == Self.names?.count)
        let places = MigrationsOptions.beside(URL(filePath: "/opt/gloss/.build/x86/debug/glossctl"))
        #expect(places == ["/opt/gloss/.build/x86/share/gloss/migrations", "/opt/gloss/migrations"])
    }

    @Test func theVersionIsTheLibrarys() async throws {
        #expect(try await Tool.run(Tool.path, ["--version"]).output == "\(glossVersion)\n")
    }

    @Test func aFolderWithoutMigrationsIsRefused() async throws {
        let run = try await Tool()("migrate", "--directory", "/nonexistent")
        #expect(run.status == 1)
        #expect(run.errors == "glossctl: migrate: there are no migrations in /nonexistent\n")
    }
}

@Suite struct ConnectionTests {
    @Test(arguments: ["status", "jobs"])
    func noServer(command: String) async throws {
        let run = try await Tool()(command, "--database", "postgres://me:secret@127.0.0.1:1/x")
        #expect(run.status == 69)
        #expect(run.errors.hasPrefix("glossctl: connect: "))
        #expect(!run.errors.contains("secret"))
        #expect(run.output == "")
    }

    @Test func aBadConnectionStringIsNotRepeated() async throws {
        let run = try await Tool()("status", environment: ["GLOSS_DATABASE": "pasword=secret"])
        #expect(run.status == 69)
        #expect(run.errors.contains("the connection string cannot be read"))
        #expect(!run.errors.contains("secret"))
    }

    @Test func theDatabaseComesFromTheOptionOrTheEnvironment() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let conninfo = database.conninfo(as: .admin)
        #expect(try await Tool()("status", environment: ["GLOSS_DATABASE": conninfo]).status == 0)
        #expect(try await Tool()("--database", conninfo, "status").status == 0)
        let option = try await Tool()(
            "status", "--database", conninfo, environment: ["GLOSS_DATABASE": "host=/nonexistent"])
        #expect(option.status == 0)
    }

    @Test func aDatabaseWithoutTheSchemaSaysSo() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let run = try await Tool(database, as: .superuser)("status")
        #expect(run.status == 1)
        #expect(run.errors.hasSuffix("does the database have gloss's schema? Run: glossctl migrate\n"))
    }

    @Test func aRoleWithoutRightsIsTold() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let run = try await Tool(database, as: .worker)("status")
        #expect(run.status == 1)
        #expect(run.errors.contains("your role has no right to this"))
    }

    @Test(arguments: [
        ["nonsense"], ["jobs", "--limit", "0"], ["enqueue", "vqa", "http://a/b"], ["pause"], ["job", "x"],
    ])
    func wrongCommandLines(arguments: [String]) async throws {
        let run = try await Tool.run(Tool.path, arguments)
        #expect(run.status == 64)
    }

    @Test(arguments: [
        "migrate", "enqueue", "enqueue caption", "enqueue vqa", "enqueue detect", "enqueue multiview", "enqueue from",
        "status", "jobs", "job", "retry", "cancel", "pause", "resume", "results", "report", "infer",
    ])
    func helpHasExamplesAndExitCodes(command: String) async throws {
        let run = try await Tool.run(Tool.path, command.split(separator: " ").map(String.init) + ["--help"])
        #expect(run.status == 0)
        #expect(run.output.contains("EXAMPLES\n  glossctl \(command)") || command == "migrate")
        #expect(run.output.contains("EXIT CODES\n  0   done"))
    }
}
