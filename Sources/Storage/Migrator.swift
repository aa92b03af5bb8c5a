import Annotation
import FoundationEssentials

/// One file of `migrations/`.
public struct Migration: Sendable, Equatable {
    /// The number at the start of the file's name.
    public let version: Int
    /// The file's name without its ending, such as `0001_roles`.
    public let name: String
    /// The SQL.
    public let sql: String

    public init(version: Int, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
    }
}

/// What the database's schema is, next to the migrations on disk.
public struct MigrationPlan: Sendable, Equatable {
    /// The names of the migrations that the database has, in order.
    public var applied: [String]
    /// What `apply` would run, in order.
    public var pending: [Migration]

    /// Whether the database has all migrations.
    public var isUpToDate: Bool { pending.isEmpty }
}

/// Brings the schema `gloss` to the version of the migrations in a directory.
///
/// All pending migrations are one transaction: a failure leaves the database as it was. An advisory lock makes
/// several migrators wait for each other.
public struct Migrator: Sendable {
    /// Where packages install the migrations.
    public static let installedDirectory = "/usr/share/gloss/migrations"

    let session: Session
    let migrations: [Migration]

    /// Reads the migrations in `directory`, files named `NNNN_name.sql`.
    /// - Throws: `migration` when there is none, or when a number is missing or taken twice.
    public init(_ settings: ConnectionSettings, directory: String) throws(StorageError) {
        var settings = settings
        settings.statementTimeout = nil
        session = Session(settings)
        migrations = try Self.read(directory)
    }

    /// What `apply` would do. Changes nothing.
    /// - Throws: `migration` when a migration that the database has was changed or is not on disk.
    public func plan() async throws -> MigrationPlan {
        let ledger = try await session.query(
            "select to_regclass('gloss.schema_migrations') is not null", context: "migrate")
        guard ledger.scalar == "t" else { return MigrationPlan(applied: [], pending: migrations) }
        let applied = try await session.query(
            "select version, name, checksum from gloss.schema_migrations order by version", context: "migrate")
        return try await compare(applied)
    }

    /// Runs what is pending, and writes the tasks that this program knows into `gloss.task`. Owners and grants that a restore
    /// has lost are given again first.
    /// - Returns: the names of the migrations that were run.
    public func apply() async throws -> [String] {
        do {
            try await session.script(
                "begin; select pg_advisory_xact_lock(hashtext('gloss.migrate'))", context: "migrate")
            let plan = try await plan()
            if !plan.applied.isEmpty, try await hasLostRights() {
                try await makeRoles(plan.applied, context: "migrate")
                try await session.script("select gloss.grant_rights()", context: "migrate")
            }
            let pending = plan.pending
            for migration in pending {
                try await session.script(migration.sql, context: "migration \(migration.name)")
            }
            // Not before: the ledger is what one of the first migrations makes.
            for migration in pending { try await note(migration) }
            if !pending.isEmpty { try await session.script("select gloss.note_schema()", context: "migrate") }
            try await defineTasks()
            try await session.script("commit", context: "migrate")
            await session.close()
            return pending.map(\.name)
        } catch {
            await session.close()
            throw error
        }
    }

    /// Whether something belongs to another role than gloss_owner, or a grant is missing: the database was restored, perhaps
    /// into a cluster without the roles.
    private func hasLostRights() async throws -> Bool {
        let strangers = """
            select exists (
                select from pg_class where relnamespace = 'gloss'::regnamespace and pg_get_userbyid(relowner) <> 'gloss_owner'
                union all
                select from pg_proc where pronamespace = 'gloss'::regnamespace and pg_get_userbyid(proowner) <> 'gloss_owner'
                union all
                select from pg_namespace where nspname = 'gloss' and pg_get_userbyid(nspowner) <> 'gloss_owner')
            """
        if try await session.query(strangers, context: "migrate").scalar == "t" { return true }
        let missing = """
            select exists (
                select name from gloss.schema_object where kind = 'grant'
                except
                select name from gloss.schema_objects() where kind = 'grant')
            """
        return try await session.query(missing, context: "migrate").scalar == "t"
    }

    /// Makes the roles that a restore may have lost, and gives everything to its owner: runs those migrations again that may
    /// be, of those that the database has. Ends as gloss_owner.
    func makeRoles(_ applied: [String], context: String) async throws {
        for migration in migrations where migration.name.hasSuffix("_roles") && applied.contains(migration.name) {
            try await session.script(migration.sql, context: "migration \(migration.name)")
        }
    }

    private func note(_ migration: Migration) async throws {
        _ = try await session.query(
            """
            insert into gloss.schema_migrations (version, name, checksum)
            values ($1, $2, encode(sha256(convert_to($3, 'UTF8')), 'hex'))
            """,
            [SQLValue(migration.version), SQLValue(migration.name), SQLValue(migration.sql)],
            context: "migration \(migration.name)")
    }

    func defineTasks() async throws {
        try await session.script("set local role gloss_owner", context: "migrate")
        for task in TaskName.all {
            _ = try await session.query(
                "select gloss.define_task($1::jsonb)", [try JSON.encode(TaskRow(task), context: "migrate")],
                context: "task \(task.name)")
        }
    }

    private func compare(_ applied: ResultSet) async throws -> MigrationPlan {
        var names: [String] = []
        for row in applied.rows {
            let (version, name, checksum) = (row[0] ?? "", row[1] ?? "", row[2])
            guard let migration = migrations.first(where: { String($0.version) == version }) else {
                throw StorageError.migration(
                    "the database has migration \(name), which this program does not know",
                    hint: "Install the version of gloss that made it, or a newer one.")
            }
            guard migration.name == name, try await self.checksum(migration.sql) == checksum else {
                throw StorageError.migration(
                    "migration \(name) was changed after it was applied",
                    hint: "Applied migrations never change; put the file back and add a new one.")
            }
            names.append(name)
        }
        return MigrationPlan(applied: names, pending: migrations.filter { !names.contains($0.name) })
    }

    private func checksum(_ sql: String) async throws -> String? {
        try await session.query(
            "select encode(sha256(convert_to($1, 'UTF8')), 'hex')", [SQLValue(sql)], context: "migrate"
        ).scalar
    }

    private static func read(_ directory: String) throws(StorageError) -> [Migration] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        let migrations = try names.filter { $0.hasSuffix(".sql") }.sorted().map { file throws(StorageError) in
            try Self.migration(file, in: directory)
        }
        guard !migrations.isEmpty else { throw .migration("there are no migrations in \(directory)") }
        for (index, migration) in migrations.enumerated() where migration.version != index + 1 {
            throw .migration("\(directory): expected migration number \(index + 1), found \(migration.name)")
        }
        return migrations
    }

    private static func migration(_ file: String, in directory: String) throws(StorageError) -> Migration {
        guard let version = Int(file.prefix(4)), let data = FileManager.default.contents(atPath: directory + "/" + file)
        else { throw .migration("\(directory)/\(file): cannot be read, or is not named like 0001_name.sql") }
        return Migration(version: version, name: String(file.dropLast(4)), sql: String(decoding: data, as: UTF8.self))
    }
}

extension StorageError {
    /// The migrations do not fit.
    static func migration(_ message: String, hint: String? = nil) -> StorageError {
        StorageError(code: .migration, context: "migrate", message: message, hint: hint)
    }
}
