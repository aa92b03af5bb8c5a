import Foundation
import Storage

/// Dead jobs: by code, then by host, then by reason, then one by one.
enum FailuresPage {
    private static let mostJobs = 50
    private static let mostGroups = 200

    /// A group of dead jobs.
    private struct Group: Decodable {
        var name: String?
        var count: Int
        var hosts: Int
        var last_at: String
        var example: String
    }

    private struct Dead: Decodable {
        var job_id: Int64
        var task: String
        var key: String?
        var batch: String?
        var code: String
        var reason: String
        var died_at: String
        var attempts: Int
        var image_url: String?
    }

    /// What a code means: a row of `gloss.failure_code`.
    private struct Code: Decodable {
        var meaning: String
        var advice: String?
    }

    private struct Retriable: Decodable {
        var count: Int
        var before: String
    }

    private struct Answers {
        var count: Count
        var groups: [Group]
        var code: Code?
        var jobs: [Dead]
        /// What `gloss.retry` would put back, and of jobs that died before when; nil: nothing, or the visitor may not.
        var retriable: Retriable?
        var statements: [Statement]
    }

    static func reply(_ readers: ReaderPool, _ query: URLQuery) async throws -> Reply {
        let before = try BadField.whole(query, "before")
        let filter = Filter(query)
        let answers = try await readers.read { reader in
            let count = try await reader.count("select 1 \(filter.source) where \(filter.conditions)")
            let groups = try await reader.rows(
                Group.self,
                """
                select \(filter.grouping) as name, count(*) as count, count(distinct host) as hosts, max(died_at) as last_at,
                       (array_agg(reason order by died_at desc))[1] as example
                from (
                    select d.code, d.host, d.reason, d.died_at \(filter.source)
                    where \(filter.conditions) order by d.died_at desc limit \(Reader.mostCounted)::int) x
                group by 1 order by 2 desc, 1 limit \(mostGroups)::int
                """)
            let code: [Code]
            if let name = filter.code {
                code = try await reader.rows(
                    Code.self,
                    """
                    select meaning, advice from gloss.failure_code
                    where code in (\(name), regexp_replace(\(name), '^http_[0-9]+$', 'http_*'))
                    order by code = \(name) desc limit 1
                    """, isShown: false)
            } else {
                code = []
            }
            let jobs = try await reader.rows(
                Dead.self,
                """
                select j.id as job_id, k.task, j.key, b.name as batch, d.code, d.reason, d.died_at, d.attempts,
                       (gloss.shown_urls(j.image_urls[1:1]))[1] as image_url
                \(filter.source) join gloss.job j on j.id = d.job_id join gloss.kind k on k.id = j.kind left join gloss.batch b on b.id = j.batch_id
                where \(filter.conditions) and (\(before.map { "\($0)" })::bigint is null or d.job_id < \(before.map { "\($0)" })::bigint)
                order by d.job_id desc limit \(mostJobs + 1)::int
                """)
            let mayAct = try await reader.may(.act)
            let retriable =
                filter.canBeRetried && count.number > 0 && mayAct
                ? try await reader.rows(
                    Retriable.self,
                    """
                    select gloss.would_retry(batch => \(filter.batch), code => \(filter.code), host => \(filter.host),
                               died_before => now()) as count, now() as before
                    """, isShown: false
                ).first : nil
            return Answers(
                count: count, groups: groups, code: code.first, jobs: jobs, retriable: retriable,
                statements: reader.statements)
        }
        return Layout(
            title: "Failures", section: .failures, statements: answers.statements, body: body(answers, filter, query)
        ).reply()
    }

    /// What is asked for.
    private struct Filter {
        let batch, code, host, reason: String?

        init(_ query: URLQuery) {
            (batch, code, host, reason) = (query["batch"], query["code"], query["host"], query["reason"])
        }

        /// Whether `gloss.retry` knows what this asks for, and it is not everything.
        var canBeRetried: Bool { reason == nil && !(batch == nil && code == nil && host == nil) }

        let source: Statement = "from gloss.dead_job d"

        var conditions: Statement {
            var all: [Statement] = []
            if let batch { all.append("d.batch_id = (select id from gloss.batch where name = \(batch))") }
            if let code { all.append("d.code = \(code)") }
            if let host { all.append("d.host = \(host)") }
            if let reason { all.append("d.reason = \(reason)") }
            return .all(all)
        }

        /// The next step down: what the groups are by.
        var step: String { code == nil ? "code" : host == nil ? "host" : "reason" }

        var grouping: Statement { code == nil ? "code" : host == nil ? "host" : "reason" }
    }

    private static func body(_ answers: Answers, _ filter: Filter, _ query: URLQuery) -> HTML {
        let links = query.setting("put", nil)
        let fields = [
            Parts.input("batch", "Batch", filter.batch), Parts.input("code", "Code", filter.code),
            Parts.input("host", "Host", filter.host), Parts.input("reason", "Reason", filter.reason),
        ]
        let advice: HTML =
            answers.code.map { "<p class=\"soft\">\($0.meaning) \($0.advice ?? "")</p>" } ?? ""
        let groups: HTML =
            filter.reason == nil ? "<h2>By \(filter.step)</h2>\(groups(answers.groups, filter, links))" : ""
        return """
            <div class="head"><h1>Failures</h1><p role="status">\(answers.count.words) dead \(answers.count.number == 1 ? "job matches" : "jobs match")</p></div>
            \(Parts.filters("/failures", fields))\(done(query))\(action(answers, filter))\(advice)\(groups)
            <h2>Jobs</h2>\(jobs(answers.jobs, links))
            """
    }

    /// All that match, at once; how many is on the button. Those that die after this page was read are not among them.
    private static func action(_ answers: Answers, _ filter: Filter) -> HTML {
        guard let retriable = answers.retriable, retriable.count > 0 else { return "" }
        let fields = [
            ("batch", filter.batch), ("code", filter.code), ("host", filter.host), ("before", retriable.before),
        ].compactMap { name, value in value.map { (name, $0) } }
        return Actions.button("Try all \(Formats.count(retriable.count)) again", "/failures/retry", fields)
    }

    /// What the action before has done.
    private static func done(_ query: URLQuery) -> HTML {
        guard let count = query["put"].flatMap({ Int($0) }) else { return "" }
        return
            "<p role=\"status\" class=\"good\">\(Formats.count(count)) \(count == 1 ? "job was" : "jobs were") put back.</p>"
    }

    private static func groups(_ rows: [Group], _ filter: Filter, _ query: URLQuery) -> HTML {
        let lines = rows.map { row -> [HTML] in
            let name = row.name ?? "none"
            let address = query.setting("before", nil).setting(filter.step, row.name).address("/failures")
            let hosts: [HTML] = filter.host == nil && filter.code == nil ? ["\(Formats.count(row.hosts))"] : []
            let example: [HTML] = filter.step == "reason" ? [] : ["\(row.example.shortened(to: 240))"]
            return ["<a href=\"\(address)\">\(name.shortened(to: 300))</a>", "\(Formats.count(row.count))"] + hosts
                + [Parts.time(row.last_at)] + example
        }
        let columns =
            [filter.step.capitalized, "#Jobs"] + (filter.code == nil && filter.host == nil ? ["#Hosts"] : []) + ["Last"]
            + (filter.step == "reason" ? [] : ["Example"])
        return Parts.table("Dead jobs by \(filter.step)", columns, lines, empty: "No dead job matches.")
    }

    private static func jobs(_ rows: [Dead], _ query: URLQuery) -> HTML {
        let shown = rows.prefix(mostJobs)
        let lines = shown.map { row -> [HTML] in
            [
                "<a href=\"/job/\(row.job_id)\">\(row.job_id)</a>", "\(row.task)",
                "\((row.key ?? "").shortened(to: 80))",
                "\((row.batch ?? "").shortened(to: 60))", "<code>\(row.code)</code>",
                "\(row.reason.shortened(to: 300))",
                "\(row.attempts)", Parts.time(row.died_at),
                "<code class=\"url\">\((row.image_url ?? "").shortened(to: 120))</code>",
            ]
        }
        let next = rows.count > mostJobs ? shown.last.map { query.setting("before", "\($0.job_id)") } : nil
        return Parts.table(
            "Dead jobs", ["#Job", "Task", "Key", "Batch", "Code", "Reason", "#Attempts", "Died", "Image"], lines,
            empty: "No dead job matches.") + Parts.more(next?.address("/failures"), "Older ones")
    }
}
