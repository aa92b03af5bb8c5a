import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// What is found, the images, and what becomes of both with their result.
@Suite struct ResultRowTests {
    private let database: TestDatabase
    private let admin: Administration
    private let store: PostgresJobStore
    private let worker: WorkerID

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        admin = database.administration()
        store = database.store()
        worker = try await store.register(Samples.worker())
    }

    private static let box = Box(y1: 0, x1: 0.25, y2: 0.5, x2: 1)

    private func sha(_ digit: String) -> String { String(repeating: digit, count: 64) }

    /// Enqueues a job unless it is known, runs it and records what was found, in an image of `sha`.
    private func finish(_ key: String, sha: String, labels: [String] = ["cat"]) async throws {
        let spec = JobSpec(task: .detect, imageURLs: ["https://e.org/\(key)"], texts: ["cat"])
        _ = try await admin.enqueue(spec, EnqueueOptions(key: key, batch: "b"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        var provenance = Samples.provenance()
        provenance.images = [Samples.image(sha256: sha)]
        let found = labels.map { Finding(label: $0, score: 0.5, tokenScore: 0.25, box: Self.box, note: "duplicate") }
        let result = Samples.result([Samples.response("raw")], findings: found, notUnderstood: 2)
        let record = AnnotationRecord(result: result, provenance: provenance)
        #expect(try await store.record([JobReport(job, .completed(record))], by: worker) == [.recorded])
    }

    private func counts(_ tables: String...) async throws -> [String?] {
        #expect(try await database.misplacedJobs() == [])
        let list = tables.map { "(select count(*) from gloss.\($0))" }.joined(separator: ", ")
        return try await database.query("select \(list)").rows[0]
    }

    /// A call names an engine once, also one that nobody has recorded with before.
    @Test func resultsOfACallHaveTheEnginesThatMadeThem() async throws {
        let digests = ["aa", "aa", "bb", "aa", "bb"]
        for number in digests.indices {
            _ = try await admin.enqueue(Samples.caption("https://e.org/\(number)"), EnqueueOptions(key: "\(number)"))
        }
        let jobs = try await store.claim(limit: 9, by: worker)
        let reports = zip(jobs, digests).map { job, digest in
            var provenance = Samples.provenance()
            provenance.engine.digest = String(repeating: digest, count: 32)
            let response = Samples.response(digest, finish: job.key == "3" ? .length : .eos)
            return JobReport(
                job, .completed(AnnotationRecord(result: Samples.result([response]), provenance: provenance)))
        }
        #expect(try await store.record(reports, by: worker) == Array(repeating: .recorded, count: 5))
        let rows = try await database.query(
            "select text, left(model_digest, 2), finish_reason from gloss.result order by key", as: .reader)
        #expect(
            rows.rows == [
                ["aa", "aa", "eos"], ["aa", "aa", "eos"], ["bb", "bb", "eos"], ["aa", "aa", "length"],
                ["bb", "bb", "eos"],
            ])
        #expect(try await counts("engine") == ["2"])
    }

    @Test func whatIsFoundIsARow() async throws {
        try await finish("k", sha: sha("a"), labels: ["cat", "dog"])
        let rows = try await database.query(
            """
            select key, n, image, label, score, token_score, y1, x1, y2, x2, note, image_sha256, width, height
            from gloss.found order by n
            """, as: .reader)
        #expect(
            rows.rows == [
                [
                    "k", "1", "1", "cat", "0.5", "0.25", "0", "0.25", "0.5", "1", "duplicate", sha("a"), "640", "480",
                ],
                [
                    "k", "2", "1", "dog", "0.5", "0.25", "0", "0.25", "0.5", "1", "duplicate", sha("a"), "640", "480",
                ],
            ])
        let result = try await database.query(
            """
            select labels, boxes, not_understood, widths, heights, formats, byte_counts, precision, model, asked_model
            from gloss.result
            """, as: .reader)
        #expect(
            result.rows == [
                [
                    "{cat,dog}", "{0,0.25,0.5,1,0,0.25,0.5,1}", "2", "{640}", "{480}", "{jpeg}", "{51200}", "f32",
                    "tiny", nil,
                ]
            ])
    }

    /// One image of two results is one row, until neither is left.
    @Test func imagesGoWithTheLastResultThatNamesThem() async throws {
        try await finish("one", sha: sha("a"))
        try await finish("two", sha: sha("a"))
        try await finish("three", sha: sha("b"))
        #expect(try await counts("image", "image_use") == ["2", "3"])
        _ = try await database.query("select gloss.forget(key => 'one')")
        try await database.tidy()
        #expect(try await counts("image", "image_use") == ["2", "2"])
        _ = try await database.query("select gloss.forget(key => 'two')")
        try await database.tidy()
        #expect(try await counts("image", "image_use") == ["1", "1"])
        _ = try await admin.prune(Retention(results: "0"))
        try await database.tidy()
        #expect(try await counts("image", "image_use", "finding") == ["0", "0", "0"])
    }

    /// An image is about to be removed when another result names it: it stays, whoever is quicker.
    @Test func anImageThatIsNamedAgainStays() async throws {
        try await finish("one", sha: sha("a"))
        _ = try await database.query("select gloss.forget(key => 'one')")
        let id = try await database.query("select id from gloss.image where idle_since is not null").scalar
        #expect(id != nil)
        try await finish("two", sha: sha("a"))
        try await database.tidy()
        #expect(try await database.query("select id from gloss.image where idle_since is null").scalar == id)
    }

    @Test func findingsAndStagesStayWithASupersededResult() async throws {
        try await finish("k", sha: sha("a"), labels: ["cat", "dog"])
        #expect(try await admin.rerun(.batch("b")) == 1)
        #expect(try await counts("found", "finding", "superseded", "image_use") == ["0", "2", "1", "1"])
        try await finish("k", sha: sha("b"), labels: ["bird"])
        #expect(try await counts("found", "finding", "superseded", "image_use") == ["1", "3", "1", "2"])
        let old = try await database.query(
            """
            select f.label from gloss.superseded s join gloss.finding f on f.job_id = s.job_id and f.fence = s.fence
            order by f.n
            """)
        #expect(old.rows == [["cat"], ["dog"]])
        #expect(try await admin.forget(.batch("b")) == 1)
        try await database.tidy()
        #expect(try await counts("finding", "superseded", "image_use", "image") == ["0", "0", "0", "0"])
    }

    /// Beside the first stage's responses others are kept, with questions and a distribution each.
    @Test func stagesAreKept() async throws {
        _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: "k"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        let first = StageResult(prompts: ["caption en"], views: [Samples.view(0, [["a"]])])
        let second = StageResult(
            prompts: ["answer en what?", "answer en who?"], views: [Samples.view(0, [["x", "y"], ["x", "z"]])],
            distribution: [AggregatedAnswer(answer: "x", probability: 1)])
        let result = AnnotationResult(stages: [first, second], score: -0.5)
        _ = try await store.record([JobReport(job, Samples.completed(result))], by: worker)
        let stages = try await database.query(
            """
            select stage, views, questions, samples, finish, texts, responses, prompts, answers, probabilities
            from gloss.annotation_stage
            """)
        #expect(
            stages.rows == [
                [
                    "2", "1", "2", "2", "eeee", "{x,y,z}", "{0,1,0,2}", "{\"answer en what?\",\"answer en who?\"}",
                    "{x}", "{1}",
                ]
            ])
    }

    /// Who sorts by score reads one index, whatever the task.
    @Test func resultsSortByScore() async throws {
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls)
            select 'caption', array['https://e.org/' || i] from generate_series(1, 200) i
            """)
        let jobs = try await store.claim(limit: 200, by: worker)
        let outcomes = jobs.enumerated().map { index, job in
            JobReport(
                job,
                Samples.completed(Samples.result([Samples.response("t\(index)", sum: -Float(index * 7 % 200))])))
        }
        _ = try await store.record(outcomes, by: worker)
        let best = "select score from gloss.result where task = 'caption' order by score desc limit 3"
        #expect(try await database.query(best).rows == [["0"], ["-0.5"], ["-1"]])
        let session = database.session()
        _ = try await session.query("analyze gloss.annotation")
        _ = try await session.query("set enable_seqscan = off")
        let plan = try await session.query("explain \(best)").rows.compactMap { $0[0] }.joined()
        #expect(plan.contains("annotation_score") && !plan.contains("Sort"), "\(plan)")
        await session.close()
    }

    /// An image that stands in its URL comes back as a digest and a length, once as asked and once as fetched.
    @Test func resultsDoNotRepeatDataURLs() async throws {
        let url = "data:image/png;base64," + String(repeating: "A", count: 300_000)
        _ = try await admin.enqueue(Samples.caption(url), EnqueueOptions(key: "k"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        #expect(job.spec.imageURLs == [url])
        var provenance = Samples.provenance()
        provenance.images = [Samples.image(url)]
        let record = AnnotationRecord(result: Samples.result([Samples.response("a")]), provenance: provenance)
        _ = try await store.record([JobReport(job, .completed(record))], by: worker)
        let row = try await database.query(
            """
            select r.image_urls[1], r.final_urls[1], c.image_url, length(j.image_urls[1])
            from gloss.result r join gloss.caption c using (job_id) join gloss.job j on j.id = r.job_id
            """)
        let short = row.rows[0][0] ?? ""
        #expect(short.hasPrefix("data:image/png;base64;sha256=") && short.hasSuffix(";length=300022"))
        #expect(row.rows[0] == [short, short, short, "300022"])
    }

    /// The settings of the job are kept once; others with the result.
    @Test func settingsAreThoseThatWereUsed() async throws {
        _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: "k"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        var provenance = Samples.provenance()
        provenance.settings = job.spec.settings
        let record = AnnotationRecord(result: Samples.result([Samples.response("a")]), provenance: provenance)
        _ = try await store.record([JobReport(job, .completed(record))], by: worker)
        let kept =
            "select a.settings is null, r.settings ->> 'max_tokens' from gloss.annotation a join gloss.result r "
            + "using (job_id)"
        #expect(try await database.query(kept).rows == [["t", "64"]])
        _ = try await admin.rerun(.everything)
        let again = try #require(try await store.claim(limit: 1, by: worker).first)
        provenance.settings.maxTokens = 7
        let other = AnnotationRecord(result: Samples.result([Samples.response("a")]), provenance: provenance)
        _ = try await store.record([JobReport(again, .completed(other))], by: worker)
        #expect(try await database.query(kept).rows == [["f", "7"]])
    }

    /// A restored database may give out the same job and fence again: what an old daemon says of it is not believed.
    @Test func aReportNeedsWorkerIdentityAndFence() async throws {
        _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: "dog"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        let report = JobReport(job, Samples.completed("a cat"))
        let before = WorkerID(number: worker.number, identity: "00000000-0000-0000-0000-000000000000")
        let other = try await store.register(Samples.worker())
        for stranger in [before, other] {
            #expect(try await store.record([report], by: stranger) == [.stale])
            #expect(try await store.checkpoint(Samples.view(0, [["x"]]), under: job.lease, by: stranger) == false)
            #expect(try await store.releaseUnheld(stranger, holding: []) == 0)
            let reply = try await store.heartbeat(stranger, Heartbeat(holding: [job.lease: .compute]))
            #expect(reply.lostLeases == [job.lease])
        }
        #expect(try await store.heartbeat(before, Heartbeat()).isRegistered == false)
        #expect(try await store.claim(limit: 1, by: before) == [])
        try await store.deregister(before)
        #expect(try await store.record([report], by: worker) == [.recorded])
        #expect(try await store.record([report], by: other) == [.stale])
        #expect(try await store.record([report], by: worker) == [.alreadyRecorded])
    }
}
