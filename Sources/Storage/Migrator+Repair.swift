extension Migrator {
    /// Makes again what is missing or was changed since the last migration: functions, views, indexes, constraints, triggers,
    /// defaults, owners and grants. Rows cannot be made again.
    ///
    /// How everything should be is found by running all migrations into an empty schema, within a transaction that does not
    /// keep it. All is one transaction.
    /// - Parameter dryRun: say what would be done, and do nothing.
    /// - Returns: what was made again, in order.
    /// - Throws: `migration` when migrations are pending, or when a table, a column, a type or a sequence is missing.
    public func repair(dryRun: Bool = false) async throws -> [String] {
        do {
            try await session.script(
                "begin; select pg_advisory_xact_lock(hashtext('gloss.migrate'))", context: "repair")
            let plan = try await plan()
            guard plan.isUpToDate else {
                throw StorageError.migration("migrations are pending", hint: "Run glossctl migrate first.")
            }
            let (expected, rights) = try await reference()
            // Owners first: only an owner may replace a function.
            try await makeRoles(plan.applied, context: "repair")
            try await session.script("set local role gloss_owner", context: "repair")
            let repairs = try Self.repairs(expected, found: try await definitions())
            try await make(repairs)
            for right in rights {
                _ = try await session.query(
                    "insert into gloss.privilege (grantee, privilege, object) values ($1, $2, $3) on conflict do nothing",
                    right.map { SQLValue($0) }, context: "repair")
            }
            try await session.script("select gloss.note_schema()", context: "repair")
            try await defineTasks()
            try await session.script(dryRun ? "rollback" : "commit", context: "repair")
            await session.close()
            return repairs.map { "\($0.kind) \($0.name)" }
        } catch {
            await session.close()
            throw error
        }
    }

    /// What the migrations make, and the rights that they list.
    private func reference() async throws -> (definitions: [Definition], rights: [[String?]]) {
        try await session.script(
            "savepoint reference; alter schema gloss rename to gloss_before_repair", context: "repair")
        for migration in migrations { try await session.script(migration.sql, context: "migration \(migration.name)") }
        try await session.script("select gloss.note_schema()", context: "repair")
        let made = try await definitions()
        let rights = try await session.query(
            "select grantee, privilege, object from gloss.privilege", context: "repair")
        try await session.script("rollback to savepoint reference", context: "repair")
        return (made, rights.rows)
    }

    /// One object of the schema.
    private struct Definition {
        let kind: String
        let name: String
        /// The statement that makes it; for what holds rows, what it looks like.
        let text: String
        /// The statement that takes it away; nil for what holds rows.
        let drop: String?
    }

    /// What has to be made again.
    /// - Throws: `migration` when it holds rows.
    private static func repairs(_ expected: [Definition], found: [Definition]) throws -> [Definition] {
        let present = Dictionary(found.map { ("\($0.kind) \($0.name)", $0.text) }) { first, _ in first }
        let repairs = expected.filter { present["\($0.kind) \($0.name)"] != $0.text }
        let lost = repairs.filter { $0.drop == nil }
        guard lost.isEmpty else {
            let names = lost.map { "\($0.kind) \($0.name)" }.joined(separator: ", ")
            throw StorageError.migration(
                "missing or changed, and not to be made again without its rows: \(names)",
                hint: "Restore the database from a backup.")
        }
        return repairs
    }

    /// Runs the statements in an order in which they work: a function may need a view, and a view a function.
    private func make(_ repairs: [Definition]) async throws {
        var left = repairs
        while !left.isEmpty {
            var (again, refusal) = ([Definition](), StorageError?.none)
            for definition in left {
                do { try await make(definition) } catch let error as StorageError where error.sqlState != nil {
                    refusal = refusal ?? error
                    again.append(definition)
                }
            }
            if let refusal, again.count == left.count { throw refusal }
            left = again
        }
    }

    /// Replaces an object, or takes it away and makes it again.
    private func make(_ definition: Definition) async throws {
        let drop = definition.drop ?? ""
        let canReplace = ["function", "view", "default"].contains(definition.kind)
        let attempts = canReplace ? [definition.text, "\(drop); \(definition.text)"] : ["\(drop); \(definition.text)"]
        var refusal: StorageError?
        for sql in attempts {
            try await session.script("savepoint attempt", context: "repair")
            do {
                return try await session.script(sql, context: "repair \(definition.kind) \(definition.name)")
            } catch let error as StorageError where error.sqlState != nil {
                refusal = refusal ?? error
                try await session.script("rollback to savepoint attempt", context: "repair")
            }
        }
        if let refusal { throw refusal }
    }

    /// All that is in the schema now.
    private func definitions() async throws -> [Definition] {
        let answer = try await session.query(Self.definitionsSQL, context: "repair")
        return answer.rows.map { row in
            Definition(kind: row[0] ?? "", name: row[1] ?? "", text: row[2] ?? "", drop: row[3])
        }
    }

    private static let definitionsSQL = """
        with class as (
            select c.oid, c.relkind, c.relname::text as name, format('gloss.%I', c.relname) as path, c.reloptions
            from pg_class c where c.relnamespace = 'gloss'::regnamespace
        )
        select 'table', c.name, string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then 'not null' end), ', ' order by a.attname), null, 1 as part, 0::bigint as place
        from class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relkind in ('r', 'p') group by c.oid, c.name
        union all
        select case c.relkind when 'S' then 'sequence' else 'type' end, c.name, '', null, 1, 0
        from class c where c.relkind in ('S', 'c')
        union all
        select 'default', c.name || '.' || a.attname,
            format('alter table %s alter column %I set default %s', c.path, a.attname, pg_get_expr(d.adbin, d.adrelid)),
            format('alter table %s alter column %I drop default', c.path, a.attname), 2, 0
        from class c join pg_attrdef d on d.adrelid = c.oid
        join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
        where c.relkind in ('r', 'p') and a.attgenerated = ''
        union all
        select 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid),
            format('drop function if exists %s', p.oid::regprocedure), 3, p.oid::bigint
        from pg_proc p where p.pronamespace = 'gloss'::regnamespace and p.prokind in ('f', 'p')
        union all
        select 'view', c.name, format('create or replace view %s%s as %s', c.path,
            coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''), pg_get_viewdef(c.oid)),
            format('drop view if exists %s', c.path), 4, c.oid::bigint
        from class c where c.relkind = 'v'
        union all
        select 'constraint', c.name || '.' || t.conname,
            format('alter table %s add constraint %I %s', c.path, t.conname, pg_get_constraintdef(t.oid)),
            format('alter table %s drop constraint if exists %I', c.path, t.conname),
            case when t.contype in ('p', 'u') then 5 else 6 end, 0
        from pg_constraint t join class c on c.oid = t.conrelid where t.contype in ('p', 'u', 'c', 'f', 'x')
        union all
        select 'index', c.name, pg_get_indexdef(c.oid), format('drop index if exists %s', c.path), 7, 0
        from class c where c.relkind in ('i', 'I')
            and not exists (select from pg_constraint t where t.conindid = c.oid and t.contype in ('p', 'u', 'x'))
        union all
        select 'trigger', c.name || '.' || t.tgname, pg_get_triggerdef(t.oid)
                || case when t.tgenabled = 'O' then ''
                        else format('; alter table %s disable trigger %I', c.path, t.tgname) end,
            format('drop trigger if exists %I on %s', t.tgname, c.path), 8, 0
        from pg_trigger t join class c on c.oid = t.tgrelid where not t.tgisinternal
        order by part, place, 2
        """
}
