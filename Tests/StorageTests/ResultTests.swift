import Annotation
import Queue
import Storage
import Synchronization
import TestSupport
import Testing

@Suite struct ResultTests {
    /// Enqueues a job, runs it and records `result`.
    private func finish(
        _ spec: JobSpec, key: String, _ result: AnnotationResult, in database: TestDatabase
    ) async throws -> [Receipt] {
        _ = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: key, batch: "b"))
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        let outcome = Samples.completed(result, images: spec.imageURLs.count)
        return try await store.record([JobReport(job, outcome)], by: worker)
    }

    @Test func captionsJoinOnTheKey() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let texts = [Samples.response("a \"cat\"\u{0}, \\u0000 äöü"), Samples.response("a dog", finish: .length)]
        let receipts = try await finish(Samples.caption(), key: "17", Samples.result(texts), in: database)
        #expect(receipts == [.recorded])
        try await database.query("create table images as select 17 as id")
        let joined = try await database.query(
            """
            select c.caption, c.sum_logprob, c.norm_logprob, c.finish_reason, c.samples[2], c.batch
            from images m join gloss.caption c on c.key = m.id::text
            """)
        #expect(joined.rows == [["a \"cat\"\u{FFFD}, \\u0000 äöü", "-1.5", "-0.75", "eos", "a dog", "b"]])
    }

    /// A job that another version wrote, or a hand: it costs itself an attempt, and the rest of its claim runs.
    @Test func anUnreadableJobIsAFailedAttempt() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let store = database.store(retryPolicy: RetryPolicy(base: .zero))
        let producer = database.administration(as: .producer)
        let odd = try await producer.enqueue(Samples.caption(), EnqueueOptions(key: "odd", maxAttempts: 2)).job
        let sound = try await producer.enqueue(Samples.caption(), EnqueueOptions(key: "sound")).job
        try await database.query("update gloss.job set spec = spec - 'texts' where key = 'odd'")
        let worker = try await store.register(Samples.worker())
        #expect(try await store.claim(limit: 9, by: worker).map(\.lease.job) == [sound])
        #expect(try await store.claim(limit: 9, by: worker) == [])
        let dead = try await database.query(
            "select job_id, code, reason ~ 'cannot read' from gloss.dead", as: .reader)
        #expect(dead.rows == [["\(odd)", "unreadable", "t"]])
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func answersKeepInfinities() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let spec = JobSpec(task: .vqa, imageURLs: ["https://e.org/a"], texts: ["Why?"])
        let texts = [Samples.response("because", sum: -.infinity, finish: .length)]
        let result = Samples.result(texts, prompts: spec.prompts)
        #expect(try await finish(spec, key: "k", result, in: database) == [.recorded])
        let answer = try await database.query(
            "select question, answer, sum_logprob, finish_reason from gloss.answer where key = 'k'", as: .reader)
        #expect(answer.rows == [["Why?", "because", "-Infinity", "length"]])
    }

    @Test func detectionsAreARowABox() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let spec = JobSpec(task: .detect, imageURLs: ["https://e.org/a"], texts: ["cat"])
        let findings = [
            Finding(label: "cat", score: 0.5, box: Box(y1: 0, x1: 0.25, y2: 0.5, x2: 0.75)),
            Finding(label: "dog", score: 0.25, box: Box(y1: 0.125, x1: 0, y2: 1, x2: 1)),
        ]
        let found = Samples.result([Samples.response("raw")], findings: findings, notUnderstood: 1)
        #expect(try await finish(spec, key: "k", found, in: database) == [.recorded])
        let nothing = Samples.result([Samples.response("")])
        #expect(try await finish(spec, key: "none", nothing, in: database) == [.recorded])
        let rows = try await database.query(
            "select key, box, label, score, y1, x1, y2, x2, raw_text from gloss.detection order by box", as: .reader)
        #expect(
            rows.rows == [
                ["k", "1", "cat", "0.5", "0", "0.25", "0.5", "0.75", "raw"],
                ["k", "2", "dog", "0.25", "0.125", "0", "1", "1", "raw"],
            ])
    }

    @Test func objectsKeepEveryResponse() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        var views = [
            Samples.view(0, [["a mug", "a cup"], ["mug", "a mug"]]), Samples.view(1, [["a mug", "x"], ["y", "z"]]),
        ]
        views[1].responses[1][0].finishReason = .length
        let distribution = [
            AggregatedAnswer(answer: "mug", probability: 0.75), AggregatedAnswer(answer: "cup", probability: 0.25),
        ]
        let spec = Samples.multiview()
        let result = Samples.result(distribution, prompts: spec.prompts, views: views)
        #expect(try await finish(spec, key: "o", result, in: database) == [.recorded])
        let object = try await database.query(
            "select key, answer, probability, distribution, views, questions, samples, truncated_count from gloss.multiview"
        )
        let shares = "[{\"p\": 0.75, \"answer\": \"mug\"}, {\"p\": 0.25, \"answer\": \"cup\"}]"
        #expect(object.rows == [["o", "mug", "0.75", shares, "2", "2", "2", "1"]])
        let responses = try await database.query(
            """
            select view, question, sample, response, question_text, finish_reason, image_url
            from gloss.multiview_response order by view, question, sample
            """)
        #expect(responses.rows.count == 8)
        #expect(responses.rows.map { $0[3] } == ["a mug", "a cup", "mug", "a mug", "a mug", "x", "y", "z"])
        #expect(
            responses.rows[6] == [
                "2", "2", "1", "y", "What type of object is this?", "length", "https://example.org/view2.png",
            ])
        let dictionary = try await database.query("select cardinality(texts) from gloss.annotation")
        #expect(dictionary.scalar == "6")
    }

    @Test func resultsCanBeRunAgain() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        _ = try await finish(Samples.caption(), key: "k", Samples.result([Samples.response("a cat")]), in: database)
        let row = try await database.query(
            """
            select text, prompts, seed, model, model_digest, gloss_version, image_sha256, final_urls,
                   timings ->> 'prefill', worker_host, finished_at > created_at from gloss.result
            """)
        let sha = String(repeating: "0f", count: 32)
        #expect(
            row.rows == [
                [
                    "a cat", "{\"caption en\"}", "7", "tiny", String(repeating: "ab", count: 32), "0.1.0", "{\(sha)}",
                    "{https://example.org/final.jpg}", "1.5", "test", "t",
                ]
            ])
    }

    @Test func oneBadResultDoesNotSpoilTheOthers() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let admin = database.administration(as: .producer)
        for key in ["good", "bad"] { _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: key)) }
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 2, by: worker)
        let nothing = Samples.completed(Samples.result([]))
        let reports = [JobReport(jobs[0], Samples.completed()), JobReport(jobs[1], nothing)]
        #expect(try await store.record(reports, by: worker) == [.recorded, .unrecordable])
        #expect(try await store.record(reports, by: worker) == [.alreadyRecorded, .alreadyRecorded])
        let dead = try await database.query("select key, code from gloss.dead", as: .reader)
        #expect(dead.rows == [["bad", "unrecordable"]])
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func manyResultsStreamInOrder() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, key, batch)
            select 'caption', array['https://e.org/' || i], i::text, 'many' from generate_series(1, 300) i
            """)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 300, by: worker)
        _ = try await store.record(jobs.map { JobReport($0, Samples.completed("text \($0.id)")) }, by: worker)
        let rows = RowCounter()
        let caption = try #require(ResultView(rawValue: "caption"))
        let reader = database.administration(as: .reader)
        try await reader.exportText(caption, batch: "many") { columns in
            #expect(columns.starts(with: ["key", "caption"]))
        } onRow: { row in
            rows.count(row[0] != nil)
        }
        #expect(rows.total == 300)
        struct Enough: Error {}
        await #expect(throws: Enough.self) { try await reader.exportJSON(.result) { _ in throw Enough() } }
    }
}

/// Counts rows from another thread.
private final class RowCounter: Sendable {
    private let storage = Mutex(0)
    var total: Int { storage.withLock { $0 } }
    func count(_ isGood: Bool) { storage.withLock { $0 += isGood ? 1 : 0 } }
}
