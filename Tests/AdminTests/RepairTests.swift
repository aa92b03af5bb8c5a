import Foundation
import Storage
import TestSupport
import Testing

/// glossctl migrate --repair, and what doctor says before and after.
@Suite struct RepairTests {
    /// The errors that doctor finds with the schema.
    private func errors(_ tool: Tool) async throws -> [String] {
        try await tool("doctor", "--json").json()
            .filter { $0["level"] as? String == "error" && $0["check"] as? String != "daemons" }
            .compactMap { $0["message"] as? String }
    }

    @Test(arguments: [
        ["drop function gloss.explain(bigint)"], ["drop view gloss.caption"], ["drop index gloss.attempt_at"],
        ["revoke execute on function gloss.explain(bigint) from gloss_reader"],
        ["drop view gloss.host", "create view gloss.host as select 1 as x"],
        ["alter table gloss.inbox disable trigger take_inbox"], ["drop trigger take_inbox on gloss.inbox"],
        ["delete from gloss.privilege", "select gloss.grant_rights()"],
        ["drop function gloss.note_schema()", "drop view gloss.depth cascade"],
        ["alter function gloss.schema_version() owner to postgres"],
        ["create or replace function gloss.schema_version() returns int language sql as 'select 99'"],
    ])
    func whatIsBrokenIsMadeAgain(damage: [String]) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = Tool(database, as: .superuser)
        #expect(try await errors(admin) == [])
        try await database.query(
            "select gloss.enqueue_caption('https://a.example/1.jpg', key => 'one'), gloss.enqueue_caption('https://a.example/2.jpg')"
        )
        for sql in damage { try await database.query(sql) }
        #expect(try await errors(admin) != [])
        let dry = try await admin("migrate", "--repair", "--dry-run")
        #expect(dry.status == 0 && dry.output.hasSuffix("Nothing was changed.\n"), "\(dry.errors)")
        #expect(try await errors(admin) != [], "a dry run changes nothing")
        let run = try await admin("migrate", "--repair")
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.hasSuffix("Owners and grants are as the migrations make them.\n"))
        #expect(try await errors(admin) == [], "\(run.output)")
        #expect(try await database.query("select count(*) from gloss.job").scalar == "2", "jobs stay")
        let again = try await admin("migrate", "--repair", "--json")
        #expect(try again.json().first?["repaired"] as? [String] == [])
    }

    @Test func rowsCannotBeMadeAgain() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query("drop view gloss.misplaced_job")
        try await database.query("alter table gloss.attempt drop column reason cascade")
        let run = try await Tool(database, as: .superuser)("migrate", "--repair")
        #expect(run.status == 1)
        #expect(run.errors.contains("without its rows: table attempt"), "\(run.errors)")
        #expect(try await database.query("select to_regclass('gloss.misplaced_job') is null").scalar == "t")
    }

    @Test func pendingMigrationsComeFirst() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let run = try await Tool(database, as: .superuser)("migrate", "--repair")
        #expect(run.status == 1 && run.errors.contains("Run glossctl migrate first"), "\(run.errors)")
    }
}
