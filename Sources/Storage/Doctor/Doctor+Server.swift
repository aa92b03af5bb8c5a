import Glibc

// Is PostgreSQL well, and is there room?

extension Doctor {
    private struct Holder: Decodable {
        var who: String
        var end: String
        var age: Int
        var seconds: Double?
    }

    /// Who keeps deleted rows from being cleaned up: a transaction, a prepared one, or a replication slot.
    func horizon() async throws -> [Diagnosis] {
        let holders = try await session.rows(
            Holder.self,
            """
            select * from (
                select format('session %s (%s, as %s%s)', a.pid, coalesce(nullif(a.application_name, ''), 'no name'),
                        coalesce(r.rolname, 'nobody'), ', ' || a.state) as who,
                    format('select pg_terminate_backend(%s)', a.pid) as "end",
                    greatest(age(a.backend_xmin), age(a.backend_xid)) as age,
                    extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds
                from pg_stat_activity a left join pg_roles r on r.oid = a.usesysid
                where coalesce(a.backend_xmin, a.backend_xid) is not null and a.pid <> pg_backend_pid()
                  and (a.datname is null or a.datname = current_database())
                union all
                select format('the prepared transaction %s (as %s)', gid, owner), format('rollback prepared %L', gid),
                    age(transaction), extract(epoch from clock_timestamp() - prepared)
                from pg_prepared_xacts where database = current_database()
                union all
                select format('the replication slot %s', slot_name), format('select pg_drop_replication_slot(%L)', slot_name),
                    age(xmin), null
                from pg_replication_slots where xmin is not null
            ) x order by seconds desc nulls last, age desc
            """, context: "horizon")
        let findings = holders.compactMap(finding)
        if !findings.isEmpty { return findings }
        guard let oldest = holders.first else { return [Diagnosis("horizon", .ok, "no transaction is open")] }
        if oldest.seconds == nil {
            return [
                Diagnosis(
                    "horizon", .unseen, "\(oldest.who) is \(oldest.age) transactions old; since when is hidden",
                    advice: "grant pg_read_all_stats to your role to see it")
            ]
        }
        return [Diagnosis("horizon", .ok, "the oldest transaction is \(span(oldest.seconds ?? 0)) old")]
    }

    private func finding(_ holder: Holder) -> Diagnosis? {
        let level: Diagnosis.Level
        if let seconds = holder.seconds {
            guard seconds >= limits.transaction.warning else { return nil }
            level = seconds >= limits.transaction.error ? .error : .warning
        } else {
            guard holder.age >= limits.transactionAge.warning else { return nil }
            level = holder.age >= limits.transactionAge.error ? .error : .warning
        }
        let time = holder.seconds.map { " for \(span($0))" } ?? ", since when is hidden from your role"
        return Diagnosis(
            "horizon", level,
            "\(holder.who) has kept deleted rows from being cleaned up\(time); \(holder.age) transactions began since",
            advice: "if nobody needs it: \(holder.end); idle_in_transaction_session_timeout ends the forgotten ones")
    }

    private struct NarrowTable: Decodable {
        var name: String
        var bytes: Int
        var live: Int
        var dead: Int
        var off: Bool
        var vacuumed: String?
    }

    /// The tables through which every job goes must stay small.
    func bloat() async throws -> [Diagnosis] {
        let tables = try await session.rows(
            NarrowTable.self,
            """
            select c.relname as name, pg_total_relation_size(c.oid) as bytes, s.n_live_tup as live, s.n_dead_tup as dead,
                current_setting('autovacuum') = 'off' or coalesce('autovacuum_enabled=false' = any (c.reloptions)
                    or 'autovacuum_enabled=off' = any (c.reloptions), false) as off,
                to_char(greatest(s.last_autovacuum, s.last_vacuum), 'YYYY-MM-DD HH24:MI') as vacuumed
            from pg_class c join pg_stat_all_tables s on s.relid = c.oid
            where c.relnamespace = 'gloss'::regnamespace
              and c.relname in ('ready', 'scheduled', 'leased', 'paused_job', 'tally', 'total', 'registered_worker', 'checkpoint')
            """, context: "bloat")
        var findings = tables.filter(\.off).map {
            Diagnosis(
                "bloat", .error, "autovacuum is off for gloss.\($0.name)",
                advice: "turn it on (autovacuum = on, alter table gloss.\($0.name) reset (autovacuum_enabled))")
        }
        findings += tables.compactMap(finding)
        let total = tables.reduce(0) { $0 + $1.bytes }
        return findings.isEmpty ? [Diagnosis("bloat", .ok, "the queue's narrow tables take \(bytes(total))")] : findings
    }

    private func finding(_ table: NarrowTable) -> Diagnosis? {
        let vacuumed = table.vacuumed.map { ", vacuumed last at \($0)" } ?? ", never vacuumed"
        if table.dead > limits.deadRows && table.dead > table.live {
            return Diagnosis(
                "bloat", .warning,
                "gloss.\(table.name) has \(table.dead) deleted rows and \(table.live) others\(vacuumed)",
                advice: "see horizon for who keeps them; then: vacuum gloss.\(table.name)")
        }
        // A row with its share of the indexes takes less than 200 bytes in the narrow tables.
        guard table.bytes > limits.tableBytes, table.bytes > 10 * 200 * table.live else { return nil }
        return Diagnosis(
            "bloat", .warning, "gloss.\(table.name) takes \(bytes(table.bytes)) for \(table.live) rows\(vacuumed)",
            advice: "when the queue is quiet: vacuum full gloss.\(table.name) (it locks the table), or reindex table "
                + "concurrently gloss.\(table.name)")
    }

    /// A real round trip: what daemons wait for must arrive.
    func notify() async throws -> [Diagnosis] {
        guard try await !session.isPooled() else {
            return [
                Diagnosis(
                    "notify", .warning,
                    "a connection pooler is between, which passes no notifications on: daemons see new jobs when they poll",
                    advice: "connect daemons directly if a job is to start at once")
            ]
        }
        let channel = "gloss_doctor_\(getpid())"
        let listener = Listener(settings, channel: channel)
        guard await listener.wait(timeout: .seconds(5)) else {
            return [
                Diagnosis(
                    "notify", .error, "LISTEN fails",
                    advice: "see the server's log: daemons see new jobs when they poll")
            ]
        }
        let start = ContinuousClock.now
        do {
            _ = try await session.query("select pg_notify($1, '')", [SQLValue(channel)], context: "notify")
        } catch let error as StorageError where error.sqlState == "42501" {
            return [
                Diagnosis(
                    "notify", .error, "NOTIFY is refused: \(error.message)",
                    advice: "grant execute on function pg_notify(text, text) to public")
            ]
        }
        let arrived = await listener.wait(timeout: .seconds(5))
        let milliseconds = start.duration(to: .now).milliseconds
        await listener.close()
        guard arrived else {
            return [
                Diagnosis(
                    "notify", .error,
                    "a notification did not arrive within 5 s: daemons see new jobs only when they poll",
                    advice: "see the server's log, and what is between it and this machine")
            ]
        }
        let usage = try await session.query("select round(100 * pg_notification_queue_usage())", context: "notify")
        if let percent = usage.scalar.flatMap({ Double($0) }), percent >= 10 {
            return [
                Diagnosis(
                    "notify", percent >= 50 ? .error : .warning, "the queue of notifications is \(Int(percent)) % full",
                    advice: "some session listens and is idle in a transaction: end it (see horizon)")
            ]
        }
        return [Diagnosis("notify", .ok, "a notification arrived after \(milliseconds) ms")]
    }

    func clock() async throws -> [Diagnosis] {
        let before = now()
        let answer = try await session.query("select extract(epoch from clock_timestamp())", context: "clock").scalar
        let after = now()
        guard let database = answer.flatMap({ Double($0) }) else { throw StorageError.unexpected("clock") }
        // The database read its clock at some moment in between.
        let off = database < before ? before - database : max(0, database - after)
        let which = database < before ? "ahead of" : "behind"
        guard off >= limits.clock.warning else {
            return [Diagnosis("clock", .ok, "this machine and the database agree within \(span(off + after - before))")]
        }
        return [
            Diagnosis(
                "clock", off >= limits.clock.error ? .error : .warning,
                "this machine is \(span(off)) \(which) the database",
                advice: "the queue goes by the database's clock alone, but logs do not: set up NTP on both")
        ]
    }

    func connections() async throws -> [Diagnosis] {
        let row =
            try await session.query(
                """
                select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
                    (select count(*) from pg_stat_activity where datid is not null),
                    (select datconnlimit from pg_database where datname = current_database()),
                    (select count(*) from pg_stat_activity where datname = current_database())
                """, context: "connections"
            ).rows.first?.compactMap { $0.flatMap { Int($0) } } ?? []
        guard row.count == 4 else { throw StorageError.unexpected("connections") }
        let isDatabase = row[2] >= 0 && row[2] - row[3] < row[0] - row[1]
        let left = max(0, isDatabase ? row[2] - row[3] : row[0] - row[1])
        let message =
            isDatabase
            ? "\(left) of this database's \(row[2]) connections are left" : "\(left) of \(row[0]) connections are left"
        guard left < limits.connections.warning else { return [Diagnosis("connections", .ok, message)] }
        return [
            Diagnosis(
                "connections", left < limits.connections.error ? .error : .warning, message,
                advice: "each daemon needs 3: raise max_connections"
                    + (isDatabase ? ", or alter database … connection limit" : "") + ", or end idle sessions")
        ]
    }

    func disk() async throws -> [Diagnosis] {
        let size = try await session.query("select pg_database_size(current_database())", context: "disk").scalar
        let taken = "the database takes \(bytes(size.flatMap { Int($0) } ?? 0))"
        let place = try? await session.query(
            "select current_setting('data_directory') where inet_server_addr() is null", context: "disk")
        var status = statvfs()
        guard let directory = place?.scalar, statvfs(directory, &status) == 0 else {
            return [
                Diagnosis(
                    "disk", .unseen, "\(taken); what its disk has left cannot be seen",
                    advice: "seen on the database's own machine, as a role with pg_read_all_settings")
            ]
        }
        let free = Int(status.f_bavail) * Int(status.f_frsize)
        let message = "\(taken), and its disk has \(bytes(free)) left"
        guard free < limits.diskBytes.warning else { return [Diagnosis("disk", .ok, message)] }
        return [
            Diagnosis(
                "disk", free < limits.diskBytes.error ? .error : .warning, message,
                advice:
                    "make room: glossctl prune, or a larger disk; a full one stops PostgreSQL, though no job is lost")
        ]
    }
}
