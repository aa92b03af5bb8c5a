import Queue

// Is the work being done?

extension Doctor {
    private struct Daemon: Decodable {
        var worker: Int64
        var host: String
        var pid: Int
        var version: String
        var models: [String]
        var adapters: [String: String]
        var silent_seconds: Double
        var running: Int
        var alive: Bool
        var holdup: String?

        var name: String { "\(host) (pid \(pid))" }

        /// What computes the answers to jobs that ask for each of its names.
        var digests: [(name: String, digest: String, adapter: String?)] {
            guard models.count > 1, let own = models.last else { return [] }
            return [(models[0], own, nil)] + adapters.map { ($0.key, own, $0.value) }
        }
    }

    /// One of a daemon's names, and what it stands for there.
    private struct Served {
        var host: String
        var digest: String
        var adapter: String?

        var description: String {
            "\(host): \(digest.prefix(12))\(adapter.map { " with \($0.prefix(12))" } ?? "")"
        }
    }

    private func allDaemons() async throws -> [Daemon] {
        try await session.rows(
            Daemon.self, "select * from gloss.worker where stopped_at is null order by worker", context: "daemons")
    }

    func daemons() async throws -> [Diagnosis] {
        let all = try await allDaemons()
        let alive = all.filter(\.alive)
        var findings = all.filter { !$0.alive }.map { stale($0, isAnyAlive: !alive.isEmpty) }
        findings += alive.compactMap { daemon in
            daemon.holdup.map { Diagnosis("daemons", .warning, "\(daemon.name) takes no jobs: \($0)") }
        }
        let versions = Set(alive.map(\.version)).sorted()
        if versions.count > 1 || versions.contains(where: { $0 != glossVersion }) {
            findings.append(
                Diagnosis(
                    "daemons", .warning,
                    "versions differ: daemons \(versions.joined(separator: ", ")), glossctl \(glossVersion)",
                    advice: "finish the upgrade: systemctl restart glossd where the old one runs"))
        }
        if alive.isEmpty { findings.append(try await nobody()) }
        let held = alive.reduce(0) { $0 + $1.running }
        let good = Diagnosis("daemons", .ok, "\(alive.count) alive, of version \(glossVersion), holding \(held) jobs")
        return findings.isEmpty ? [good] : findings
    }

    private func nobody() async throws -> Diagnosis {
        let waiting = try await session.query("select coalesce(sum(waiting), 0) from gloss.depth", context: "daemons")
        let count = waiting.scalar ?? "0"
        return Diagnosis(
            "daemons", count == "0" ? .warning : .error, "no daemon is alive, and \(count) jobs wait",
            advice: "systemctl status glossd, and journalctl -u glossd, say why")
    }

    private func stale(_ daemon: Daemon, isAnyAlive: Bool) -> Diagnosis {
        Diagnosis(
            "daemons", daemon.running > 0 && !isAnyAlive ? .error : .warning,
            "\(daemon.name) has been silent for \(span(daemon.silent_seconds)), holding \(daemon.running) jobs",
            advice: isAnyAlive
                ? "after rescue_seconds another one takes them back; look at that machine"
                : "its jobs wait until some daemon is alive: start one")
    }

    /// Jobs that nobody serves, and models of one name that are not the same.
    func models() async throws -> [Diagnosis] {
        var findings = try await session.query(
            """
            select d.task, d.model, d.waiting from gloss.depth d
            where d.waiting > 0 and exists (select from gloss.worker where alive) and not exists (
                select from gloss.registered_worker i join gloss.worker w on w.worker = i.id and w.alive
                where (d.model is null or d.model = any (i.models)) and d.task = any (i.tasks))
            """, context: "models"
        ).rows.map { row in
            let what =
                "\(row[2] ?? "") jobs of \(row[0] ?? "") ask for \(row[1].map { "the model \($0)" } ?? "any model")"
            return Diagnosis(
                "models", .error, "\(what), and no daemon that is alive serves them",
                advice: "start a daemon with it, or cancel them: select gloss.cancel(…)")
        }
        var served: [String: [Served]] = [:]
        for daemon in try await allDaemons() where daemon.alive {
            for (name, digest, adapter) in daemon.digests {
                served[name, default: []].append(Served(host: daemon.name, digest: digest, adapter: adapter))
            }
        }
        findings += served.sorted { $0.key < $1.key }.compactMap(ambiguous)
        let names = served.keys.sorted().joined(separator: ", ")
        return findings.isEmpty ? [Diagnosis("models", .ok, "served: \(names.isEmpty ? "none" : names)")] : findings
    }

    /// A name that is not the same everywhere.
    private func ambiguous(_ name: String, _ all: [Served]) -> Diagnosis? {
        guard Set(all.map { [$0.digest, $0.adapter] }).count > 1 else { return nil }
        let hasAdapters = all.contains { $0.adapter != nil }
        let what = hasAdapters ? "adapters, or adapters of different models" : "models or precisions"
        return Diagnosis(
            "models", .warning,
            "the name \(name) stands for different \(what): \(all.map(\.description).joined(separator: ", "))",
            advice:
                "give them names of their own (\(hasAdapters ? "adapters" : "model_name")), or jobs of one batch get"
                + " answers of both")
    }

    func misplaced() async throws -> [Diagnosis] {
        let reasons = try await session.query(
            "select count(*), min(job_id), reason from gloss.misplaced_job group by reason order by reason",
            context: "misplaced")
        guard !reasons.rows.isEmpty else {
            return [Diagnosis("misplaced", .ok, "every job is in exactly one state")]
        }
        return reasons.rows.map { row in
            Diagnosis(
                "misplaced", .error,
                "\(row[0] ?? "") jobs are misplaced, job \(row[1] ?? "") first: \(row[2] ?? "")",
                advice: "somebody changed tables by hand, or it is a bug to report: select * from gloss.misplaced_job")
        }
    }

    func dead() async throws -> [Diagnosis] {
        let row = try await session.query(
            """
            with d as (select code from gloss.dead_job where died_at > now() - interval '1 hour' and code <> 'cancelled' limit 100000)
            select (select count(*) from d), (select mode() within group (order by code) from d),
                (select count(*) from (select from gloss.annotation
                    where finished_at > now() - interval '1 hour' limit 100000) x),
                (select count(*) from gloss.dead_job where died_at > now() - interval '1 day' and code = 'poison')
            """, context: "dead"
        ).rows.first
        guard let row, row.count == 4, let dead = row[0].flatMap({ Int($0) }), let done = row[2].flatMap({ Int($0) })
        else { throw StorageError.unexpected("dead") }
        let share = Double(dead) / Double(max(dead + done, 1))
        let percent = Int((share * 100).rounded())
        let message = "of the jobs that ended within an hour \(dead) are dead and \(done) are done"
        var findings: [Diagnosis] = []
        if dead >= 10 && share >= limits.deadShare.warning {
            findings.append(
                Diagnosis(
                    "dead", share >= limits.deadShare.error ? .error : .warning,
                    "\(message): \(percent) %, most of them \(row[1] ?? "")",
                    advice: "glossctl status shows examples; once the reason is gone: glossctl retry --batch NAME"))
        }
        if let poison = row[3], poison != "0" {
            findings.append(
                Diagnosis(
                    "dead", .warning, "\(poison) jobs were quarantined within a day: daemons died with them",
                    advice: "select * from gloss.dead where code = 'poison'; and look into the daemons' logs"))
        }
        return findings.isEmpty ? [Diagnosis("dead", .ok, message)] : findings
    }
}
