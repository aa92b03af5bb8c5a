import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

@testable import Console

/// What a reviewer does, as plain forms do it.
@Suite struct ReviewTests {
    private func box(_ label: String, _ edges: [Float], _ score: Float, mask: RunLengthMask? = nil) -> Finding {
        Finding(
            label: label, score: score, box: Box(y1: edges[0], x1: edges[1], y2: edges[2], x2: edges[3]), mask: mask)
    }

    /// Three captions, two detections, an object; the console's login may do all of it.
    private func world(as user: TestDatabase.User = .console) async throws -> ConsoleWorld {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            "select gloss.enqueue_caption('https://a.invalid/' || n, key => 'c' || n, batch => 'b') from generate_series(1, 3) n"
        )
        try await database.query(
            """
            select gloss.enqueue_detect('https://a.invalid/d' || n, array['cat', 'dog'], key => 'd' || n, batch => 'b')
            from generate_series(1, 2) n
            """)
        try await database.query(
            "select gloss.enqueue_multiview('o', array['https://a.invalid/1', 'https://a.invalid/2'], batch => 'b')")
        let worker = Worker(database)
        for job in try await worker.claim() {
            switch job.spec.task {
            case .caption:
                try await worker.complete(job, [Worker.text("a \(job.key ?? "") & <b>text</b>\nin two lines")])
            case .detect:
                let boxes = [
                    box("cat", [0.125, 0.25, 0.5, 0.75], 0.75), box("dog", [0.1, 0.123_456, 0.9, 0.987_654], 0.5),
                ]
                try await worker.complete(
                    job, Samples.result([Worker.text("<loc0001> cat")], prompts: job.spec.prompts, findings: boxes))
            default:
                let shares = [
                    AggregatedAnswer(answer: "mug", probability: 0.625),
                    AggregatedAnswer(answer: "cup", probability: 0.375),
                ]
                let views = [Samples.view(0, [["mug"], ["mug"]]), Samples.view(1, [["mug"], ["cup"]])]
                try await worker.complete(job, Samples.result(shares, prompts: job.spec.prompts, views: views))
            }
        }
        return try await ConsoleWorld(database, as: user)
    }

    private func job(_ world: ConsoleWorld, _ key: String) async throws -> Int64 {
        let answer = try await world.database.query("select id from gloss.job where key = $1", [SQLValue(key)])
        return try #require(answer.scalar.flatMap { Int64($0) })
    }

    private func fence(_ world: ConsoleWorld, _ job: Int64) async throws -> String {
        try #require(
            try await world.database.query("select fence from gloss.annotation where job_id = $1", [SQLValue(job)])
                .scalar)
    }

    private func reviews(_ world: ConsoleWorld) async throws -> [String] {
        try await world.database.query(
            "select concat_ws(' ', r.verdict, j.key, r.answer ->> 'text', r.policy, r.note) from gloss.review r join gloss.job j on j.id = r.job_id order by r.id"
        ).rows.compactMap { $0.first ?? nil }
    }

    /// Where a form leads to.
    private func place(_ location: String?) -> Int64? {
        location.flatMap { Int64($0.dropFirst("/review/".count).prefix { $0.isNumber }) }
    }

    @Test func aReviewGoesFromItemToItem() async throws {
        let world = try await world()
        let filter = URLQuery("policy=newest&task=caption&batch=b")
        let start = try await world.get(filter.address("/review"))
        #expect(start.status == 200 && Markup.problem(in: start.text) == nil)
        #expect(
            start.text.contains("formaction=\"/review/next\"") && start.text.contains("<th scope=\"row\">all</th>"))
        #expect(start.text.contains("The same as SQL"))

        var answer = try await world.post("/review/next", filter)
        var seen: [Int64] = []
        for verdict in ["accept", "reject", "skip"] {
            let location = try #require(answer.headers["location"])
            let job = try #require(place(location), "\(location)")
            #expect(answer.status == 303 && location.contains("policy=newest&batch=b&task=caption"))
            let page = try await world.get(location)
            #expect(page.status == 200 && Markup.problem(in: page.text) == nil, "\(page.text.suffix(1500))")
            #expect(page.text.contains("&lt;b&gt;text&lt;/b&gt;") && !page.text.contains("<b>text"))
            seen.append(job)
            let form = filter.setting("fence", try await fence(world, job)).setting("verdict", verdict)
                .setting("note", "n \(verdict)")
            answer = try await world.post("/review/\(job)", form)
        }
        #expect(Set(seen).count == 3)
        let end = try #require(answer.headers["location"])
        #expect(end.hasPrefix("/review?policy=newest") && end.contains("none=1"))
        #expect(try await world.get(end).text.contains("Nothing is left to review by this filter."))
        let said = try await reviews(world)
        #expect(said.count == 3 && said[0].hasPrefix("accept c3 a c3 & <b>text</b>\nin two lines newest n accept"))
        #expect(said[1] == "reject c2 newest n reject" && said[2] == "skip c1 newest n skip")
    }

    /// Nobody gets what another one looks at.
    @Test func twoReviewersNeverGetTheSame() async throws {
        let world = try await world()
        var held: [Int64] = []
        for name in ["Ann", "Bob"] {
            let answer = try await world.database.query(
                "select job_id from gloss.review_next('newest', task => 'caption', reviewer => $1)", [SQLValue(name)])
            held.append(try #require(answer.scalar.flatMap { Int64($0) }))
        }
        let own = try await world.post("/review/next", URLQuery("policy=newest&task=caption"))
        let job = try #require(place(own.headers["location"]))
        #expect(!held.contains(job) && Set(held + [job]).count == 3)
        // To begin again gives back what one held.
        let again = try await world.post("/review/next", URLQuery("policy=newest&task=caption"))
        #expect(place(again.headers["location"]) == job)
    }

    @Test func aTextIsEdited() async throws {
        let world = try await world()
        let job = try await job(world, "c1")
        let page = try await world.get("/review/\(job)").text
        #expect(page.contains("name=\"text\"") && page.contains("in two lines</textarea>"))
        let form = URLQuery().setting("fence", try await fence(world, job)).setting("verdict", "edit")
            .setting("text", "mended\r\n<i>text</i>")
        #expect(try await world.post("/review/\(job)", form).status == 303)
        let truth = try await world.database.query("select answer ->> 'text' from gloss.truth").scalar
        #expect(truth == "mended\n<i>text</i>")
        let item = try await world.get("/job/\(job)").text
        #expect(
            item.contains("<h2>Reviews</h2>") && item.contains("mended\n&lt;i&gt;text")
                && item.contains("of this result"))
        let again = try await world.get("/review/\(job)").text
        #expect(again.contains("Edited by you"))
    }

    /// What the form leaves as it was stays exactly so.
    @Test func boxesAreEdited() async throws {
        let world = try await world()
        let job = try await job(world, "d1")
        let page = try await world.get("/review/\(job)").text
        #expect(Markup.problem(in: page) == nil)
        for field in ["name=\"y1\"", "value=\"0.1235\"", "label of box 2", "<template id=\"box-row\">"] {
            #expect(page.contains(field), "\(field)")
        }
        // The filter has a label, too.
        let rows =
            "label=dog&box=1&image=1&box-label=tiger&y1=0.1250&x1=0.2500&y2=0.5000&x2=0.7500"
            + "&box=2&image=1&box-label=dog&y1=0.1000&x1=0.1235&y2=0.9000&x2=0.9877"
            + "&box=%2B1&image=1&box-label=new&y1=0.2&x1=0.2&y2=0.4&x2=0.4&box=%2B2&image=1&box-label=slip&y1=0&x1=0&y2=1&x2=1&gone=%2B2"
        let fence = try await fence(world, job)
        let answer = try await world.post("/review/\(job)", URLQuery("verdict=edit&fence=\(fence)&\(rows)"))
        #expect(answer.status == 303, "\(answer.text.suffix(800))")
        #expect(answer.headers["location"]?.contains("label=dog&said=edit") == true)
        let truth = try await world.database.query(
            """
            select b ->> 'label' || ' ' || (b ->> 'box') from gloss.truth, jsonb_array_elements(answer -> 'boxes') b
            """
        ).rows.compactMap { $0.first ?? nil }
        #expect(
            truth == [
                "tiger [0.125, 0.25, 0.5, 0.75]", "dog [0.1, 0.123456, 0.9, 0.987654]", "new [0.2, 0.2, 0.4, 0.4]",
            ])
        for (rows, word) in [
            ("box=1&image=1&box-label=x&y1=0.5&x1=0&y2=0.5&x2=1", "its top is above its bottom"),
            ("box=1&image=1&box-label=x&y1=a&x1=0&y2=0.5&x2=1", "an edge is a number"),
            ("box=1&box-label=x", "not whole"),
            ("box=1&image=7&box-label=x&y1=0&x1=0&y2=0.5&x2=1", "names no image"),
            ("box=1&image=1&box-label=x&y1=nan&x1=0&y2=0.5&x2=1", "an edge is a number"),
        ] {
            let answer = try await world.post("/review/\(job)", URLQuery("verdict=edit&fence=\(fence)&\(rows)"))
            #expect(answer.status == 400 && answer.text.contains(word), "\(rows): \(answer.text.suffix(600))")
        }
        // All of them deleted: nothing is there, and that is an answer.
        let none = "box=1&image=1&box-label=x&y1=0&x1=0&y2=0.5&x2=1&gone=1"
        #expect(try await world.post("/review/\(job)", URLQuery("verdict=edit&fence=\(fence)&\(none)")).status == 303)
        #expect(try await world.database.query("select answer::text from gloss.truth").scalar == "{\"boxes\": []}")
    }

    /// A mask belongs to its place.
    @Test func aBoxKeepsItsMaskWhileItStays() throws {
        let row = try ResultRow(
            json: """
                {"job_id":1,"task":"segment","text":"","finish_reason":"eos","texts":[""],"image_urls":["https://a"],
                 "prompts":["segment cat"],"model":"m","settings":{}}
                """)
        var masked = row
        masked.findings = try [1, 2].map { n in
            try FoundRow(
                json: """
                    {"job_id":1,"n":\(n),"label":"cat","score":0.5,"y1":0.1,"x1":0.1,"y2":0.9,"x2":0.9,"mask":"04","width":2,
                     "height":2}
                    """)
        }
        let fields = "&image=1&box-label=cat&x1=0.1000&y2=0.9000&x2=0.9000"
        let answer = try ReviewAnswer(URLQuery("box=1&y1=0.1000\(fields)&box=2&y1=0.2000\(fields)"), of: masked)
        let mask = ReviewAnswer.Mask(size: [2, 2], counts: "04")
        #expect(answer.boxes?.map(\.mask) == [mask, nil])
        #expect(try ReviewAnswer(URLQuery("text="), of: try textRow()).json == "{\"text\":\"\"}")
        #expect(throws: BadField.self) { try ReviewAnswer(URLQuery(), of: try textRow()) }
    }

    private func textRow() throws -> ResultRow {
        try ResultRow(
            json: """
                {"job_id":1,"task":"caption","text":"","finish_reason":"eos","texts":[""],"image_urls":["https://a"],
                 "prompts":["caption en"],"model":"m","settings":{}}
                """)
    }

    @Test func anObjectHasItsAnswersToChooseFrom() async throws {
        let world = try await world()
        let job = try await job(world, "o")
        let page = try await world.get("/review/\(job)").text
        #expect(page.contains("<option value=\"cup\"></option>") && Markup.problem(in: page) == nil)
        let form = URLQuery("verdict=edit&text=cup").setting("fence", try await fence(world, job))
        #expect(try await world.post("/review/\(job)", form).status == 303)
        #expect(
            try await world.database.query("select answer::text from gloss.truth").scalar == "{\"answer\": \"cup\"}")
    }

    @Test func theLastVerdictIsUndone() async throws {
        let world = try await world()
        let job = try await job(world, "c2")
        #expect(
            try await world.post("/review/undo", URLQuery("job=\(job)")).headers["location"]
                == "/review/\(job)?nothing=1")
        let form = URLQuery("verdict=reject").setting("fence", try await fence(world, job))
        _ = try await world.post("/review/\(job)", form)
        #expect(try await world.get("/results?reviewed=rejected").text.contains("href=\"/job/\(job)\""))
        let undone = try await world.post("/review/undo", URLQuery("policy=newest"))
        #expect(undone.headers["location"] == "/review/\(job)?policy=newest&undone=1")
        #expect(try await reviews(world).count == 2)
        #expect(try await !world.get("/results?reviewed=rejected").text.contains("href=\"/job/\(job)\""))
        #expect(try await world.get("/job/\(job)").text.contains("<td>undone</td>"))
    }

    /// What was judged is another now.
    @Test func anOlderResultIsNotJudged() async throws {
        let world = try await world()
        let job = try await job(world, "c1")
        let form = URLQuery("verdict=accept").setting("fence", try await fence(world, job))
        try await world.database.query("select gloss.rerun(job => $1)", [SQLValue(job)])
        let answer = try await world.post("/review/\(job)", form)
        #expect(answer.status == 409 && answer.text.contains("has no result now"), "\(answer.text.suffix(400))")
        #expect(try await world.get("/review/\(job)").status == 404)
        for bad in ["verdict=accept", "fence=1", "verdict=maybe&fence=1", "verdict=accept&fence=0"] {
            #expect(try await world.post("/review/\(job)", URLQuery(bad)).status == 400, "\(bad)")
        }
        #expect(try await world.post("/review/next", URLQuery("policy=best")).status == 400)
        #expect(try await world.post("/review/next", URLQuery("batch=none")).status == 400)
        #expect(try await world.get("/review?batch=none").status == 400)
    }

    @Test func resultsAreFilteredByReviews() async throws {
        let world = try await world()
        let jobs = [try await job(world, "c1"), try await job(world, "c2"), try await job(world, "c3")]
        for (job, more) in zip(jobs, ["verdict=accept", "verdict=edit&text=x", "verdict=reject"]) {
            let form = URLQuery(more).setting("fence", try await fence(world, job))
            #expect(try await world.post("/review/\(job)", form).status == 303)
        }
        func shown(_ query: String) async throws -> [Int64] {
            let page = try await world.get("/results?task=caption&\(query)").text
            return jobs.filter { page.contains("<a href=\"/job/\($0)\" class=\"open\">") }
        }
        #expect(try await shown("reviewed=accepted") == [jobs[0]])
        #expect(try await shown("reviewed=edited") == [jobs[1]])
        #expect(try await shown("reviewed=rejected") == [jobs[2]])
        #expect(try await shown("reviewed=not") == [])
        #expect(try await shown("answer=A+C1+%26+%3Cb%3Etext%3C%2Fb%3E%0Ain+two+lines") == [jobs[0]])
        #expect(try await shown("most=0.5") == [])
        #expect(try await shown("least=0.5").count == 3)
        #expect(try await world.get("/results?reviewed=perhaps").status == 400)
    }

    /// Who is no reviewer may look, and PostgreSQL refuses the rest.
    @Test func readersMayLook() async throws {
        let world = try await world(as: .reader)
        let job = try await job(world, "c1")
        let start = try await world.get("/review").text
        #expect(!start.contains("/review/next") && start.contains("no reviewer here"))
        let page = try await world.get("/review/\(job)").text
        #expect(!page.contains("<form id=\"review\"") && page.contains("may only look"))
        let fence = try await fence(world, job)
        for target in ["/review/next", "/review/\(job)", "/review/undo"] {
            let answer = try await world.post(target, URLQuery("verdict=accept&fence=\(fence)"))
            #expect(answer.status == 403, "\(target): \(answer.status)")
        }
        #expect(try await reviews(world).isEmpty)
        #expect(try await world.get("/review/next").status == 404)
    }

    @Test func nothingOfTheUsersIsMarkup() async throws {
        let database = try await ConsoleWorld.hostileQueue()
        try await ConsoleWorld.finish(database, sha256: String(repeating: "b", count: 64))
        let world = try await ConsoleWorld(database, as: .console)
        let hostile = URLQuery().setting("batch", ConsoleWorld.markup).setting("label", ConsoleWorld.turned)
        var targets = ["/review", hostile.address("/review"), "/compare?with=truth", "/compare?batch=b"]
        for key in [ConsoleWorld.markup, "answer", "boxes", "object \(ConsoleWorld.turned)"] {
            let job = try await job(world, key)
            let form = URLQuery("verdict=accept").setting("fence", try await fence(world, job))
                .setting("note", ConsoleWorld.markup)
            #expect(try await world.post("/review/\(job)", form).status == 303)
            targets += [hostile.address("/review/\(job)"), "/job/\(job)"]
        }
        for target in targets {
            let page = try await world.get(target)
            #expect(page.status == 200, "\(target): \(page.text.suffix(800))")
            if let problem = Markup.problem(in: page.text) { Issue.record("\(target): \(problem)") }
            for markup in ["<script>alert", "<img src=x", "\u{202E}", "\u{2066}", "style=", "javascript:"] {
                #expect(!page.text.contains(markup), "\(target): \(markup)")
            }
            #expect(page.text.contains("The same as SQL"), "\(target)")
        }
    }
}
