import Foundation
import Images
import Storage
import TestSupport
import Testing

@testable import Console

/// Pages as a browser gets them.
@Suite struct ConsoleTests {
    private static let digest = String(repeating: "b", count: 64)

    private func world() async throws -> ConsoleWorld {
        let database = try await ConsoleWorld.hostileQueue()
        try await ConsoleWorld.finish(database, sha256: Self.digest)
        try await database.query(
            """
            select gloss.keep_evaluation(jsonb_build_object('metric', 'vqa', 'variant', $1::text,
                'labels_sha256', repeat('a', 64), 'model', 'm', 'model_digest', repeat('a', 64), 'gloss_version', '0',
                'n', 3, 'selection', jsonb_build_object('batch', $1::text, 'missing', 'error'),
                'not_scored', jsonb_build_array(jsonb_build_object('reason', $1::text, 'count', 2)),
                'figures', '[{"name": "accuracy", "value": 0.5, "count": 3, "low": 0.25, "high": 0.75},
                             {"name": "CIDEr-D", "value": null, "count": 0}]'::jsonb))
            """, [SQLValue(ConsoleWorld.markup)])
        return try await ConsoleWorld(database)
    }

    private func job(_ world: ConsoleWorld, _ key: String) async throws -> Int64 {
        let answer = try await world.database.query("select id from gloss.job where key = $1", [SQLValue(key)])
        return try #require(answer.scalar.flatMap { Int64($0) })
    }

    /// Every page, whatever is in the queue, is whole without a script, says its SQL, and holds nobody's markup.
    @Test func everyPageIsWholeAndHarmless() async throws {
        let world = try await world()
        var targets = ["/", "/results", "/objects", "/failures", "/evaluations", "/evaluations/1"]
        for key in [ConsoleWorld.markup, "answer", "boxes", "gone", "waiting", "object \(ConsoleWorld.turned)"] {
            targets.append("/job/\(try await job(world, key))")
        }
        let batch = URLQuery().setting("batch", ConsoleWorld.markup).text
        targets += [
            "/results?\(batch)", "/failures?batch=b&code=http_404", "/failures?code=http_404&host=gone.example",
            "/results?label=cat&low=0.5&high=0.9&order=lowest", "/results?text=%25_%5C", "/objects?below=0.9",
            "/results?finish=length&task=caption&model=m&order=highest", "/find?q=nothing",
        ]
        for target in targets {
            let page = try await world.get(target)
            #expect(page.status == (target.hasPrefix("/find") ? 404 : 200), "\(target): \(page.text.suffix(1500))")
            if let problem = Markup.problem(in: page.text) { Issue.record("\(target): \(problem)") }
            for markup in ["<script>alert", "<img src=x", "\u{202E}", "\u{2066}", "style=", "javascript:"] {
                #expect(!page.text.contains(markup), "\(target): \(markup)")
            }
            #expect(page.text.contains("The same as SQL"), "\(target)")
            #expect(page.headers["cache-control"] == "no-store", "\(target)")
            #expect(page.text.utf8.count < 400_000, "\(target): \(page.text.utf8.count)")
        }
    }

    @Test func everyAnswerIsGuarded() async throws {
        let world = try await ConsoleWorld(try await PrivatePostgres.shared.makeDatabase())
        for target in ["/", "/style.css", "/nothing", "/picture/1/1?w=320", "/results?low=x"] {
            for headers in [[:], ["Cookie": nil], ["Host": "evil.example"]] as [[String: String?]] {
                let answer = try await world.ask("GET", target, headers)
                let policy = try #require(answer.headers["content-security-policy"])
                #expect(policy.hasPrefix("default-src 'none'; ") && !policy.contains("unsafe") && !policy.contains("*"))
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                #expect(answer.headers["referrer-policy"] == "same-origin")
                #expect(answer.headers["cross-origin-resource-policy"] == "same-origin")
                #expect(answer.headers["cross-origin-opener-policy"] == "same-origin")
                #expect(answer.headers["access-control-allow-origin"] == nil)
            }
        }
    }

    /// The link, the cookie that it gives, and what comes without: also over the wire.
    @Test func nobodyComesInWithoutTheToken() async throws {
        let world = try await ConsoleWorld(try await PrivatePostgres.shared.makeDatabase())
        #expect(try await world.ask("GET", "/", ["Cookie": nil]).status == 401)
        #expect(try await world.ask("GET", "/?token=wrong", ["Cookie": nil]).status == 403)
        let signIn = try await world.ask("GET", "/results?task=vqa&token=\(ConsoleWorld.token)", ["Cookie": nil])
        #expect(signIn.status == 303 && signIn.headers["location"] == "/results?task=vqa")
        let cookie = try #require(signIn.headers["set-cookie"])
        #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
        let kept = String(cookie.prefix { $0 != ";" })
        #expect(try await world.ask("GET", "/results", ["Cookie": kept]).status == 200)
        #expect(
            try await world.ask("GET", "/", ["Cookie": nil, "Authorization": "Bearer \(ConsoleWorld.token)"]).status
                == 200)
        #expect(try await world.ask("GET", "/", ["Host": "annotations.example.org"]).status == 200)
        #expect(try await world.ask("GET", "/", ["Host": "evil.example:\(world.port)"]).status == 421)
        #expect(try await world.ask("GET", "/", ["Host": nil]).status == 421)
        #expect(try await world.ask("POST", "/", ["Origin": "http://evil.example"]).status == 403)
        #expect(try await world.ask("POST", "/", ["Sec-Fetch-Site": "cross-site"]).status == 403)
        #expect(
            try await world.ask("POST", "/", ["Sec-Fetch-Site": "same-origin"]).status == 405, "nothing to do there")
        #expect(try await world.ask("DELETE", "/").status == 405)
        let head = try await world.ask("HEAD", "/")
        #expect(head.status == 200 && head.body.isEmpty)
    }

    /// The filters do what they say.
    @Test func resultsAreFiltered() async throws {
        let world = try await world()
        let jobs = [
            "caption": try await job(world, ConsoleWorld.markup), "answer": try await job(world, "answer"),
            "boxes": try await job(world, "boxes"), "object": try await job(world, "object \(ConsoleWorld.turned)"),
        ]
        func shown(_ query: String) async throws -> Set<String> {
            let page = try await world.get("/results?\(query)").text
            return Set(jobs.filter { page.contains("<a href=\"/job/\($0.value)\" class=\"open\">") }.keys)
        }
        #expect(try await shown("") == ["caption", "answer", "boxes", "object"])
        #expect(try await shown("task=detect") == ["boxes"])
        #expect(try await shown("batch=b") == ["answer", "boxes", "object"])
        #expect(try await shown("batch=none") == [])
        #expect(try await shown(URLQuery().setting("batch", ConsoleWorld.markup).text) == ["caption"])
        #expect(try await shown("label=cat") == ["boxes"])
        #expect(try await shown("label=cat&low=0.8") == [])
        #expect(try await shown("label=cat&low=0.75&high=0.75") == ["boxes"])
        #expect(try await shown("task=detect&low=0.2&high=0.3") == ["boxes"], "any box")
        #expect(try await shown("task=multiview&high=0.7") == ["object"])
        #expect(try await shown("finish=length") == ["caption"])
        #expect(try await shown("finish=eos") == ["answer", "boxes", "object"])
        #expect(try await shown("text=SO") == ["answer"], "a sample that is not the first")
        #expect(try await shown("text=%25") == [], "no pattern")
        #expect(try await shown("model=m") == ["caption", "answer", "boxes", "object"])
        #expect(try await shown("model=\(String(repeating: "a", count: 64))").count == 4)
        #expect(try await shown("model=other") == [])
    }

    /// Each result is on one page of a list, whatever it is sorted by and however many have the same score.
    @Test(arguments: ["newest", "lowest", "highest"])
    func pagesFollowEachOther(order: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            "select gloss.enqueue_caption('https://a.invalid/' || n, key => 'k' || n) from generate_series(1, 60) n")
        let worker = Worker(database)
        for (index, job) in try await worker.claim().enumerated() {
            try await worker.complete(job, [Worker.text("t", index % 3 == 0 ? -0.25 : -0.1)])
        }
        let world = try await ConsoleWorld(database)
        var (target, seen, pages) = ("/results?order=\(order)", [String](), 0)
        while pages < 5 {
            let page = try await world.get(target).text
            pages += 1
            seen += page.components(separatedBy: "<a href=\"/job/").dropFirst()
                .filter { $0.contains("class=\"open\"") }.map { String($0.prefix { $0.isNumber }) }
            guard let link = page.components(separatedBy: "<p class=\"more-link\"><a href=\"").dropFirst().first else {
                break
            }
            target = String(link.prefix { $0 != "\"" }).replacingOccurrences(of: "&amp;", with: "&")
        }
        #expect(pages == 3 && seen.count == 60 && Set(seen).count == 60)
        let sorted = try await database.query(
            "select job_id from gloss.annotation order by \(order == "newest" ? "job_id desc" : order == "lowest" ? "score, job_id" : "score desc, job_id desc")"
        ).rows.compactMap(\.first)
        #expect(seen == sorted)
    }

    @Test func nonsenseInTheAddressIsRefused() async throws {
        let world = try await ConsoleWorld(try await PrivatePostgres.shared.makeDatabase())
        for target in [
            "/results?low=x", "/results?order=sideways", "/results?job=-1", "/results?finish=never",
            "/objects?below=nan",
            "/failures?before=1e9", "/results?batch=%00", "/find?q=%00",
        ] {
            let page = try await world.get(target)
            #expect(page.status == 400, "\(target): \(page.status)")
            #expect(Markup.problem(in: page.text) == nil)
        }
        for target in [
            "/job/0", "/job/01", "/job/x", "/job/1/", "/job", "/evaluations/9", "/%2e%2e/", "/results/", "//", "/job/1",
        ] {
            #expect(try await world.get(target).status == 404, "\(target)")
        }
    }

    /// A page reads with the rights of gloss_reader, whoever the login is, and cannot write.
    @Test func pagesHaveTheRightsOfReaders() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let pool = ReaderPool(database.settings(as: .superuser))
        let role = try await pool.read { try await $0.scalar("select current_user || ' ' || session_user") }
        #expect(role == "gloss_reader postgres")
        for sql in ["delete from gloss.job", "select gloss.pause(everything => true)", "create table x ()"]
            as [Statement]
        {
            await #expect(throws: PageError.self) { _ = try await pool.read { try await $0.scalar(sql) } }
        }
        // The connection is good for the next page.
        #expect(try await pool.read { try await $0.scalar("select 1") } == "1")
        #expect(try await pool.check() == .admin)
        #expect(try await ReaderPool(database.settings(as: .reader)).check() == .reader)
        await #expect(throws: StorageError.self) {
            _ = try await ReaderPool(database.settings(as: .stranger)).check()
        }
        let world = try await ConsoleWorld(database, as: .stranger)
        let page = try await world.get("/")
        #expect(page.status == 503 && page.text.contains("may not become gloss_reader"))
    }

    /// What takes too long is given up, and the page says what it was.
    @Test func slowStatementsAreGivenUp() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        var settings = database.settings(as: .reader)
        settings.statementTimeout = .seconds(1)
        let pool = ReaderPool(settings)
        do {
            _ = try await pool.read { try await $0.scalar("select pg_sleep(60)") }
            Issue.record("it waited")
        } catch let error as PageError {
            #expect(error.isTooSlow && error.statement?.text == "select pg_sleep(60)")
        }
    }

    @Test func countsEnd() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let pool = ReaderPool(database.settings(as: .reader))
        let many = try await pool.read { try await $0.count("select from generate_series(1, 100002)") }
        #expect(many.words == "more than 100,000")
        let few = try await pool.read { try await $0.count("select from generate_series(1, 1234)") }
        #expect(few.words == "1,234")
    }

    /// From codes to hosts to reasons to jobs.
    @Test func failuresAreLookedInto() async throws {
        let world = try await world()
        let gone = try await job(world, "gone")
        let codes = try await world.get("/failures").text
        #expect(codes.contains("<a href=\"/failures?code=http_404\">http_404</a>"))
        let hosts = try await world.get("/failures?code=http_404").text
        #expect(hosts.contains(">gone.example</a>"))
        let reasons = try await world.get("/failures?code=http_404&host=gone.example").text
        #expect(reasons.contains("gone: &lt;script&gt;"))
        for page in [codes, hosts, reasons] { #expect(page.contains("<a href=\"/job/\(gone)\">\(gone)</a>")) }
        #expect(try await world.get("/failures?code=http_500").text.contains("No dead job matches."))
    }

    /// Forms act with the rights of gloss_admin, and only for logins that have them.
    @Test func formsDoWhatTheySay() async throws {
        let database = try await ConsoleWorld.hostileQueue()
        try await ConsoleWorld.finish(database, sha256: Self.digest)
        let (reader, admin) = (try await ConsoleWorld(database), try await ConsoleWorld(database, as: .superuser))
        let (gone, boxes) = (try await job(reader, "gone"), try await job(reader, "boxes"))
        func state(_ job: Int64) async throws -> String? {
            try await database.query("select state from gloss.job_state where job_id = $1", [SQLValue(job)]).scalar
        }
        let batch = URLQuery().setting("batch", "b")
        for target in ["/job/\(gone)", "/job/\(boxes)", "/failures?batch=b"] {
            #expect(try await !reader.get(target).text.contains("<form class=\"action\""), "\(target)")
            let page = try await admin.get(target).text
            #expect(page.contains("<form class=\"action\" method=\"post\""), "\(target)")
            #expect(Markup.problem(in: page) == nil)
        }
        for target in ["/job/\(gone)/retry", "/job/\(boxes)/rerun", "/failures/retry"] {
            #expect(try await reader.post(target, batch.setting("before", "infinity")).status == 403, "\(target)")
            #expect(
                try await admin.ask("POST", target, ["Sec-Fetch-Site": "same-site"], body: batch.text).status == 403)
            #expect(
                try await admin.ask("POST", target, ["Origin": "http://evil.example"], body: batch.text).status == 403)
            #expect(try await admin.get(target).status == 404, "\(target)")
        }
        #expect(try await state(gone) == "dead")
        #expect(try await state(boxes) == "done")

        #expect(try await admin.get("/failures?batch=b").text.contains("Try all 1 again"))
        let other = batch.setting("before", "2000-01-01")
        #expect(try await admin.post("/failures/retry", other).headers["location"] == "/failures?batch=b&put=0")
        #expect(try await state(gone) == "dead", "it died later")
        let narrow = URLQuery("batch=b&code=http_404&host=gone.example")
        #expect(try await admin.get(narrow.address("/failures")).text.contains("Try all 1 again"))
        #expect(try await admin.get(narrow.setting("reason", "x").address("/failures")).text.contains("No dead job"))
        let all = try await admin.post("/failures/retry", narrow.setting("before", "infinity"))
        #expect(all.status == 303 && all.headers["location"] == narrow.setting("put", "1").address("/failures"))
        #expect(try await admin.get("/failures?batch=b&put=1").text.contains("1 job was put back."))
        #expect(try await state(gone) == "ready")
        #expect(try await admin.post("/job/\(boxes)/rerun").headers["location"] == "/job/\(boxes)")
        #expect(try await state(boxes) == "ready")
        #expect(try await admin.get("/job/\(boxes)").text.contains("Results before this one"))
        for form in ["", "batch=b", "before=infinity", "batch=b&before=soon"] {
            #expect(try await admin.post("/failures/retry", URLQuery(form)).status == 400, "\(form)")
        }
        #expect(try await admin.post("/failures/retry", URLQuery("batch=none&before=infinity")).status == 400)
        #expect(try await admin.post("/everything").status == 405)
        let long = try await admin.post(
            "/failures/retry", URLQuery().setting("batch", String(repeating: "x", count: 70_000)))
        #expect(long.status == 413)
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func keysAndNumbersFindTheirJobs() async throws {
        let world = try await world()
        let boxes = try await job(world, "boxes")
        for query in ["boxes", "\(boxes)"] {
            let answer = try await world.get("/find?q=\(query)")
            #expect(answer.status == 303 && answer.headers["location"] == "/job/\(boxes)")
        }
    }

    @Test func doubtHasThreeMeasures() {
        let doubt = Doubt([0.5, 0.25, 0.25])
        #expect(doubt.top == 0.5 && doubt.margin == 0.25 && doubt.entropy == 1.5)
        #expect(Doubt([1]) == Doubt([1, 0]) && Doubt([1]).entropy == 0 && Doubt([]).top == 0)
    }
}
