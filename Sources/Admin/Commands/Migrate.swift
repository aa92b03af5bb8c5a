import ArgumentParser
import Foundation
import Storage

/// `glossctl migrate`
struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Brings the database's schema up to date.",
        discussion: """
            All pending migrations are one transaction: a failure leaves the database as it was. Safe to run at any \
            time and from several places. Needed: a superuser, or CREATEROLE and CREATE on the database.

            EXAMPLES
              createdb gloss && glossctl migrate --database dbname=gloss
              glossctl migrate --dry-run --show-sql
              glossctl migrate --repair          after glossctl doctor found objects or grants changed

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @OptionGroup var migrations: MigrationsOptions

    @Flag(help: "Only say what is applied and what is pending.")
    var dryRun = false

    @Flag(help: "Show the SQL of what is pending.")
    var showSql = false

    @Flag(help: "Make again what is missing or was changed: functions, views, indexes, constraints, owners, grants.")
    var repair = false

    func validate() throws {
        if repair && showSql { throw ValidationError("--repair and --show-sql exclude each other.") }
    }

    func run() async throws {
        let migrator = try Migrator(database.settings(statementTimeout: nil), directory: try Self.place(migrations))
        if repair { return try sayRepaired(try await migrator.repair(dryRun: dryRun)) }
        let plan = try await migrator.plan()
        if showSql && !format.json { plan.pending.forEach { Console.say("-- \($0.name)\n\($0.sql)") } }
        let ran = dryRun ? [] : try await migrator.apply()
        try format.json ? sayJSON(plan, ran) : say(plan, ran)
    }

    /// Where the migrations are.
    static func place(_ migrations: MigrationsOptions) throws -> String {
        if let found = migrations.found { return found }
        throw CommandError(
            .failed,
            "there are no migrations beside this program, in \(Migrator.installedDirectory) or ./migrations; use --directory"
        )
    }

    private func say(_ plan: MigrationPlan, _ ran: [String]) {
        let palette = Palette.output
        for name in plan.applied { Console.say("\(palette.paint("applied", .dim))  \(name)") }
        for name in ran { Console.say("\(palette.paint("applied now", .green))  \(name)") }
        if dryRun { plan.pending.forEach { Console.say("\(palette.paint("pending", .yellow))  \($0.name)") } }
        if !ran.isEmpty {
            Console.say("\(ran.count) migration\(ran.count == 1 ? "" : "s") applied.")
        } else if plan.isUpToDate {
            Console.say("The schema is up to date.")
        } else {
            Console.say("\(plan.pending.count) pending; nothing was changed.")
        }
    }

    private func sayRepaired(_ objects: [String]) throws {
        if format.json { return try JSONText.say([dryRun ? "would_repair" : "repaired": objects]) }
        for object in objects { Console.say("\(dryRun ? "to be made again" : "made again")  \(object)") }
        let done = dryRun ? "Nothing was changed." : "Owners and grants are as the migrations make them."
        Console.say(objects.isEmpty ? "Nothing is missing. \(done)" : done)
    }

    private func sayJSON(_ plan: MigrationPlan, _ ran: [String]) throws {
        struct Answer: Encodable {
            struct Pending: Encodable {
                var name: String
                var sql: String?
            }
            var applied: [String]
            var applied_now: [String]
            var pending: [Pending]
        }
        let pending = plan.pending.filter { !ran.contains($0.name) }
        try JSONText.say(
            Answer(
                applied: plan.applied, applied_now: ran,
                pending: pending.map { Answer.Pending(name: $0.name, sql: showSql ? $0.sql : nil) }))
    }
}
