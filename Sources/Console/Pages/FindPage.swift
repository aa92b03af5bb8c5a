import Storage

/// From a job's number, or a user's key, to its page.
enum FindPage {
    private static let most = 50

    private struct Job: Decodable {
        var job_id: Int64
        var task: String
        var model: String?
        var key: String?
    }

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        guard let wanted = query["q"] else { return .redirect(to: "/") }
        let (jobs, statements) = try await readers.read { reader in
            let jobs = try await reader.rows(
                Job.self,
                """
                select j.id as job_id, k.task, nullif(k.model, '') as model, j.key
                from gloss.job j join gloss.kind k on k.id = j.kind
                where j.key = \(wanted) or j.id = \(Site.number(wanted).map { "\($0)" })::bigint
                order by j.id desc limit \(most)::int
                """)
            return (jobs, reader.statements)
        }
        if jobs.count == 1 { return .redirect(to: "/job/\(jobs[0].job_id)") }
        let lines = jobs.map { job -> [HTML] in
            [
                "<a href=\"/job/\(job.job_id)\">\(job.job_id)</a>", "\(job.task)", "\(job.model ?? "any")",
                "\((job.key ?? "").shortened(to: 200))",
            ]
        }
        let table = Parts.table(
            "Jobs", ["#Job", "Task", "Model", "Key"], lines, empty: "No job has this number or key.")
        return Layout(
            title: "Find", statements: statements,
            body: "<div class=\"head\"><h1>Find: \(wanted.shortened(to: 200))</h1></div>\(table)"
        ).reply(status: jobs.isEmpty ? 404 : 200)
    }
}
