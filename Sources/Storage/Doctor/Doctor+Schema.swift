// Is the schema what the migrations made, and may everybody do their part?

import Annotation

extension Doctor {
    func server() async throws -> [Diagnosis] {
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
                Diagnosis(
                    "server", .error, "this server is a standby, on which nothing can be written",
                    advice: "connect to the primary: add target_session_attrs=read-write to the connection string")
            ]
        }
        if row.number < 150_000 {
            return [
                Diagnosis("server", .error, "PostgreSQL \(row.version) is too old", advice: "15 or later is needed")
            ]
        }
        return [Diagnosis("server", .ok, "PostgreSQL \(row.version), seen as \(row.who)")]
    }

    func migrations() async throws -> [Diagnosis] {
        guard let directory else {
            return [
                Diagnosis(
                    "migrations", .unseen, "there are no migrations here to compare the database with",
                    advice: "say where they are with --directory")
            ]
        }
        let plan = try await Migrator(settings, directory: directory).plan()
        if plan.applied.isEmpty {
            return [
                Diagnosis("migrations", .error, "the database has no schema gloss", advice: "run: glossctl migrate")
            ]
        }
        if !plan.isUpToDate {
            let names = plan.pending.map(\.name).joined(separator: ", ")
            return [Diagnosis("migrations", .error, "not applied yet: \(names)", advice: "run: glossctl migrate")]
        }
        return [Diagnosis("migrations", .ok, "all \(plan.applied.count) are applied, and none was changed since")]
    }

    private struct Drift: Decodable {
        var kind: String
        var name: String
        var what: String
    }

    /// Differences between what the last migration left and what is there now. PostgreSQL writes some definitions anew in each
    /// major version: they are compared within one.
    func objects() async throws -> [Diagnosis] {
        let drifts = try await session.rows(
            Drift.self,
            """
            select kind, name,
                case when n.name is null then 'missing' when w.name is null then 'added' else 'changed' end as what
            from gloss.schema_object w full join gloss.schema_objects() n using (kind, name)
            where w.name is null or n.name is null or w.digest <> n.digest
                or w.definition <> n.definition and w.server = current_setting('server_version_num')::int / 10000
            order by kind, name
            """, context: "objects")
        let count = try await session.query("select count(*) from gloss.schema_object", context: "objects").scalar
        guard count != "0" else {
            return [Diagnosis("objects", .unseen, "the database does not know what the migrations made")]
        }
        let findings = drifts.map(finding)
        let whole = Diagnosis(
            "objects", .ok, "all \(count ?? "") functions, tables, indexes and grants are as they were made")
        return findings.isEmpty ? [whole] : findings
    }

    private func finding(_ drift: Drift) -> Diagnosis {
        let isGrant = drift.kind == "grant"
        let check = isGrant ? "grants" : "objects"
        switch (drift.what, isGrant) {
        case ("missing", true):
            return Diagnosis(check, .error, "missing: \(drift.name)", advice: "run: glossctl migrate --repair")
        case ("added", true):
            let advice = "unless you want that: revoke \(drift.name.replacing(" to ", with: " from "))"
            return Diagnosis(check, .warning, "not gloss's own: \(drift.name)", advice: advice)
        case ("added", _):
            let advice = "a later migration may stumble over it; keep what is yours in a schema of its own"
            return Diagnosis(check, .warning, "\(drift.kind) \(drift.name) is not gloss's own", advice: advice)
        default:
            let advice = "run: glossctl migrate --repair"
            return Diagnosis(check, .error, "\(drift.kind) \(drift.name) is \(drift.what)", advice: advice)
        }
    }

    /// Differences between the tasks of this program and those of the database.
    func tasks() async throws -> [Diagnosis] {
        struct Name: Decodable {
            var name: String
        }
        let known = Dictionary(uniqueKeysWithValues: TaskName.all.map { ($0.name.rawValue, TaskRow($0)) })
        let names = try await session.rows(Name.self, "select name from gloss.task order by name", context: "tasks")
        let rows = try await session.rows(
            TaskRow.self, "select * from gloss.task where name = any ($1::text[])", [SQLValue(known.keys.sorted())],
            context: "tasks")
        let defined = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0) })
        var diagnoses = known.keys.sorted().filter { defined[$0] == nil }.map {
            Diagnosis("tasks", .error, "the database does not know the task \($0)", advice: "run: glossctl migrate")
        }
        diagnoses += defined.keys.sorted().filter { defined[$0] != known[$0] }.map {
            let advice = "run glossctl migrate of the version whose daemons are at work"
            return Diagnosis("tasks", .warning, "the task \($0) is another than this version's", advice: advice)
        }
        let newer = names.map(\.name).filter { known[$0] == nil }
        diagnoses += newer.map {
            let advice = "its jobs wait for a daemon of a version that does"
            return Diagnosis("tasks", .warning, "this version does not know the task \($0)", advice: advice)
        }
        let whole = Diagnosis("tasks", .ok, names.map(\.name).joined(separator: ", "))
        return diagnoses.isEmpty ? [whole] : diagnoses
    }

    func roles() async throws -> [Diagnosis] {
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
            from unnest(array['gloss_owner', 'gloss_producer', 'gloss_worker', 'gloss_reader', 'gloss_reviewer',
                'gloss_admin', 'gloss_console']) n
            left join pg_roles r on r.rolname = n
            """, context: "roles")
        var findings = rows.filter { !$0.there }.map {
            Diagnosis("roles", .error, "the role \($0.role) does not exist", advice: "create role \($0.role) nologin")
        }
        // The console's is there to log in: it has no right until it becomes another.
        findings += rows.filter { $0.may_log_in && $0.role != "gloss_console" }.map {
            let advice = "alter role \($0.role) nologin; and give it to log-ins of their own"
            return Diagnosis("roles", .warning, "\($0.role) may log in itself", advice: advice)
        }
        if let worker = rows.first(where: { $0.role == "gloss_worker" }), worker.there, worker.logins.isEmpty {
            let advice = "create role gloss login in role gloss_worker"
            findings.append(
                Diagnosis("roles", .warning, "no log-in has gloss_worker, so no daemon can", advice: advice))
        }
        findings += try await missingMemberships()
        findings += try await daemonsWithTooMuch()
        let known = rows.map { "\($0.role): \($0.logins.isEmpty ? "nobody" : $0.logins.joined(separator: ", "))" }
        return findings.isEmpty ? [Diagnosis("roles", .ok, known.joined(separator: "; "))] : findings
    }

    /// The console becomes one of the other roles, and a reviewer reads what a reader does.
    private func missingMemberships() async throws -> [Diagnosis] {
        let missing = try await session.query(
            """
            select m.role, m.member
            from (values ('gloss_reader', 'gloss_reviewer'), ('gloss_reader', 'gloss_console'),
                ('gloss_reviewer', 'gloss_console'), ('gloss_admin', 'gloss_console')) m (role, member)
            join pg_roles r on r.rolname = m.role join pg_roles n on n.rolname = m.member
            where not exists (select from pg_auth_members x where x.roleid = r.oid and x.member = n.oid)
            """, context: "roles")
        return missing.rows.map { row in
            Diagnosis(
                "roles", .error, "\(row[1] ?? "") is no member of \(row[0] ?? "")",
                advice: "run: glossctl migrate --repair")
        }
    }

    /// A daemon decodes images of strangers: it should be able to do no more than it must.
    private func daemonsWithTooMuch() async throws -> [Diagnosis] {
        let rows = try await session.query(
            """
            select distinct r.rolname, r.rolsuper from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
            where a.application_name = 'glossd' and a.datname = current_database()
              and (r.rolsuper or pg_has_role(r.oid, 'gloss_owner', 'member') or pg_has_role(r.oid, 'gloss_admin', 'member'))
            """, context: "roles")
        return rows.rows.map { row in
            let (name, what) = (row[0] ?? "", row[1] == "t" ? "a superuser" : "more than a worker")
            return Diagnosis(
                "roles", .warning, "a daemon is connected as \(name), which is \(what)",
                advice: "give it a log-in that has gloss_worker and nothing else")
        }
    }
}
