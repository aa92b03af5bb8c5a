import Storage

/// What the queue does now: batches, daemons, what failed in the last hour, hosts that are left alone.
enum OverviewPage {
    private static let mostBatches = 40

    /// What failed of late, by its code.
    private struct Failing: Decodable {
        var code: String
        var count: Int
        var last_at: String
        var example: String?
        var job_id: Int64
    }

    /// All that is read.
    private struct Answers {
        var depth: [DepthRow]
        var batches: [BatchRow]
        var workers: [WorkerRow]
        var failing: [Failing]
        var hosts: [HostRow]
        var statements: [Statement]
        var now: String?
    }

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let (at, name) = (query["before"], query["before_batch"])
        let answers = try await readers.read { reader in
            Answers(
                depth: try await reader.rows(DepthRow.self, "select * from gloss.depth"),
                batches: try await reader.rows(
                    BatchRow.self,
                    """
                    select * from gloss.batch_progress
                    where \(at)::timestamptz is null or (created_at, batch) < (\(at)::timestamptz, \(name ?? ""))
                    order by created_at desc, batch desc limit \(mostBatches + 1)::int
                    """),
                workers: try await reader.rows(
                    WorkerRow.self, "select * from gloss.worker where alive order by worker desc limit 100"),
                failing: try await reader.rows(
                    Failing.self, "select * from gloss.recent_failure order by count desc"),
                hosts: try await reader.rows(HostRow.self, "select * from gloss.host order by host limit 200"),
                statements: reader.statements,
                now: try await reader.scalar("select to_jsonb(now()) #>> '{}'", isShown: false))
        }
        return Layout(
            title: "Overview", section: .overview, statements: answers.statements, body: body(answers, query)
        ).reply()
    }

    private static func body(_ answers: Answers, _ query: URLQuery) -> HTML {
        let total = { (count: (DepthRow) -> Int) in answers.depth.reduce(0) { $0 + count($1) } }
        let dead = total(\.dead)
        let tiles: [HTML] = [
            tile(total(\.done), "done"), tile(total(\.running), "running"), tile(total(\.waiting), "waiting"),
            "<li class=\"\(dead > 0 ? "bad" : "")\"><b>\(Formats.count(dead))</b>dead</li>",
            tile(answers.workers.count, answers.workers.count == 1 ? "daemon" : "daemons"),
        ]
        return """
            <div class="head"><h1>Overview</h1><p>at \(Parts.time(answers.now)) · <a href="/">look again</a></p></div>
            <ul class="tiles">\(tiles)</ul>
            <h2>Batches</h2>\(batches(answers.batches, query))
            <h2>Daemons</h2>\(workers(answers.workers))
            <h2>Failed attempts of the last hour</h2>\(failing(answers.failing))
            \(hosts(answers.hosts))
            <h2>Jobs by task and model</h2>\(depth(answers.depth))
            """
    }

    private static func tile(_ number: Int, _ words: String) -> HTML {
        "<li><b>\(Formats.count(number))</b>\(words)</li>"
    }

    private static func batches(_ rows: [BatchRow], _ query: URLQuery) -> HTML {
        let shown = rows.prefix(mostBatches)
        let lines = shown.map { row -> [HTML] in
            let of = URLQuery().setting("batch", row.batch)
            let state: HTML =
                row.paused
                ? "<span class=\"warn\">paused</span>"
                : row.left == 0
                    ? "<span class=\"soft\">finished</span>" : "\(row.eta_seconds.map(Formats.duration) ?? "")"
            return [
                "<a href=\"\(of.address("/results"))\">\(row.batch)</a>", progress(row),
                "\(Formats.count(row.done)) / \(Formats.count(row.total))", dead(row, of),
                "\(row.rate.map { Formats.rate(perSecond: $0) } ?? "")", state, Parts.time(row.created_at),
            ]
        }
        let last = rows.count > mostBatches ? shown.last : nil
        let next = last.map { query.setting("before", $0.created_at).setting("before_batch", $0.batch).address("/") }
        return Parts.table(
            "Batches", ["Batch", "Done", "#Jobs", "#Dead", "#Rate", "Left", "Since"], lines,
            empty: "No batch has been enqueued yet.") + Parts.more(next, "Older batches")
    }

    private static func progress(_ row: BatchRow) -> HTML {
        let all = Double(max(row.total, 1))
        let (done, dead) = (Double(row.done) / all, Double(row.dead) / all)
        return """
            <div class="progress"><svg class="meter" aria-hidden="true"><rect width="\(HTML.share(done))" height="100%"/>\
            <rect class="dead" x="\(HTML.share(done))" width="\(HTML.share(dead))" height="100%"/></svg>\
            <span class="p">\(row.total == 0 ? "" : Formats.fixed(done * 100, 1) + "%")</span></div>
            """
    }

    private static func dead(_ row: BatchRow, _ of: URLQuery) -> HTML {
        guard row.dead > 0 else { return "0" }
        return "<a class=\"bad\" href=\"\(of.address("/failures"))\">\(Formats.count(row.dead))</a>"
    }

    private static func workers(_ rows: [WorkerRow]) -> HTML {
        Parts.table(
            "Daemons", ["Host", "#Process", "Version", "Models", "#Running", "#Heard", "Takes jobs"],
            rows.map { row in
                let models = row.models.map { $0.count == 64 ? String($0.prefix(12)) : $0 }.joined(separator: " ")
                let state: HTML =
                    row.holdup.map { "<span class=\"warn\">no: \($0)</span>" } ?? "<span class=\"good\">yes</span>"
                return [
                    "\(row.host)", "\(row.pid)", "\(row.version)", "\(models)", "\(Formats.count(row.running))",
                    "\(Formats.duration(seconds: row.silent_seconds)) ago", state,
                ]
            }, empty: "No daemon is alive: is glossd running?")
    }

    private static func failing(_ rows: [Failing]) -> HTML {
        Parts.table(
            "Failed attempts of the last hour", ["Code", "#Attempts", "Last", "Example", "#Job"],
            rows.map { row in
                [
                    "<code>\(row.code)</code>", "\(Formats.count(row.count))", Parts.time(row.last_at),
                    "\((row.example ?? "").shortened(to: 300))", "<a href=\"/job/\(row.job_id)\">\(row.job_id)</a>",
                ]
            }, empty: "None.")
    }

    private static func hosts(_ rows: [HostRow]) -> HTML {
        guard !rows.isEmpty else { return "" }
        return "<h2>Hosts that are left alone</h2>"
            + Parts.table(
                "Hosts that are left alone", ["Host", "#For", "Reason"],
                rows.map { row in
                    [
                        "\(row.host)", "\(row.seconds_left.map(Formats.duration) ?? "paused")",
                        "\(row.reason.shortened(to: 300))",
                    ]
                }, empty: "")
    }

    private static func depth(_ rows: [DepthRow]) -> HTML {
        Parts.table(
            "Jobs by task and model", ["Task", "Model", "#Waiting", "#Running", "#Done", "#Dead", "#Oldest", "State"],
            rows.map { row in
                [
                    "\(row.task)", "\(row.model.map { $0.shortened(to: 40) } ?? "any")",
                    "\(Formats.count(row.waiting))",
                    "\(Formats.count(row.running))", "\(Formats.count(row.done))", "\(Formats.count(row.dead))",
                    "\(row.oldest_seconds.map(Formats.duration) ?? "")",
                    row.paused ? "<span class=\"warn\">paused</span>" : "",
                ]
            }, empty: "No job has been enqueued yet.")
    }
}
