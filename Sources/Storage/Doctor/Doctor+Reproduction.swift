import Queue

// Do results come out again?

extension Doctor {
    /// What came of results that were run again: the last time on each machine.
    private struct Reproductions {
        var outcome: String
        var count: Int
        /// The first five jobs.
        var jobs: String
        /// Where they were run again, and where the results come from.
        var hosts: String, origins: String

        var description: String {
            "jobs \(jobs)\(count > 5 ? " …" : ""), run again on \(hosts), recorded by \(origins)"
        }
    }

    func reproduction() async throws -> [Diagnosis] {
        let all = try await session.query(
            """
            with last as (
                select distinct on (r.job_id, r.fence, r.host) r.job_id, r.outcome, r.host, w.host as origin
                from gloss.reproduction r
                left join gloss.annotation a on a.job_id = r.job_id and a.fence = r.fence
                left join gloss.superseded s on s.job_id = r.job_id and s.fence = r.fence
                left join gloss.registered_worker w on w.id = coalesce(a.worker, s.worker)
                where r.at > now() - interval '7 days'
                order by r.job_id, r.fence, r.host, r.at desc, r.id desc)
            select outcome, count(*), array_to_string((array_agg(job_id order by job_id))[1:5], ', '),
                string_agg(distinct host, ', '), coalesce(string_agg(distinct origin, ', '), 'a machine not known any more')
            from last group by outcome order by count(*) desc, outcome
            """, context: "reproduction"
        ).rows.map { row in
            Reproductions(
                outcome: row[0] ?? "", count: row[1].flatMap { Int($0) } ?? 0, jobs: row[2] ?? "", hosts: row[3] ?? "",
                origins: row[4] ?? "")
        }
        guard !all.isEmpty else { return [Diagnosis("reproduction", .ok, "no result was run again within 7 days")] }
        let total = all.reduce(0) { $0 + $1.count }
        let words = all.map { "\($0.count) \($0.outcome.replacing("_", with: " "))" }.joined(separator: ", ")
        let message = "of \(total) results that were run again within 7 days \(words)"
        let findings = all.compactMap { one -> Diagnosis? in
            switch one.outcome {
            case "differs", "failed":
                Diagnosis(
                    "reproduction", .error, "\(message): \(one.description)",
                    advice:
                        "glossctl reproduce JOB says what differs; run it on a third machine: one of these computes wrong,"
                        + " or somebody changed the result")
            case "other_version":
                Diagnosis(
                    "reproduction", .warning, "\(message): \(one.description)",
                    advice:
                        "this version of gloss computes other bits than the one that gave them: CHANGELOG.md may say why"
                )
            default: nil
            }
        }
        return findings.isEmpty ? [Diagnosis("reproduction", .ok, message)] : findings
    }
}
