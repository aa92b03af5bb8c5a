// Is the schema what the migrations made, and may everybody do their part?

extension Doctor {
    func server() async throws -> [Finding] {
        struct Row: Decodable {
            var version: String
            var number: Int
            var standby: Bool
            var who: String
        }
        let rows = try await session.rows(
            Row.self,
            """
            select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
                pg_is_in_recovery() as standby, session_user::text as who
            """, context: "server")
        guard let row = rows.first else { throw StorageError.unexpected("server") }
        if row.standby {
            return [
                Finding(
                    "server", .error, "this server is a standby, on which nothing can be written",
                    advice: "connect to the primary: add target_session_attrs=read-write to the connection string")
            ]
        }
        if row.number < 150_000 {
            return [Finding("server", .error, "PostgreSQL \(row.version) is too old", advice: "15 or later is needed")]
        }
        return [Finding("server", .ok, "PostgreSQL \(row.version), seen as \(row.who)")]
    }

    func migrations() async throws -> [Finding] {
        guard let directory else {
            return [
                Finding(
                    "migrations", .unseen, "there are no migrations here to compare the database with",
                    advice: "say where they are with --directory")
            ]
        }
        let plan = try await Migrator(settings, directory: directory).plan()
        if plan.applied.isEmpty {
            return [
                Finding("migrations", .error, "the database has no schema gloss", advice: "run: glossctl migrate")
            ]
        }
        if !plan.isUpToDate {
            let names = plan.pending.map(\.name).joined(separator: ", ")
            return [Finding("migrations", .error, "not applied yet: \(names)", advice: "run: glossctl migrate")]
        }
        return [Finding("migrations", .ok, "all \(plan.applied.count) are applied, and none was changed since")]
    }

    private struct Drift: Decodable {
        var kind: String
        var name: String
        var what: String
        var is_comparable: Bool
    }

    /// Differences between what the last migration left and what is there now.
    func objects() async throws -> [Finding] {
        let drifts = try await session.rows(
            Drift.self,
            """
            with was as (
                select *, server = current_setting('server_version_num')::int / 10000 as is_comparable
                from gloss.schema_object)
            select kind, name, coalesce(w.is_comparable, true) as is_comparable,
                case when n.name is null then 'missing' when w.name is null then 'added' else 'changed' end as what
            from was w full join gloss.schema_objects() n using (kind, name)
            where w.name is null or n.name is null or w.digest <> n.digest
            order by kind, name
            """, context: "objects")
        let count = try await session.query("select count(*) from gloss.schema_object", context: "objects").scalar
        guard count != "0" else {
            return [Finding("objects", .unseen, "the database does not know what the migrations made")]
        }
        var findings = drifts.filter { $0.is_comparable || $0.what != "changed" }.map(finding)
        if drifts.contains(where: { !$0.is_comparable }) {
            findings.append(
                Finding(
                    "objects", .unseen, "definitions that another major version of PostgreSQL wrote cannot be compared")
            )
        }
        let whole = Finding(
            "objects", .ok, "all \(count ?? "") functions, tables, indexes and grants are as they were made")
        return findings.isEmpty ? [whole] : findings
    }

    private func finding(_ drift: Drift) -> Finding {
        let isGrant = drift.kind == "grant"
        let check = isGrant ? "grants" : "objects"
        switch (drift.what, isGrant) {
        case ("missing", true):
            return Finding(check, .error, "missing: \(drift.name)", advice: "put it back: grant \(drift.name)")
        case ("added", true):
            let advice = "unless you want that: revoke \(drift.name.replacing(" to ", with: " from "))"
            return Finding(check, .warning, "not gloss's own: \(drift.name)", advice: advice)
        case ("added", _):
            let advice = "a later migration may stumble over it; keep what is yours in a schema of its own"
            return Finding(check, .warning, "\(drift.kind) \(drift.name) is not gloss's own", advice: advice)
        default:
            let advice = "put it back as \(directory ?? Migrator.installedDirectory) has it"
            return Finding(check, .error, "\(drift.kind) \(drift.name) is \(drift.what)", advice: advice)
        }
    }

    func roles() async throws -> [Finding] {
        struct Row: Decodable {
            var role: String
            var there: Bool
            var may_log_in: Bool
            var logins: [String]
        }
        let rows = try await session.rows(
            Row.self,
            """
            select n as role, r.oid is not null as there, coalesce(r.rolcanlogin, false) as may_log_in,
                array(select m.rolname::text from pg_roles m where m.rolcanlogin and not m.rolsuper and m.oid <> r.oid
                      and pg_has_role(m.oid, r.oid, 'member') order by 1) as logins
            from unnest(array['gloss_owner', 'gloss_producer', 'gloss_worker', 'gloss_reader', 'gloss_admin']) n
            left join pg_roles r on r.rolname = n
            """, context: "roles")
        var findings = rows.filter { !$0.there }.map {
            Finding("roles", .error, "the role \($0.role) does not exist", advice: "create role \($0.role) nologin")
        }
        findings += rows.filter(\.may_log_in).map {
            let advice = "alter role \($0.role) nologin; and give it to log-ins of their own"
            return Finding("roles", .warning, "\($0.role) may log in itself", advice: advice)
        }
        if let worker = rows.first(where: { $0.role == "gloss_worker" }), worker.there, worker.logins.isEmpty {
            let advice = "create role gloss login in role gloss_worker"
            findings.append(Finding("roles", .warning, "no log-in has gloss_worker, so no daemon can", advice: advice))
        }
        findings += try await daemonsWithTooMuch()
        let known = rows.map { "\($0.role): \($0.logins.isEmpty ? "nobody" : $0.logins.joined(separator: ", "))" }
        return findings.isEmpty ? [Finding("roles", .ok, known.joined(separator: "; "))] : findings
    }

    /// A daemon decodes images of strangers: it should be able to do no more than it must.
    private func daemonsWithTooMuch() async throws -> [Finding] {
        let rows = try await session.query(
            """
            select distinct r.rolname, r.rolsuper from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
            where a.application_name = 'glossd' and a.datname = current_database()
              and (r.rolsuper or pg_has_role(r.oid, 'gloss_owner', 'member') or pg_has_role(r.oid, 'gloss_admin', 'member'))
            """, context: "roles")
        return rows.rows.map { row in
            let (name, what) = (row[0] ?? "", row[1] == "t" ? "a superuser" : "more than a worker")
            return Finding(
                "roles", .warning, "a daemon is connected as \(name), which is \(what)",
                advice: "give it a log-in that has gloss_worker and nothing else")
        }
    }
}
