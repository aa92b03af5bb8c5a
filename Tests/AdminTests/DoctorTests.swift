import Foundation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct DoctorCommandTests {
    private let directory = TestDatabase.migrationsDirectory

    @Test func theExitCodeSaysHowBadItIs() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let tool = Tool(database)
        let idle = try await tool("doctor", "--directory", directory)
        #expect(idle.status == 1, "\(idle.output)\(idle.errors)")
        #expect(idle.output.contains("warning  daemons       no daemon is alive, and 0 jobs wait\n"))
        #expect(idle.output.contains("→ systemctl status glossd"))
        #expect(idle.output.contains("\n0 errors, 1 warnings, "))
        _ = try await Worker(database).claim()
        let well = try await tool("doctor", "--directory", directory, "--json")
        #expect(well.status == 0, "\(well.output)")
        let levels = try well.json().compactMap { $0["level"] as? String }
        #expect(levels.count >= 14 && Set(levels) == ["ok", "unseen"])
        try await database.query("drop index gloss.attempt_at")
        let broken = try await tool("doctor", "--directory", directory)
        #expect(broken.status == 2)
        #expect(broken.output.contains("error    objects       index attempt_at is missing\n"))
    }

    /// With and without migrations at hand.
    @Test func noSchemaIsAnError() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        for arguments in [[], ["--directory", directory], ["--directory", "/nonexistent"]] {
            let line = ["doctor", "--json", "--database", database.conninfo()] + arguments
            let run = try await Tool.run(Tool.path, line)
            #expect(run.status == 2)
            let found = try run.json().filter { $0["level"] as? String == "error" }
            #expect(found.map { $0["check"] as? String } == ["migrations"], "\(run.output)")
        }
    }

    @Test func noDatabaseIsAnError() async throws {
        let run = try await Tool()("doctor", "--json", "--database", "host=/nonexistent password=geheim")
        #expect(run.status == 2)
        #expect(try run.json().map { $0["check"] as? String } == ["server"])
        #expect(!run.output.contains("geheim") && !run.errors.contains("geheim"))
    }
}
