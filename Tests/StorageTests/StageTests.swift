import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Follow-up questions: their rows, the view that shows them, and when they go.
@Suite struct StageTests {
    private let database: TestDatabase
    private let store: PostgresJobStore
    private let admin: Administration
    private let worker: WorkerID

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        store = database.store()
        admin = database.administration(as: .admin)
        worker = try await store.register(Samples.worker())
    }

    /// An object of two views: its questions, a follow-up question that was answered, and one that was not.
    private func finish(_ key: String, colour: String = "red") async throws {
        let spec = Samples.multiview()
        _ = try await admin.enqueue(spec, EnqueueOptions(key: key, batch: "b"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        func view(_ stage: Int, _ view: Int, _ texts: [[String]]) -> ViewResponses {
            var responses = Samples.view(view, texts)
            (responses.stage, responses.answer) = (stage, "mug")
            return responses
        }
        var cut = view(2, 1, [["blue", colour]])
        cut.responses[0][0].finishReason = .length
        let stages = [
            StageResult(
                prompts: spec.prompts,
                views: [Samples.view(0, [["mug"], ["a mug"]]), Samples.view(1, [["mug"], ["cup"]])],
                distribution: [
                    AggregatedAnswer(answer: "mug", probability: 0.75),
                    AggregatedAnswer(answer: "cup", probability: 0.25),
                ]),
            StageResult(
                prompts: ["answer en what colour is the mug?"], views: [view(2, 0, [[colour, "blue"]]), cut],
                distribution: [
                    AggregatedAnswer(answer: colour, probability: 0.5),
                    AggregatedAnswer(answer: "blue", probability: 0.5),
                ]),
            StageResult(
                prompts: ["answer en where is the mug?"], views: [view(3, 0, [["", ""]]), view(3, 1, [["", ""]])]),
        ]
        let result = AnnotationResult(stages: stages, score: 0.75)
        let report = JobReport(job, Samples.completed(result, images: 2))
        #expect(try await store.record([report], by: worker) == [.recorded])
    }

    private func counts() async throws -> [String?] {
        #expect(try await database.misplacedJobs() == [])
        return try await database.query(
            """
            select (select count(*) from gloss.multiview_stage), (select count(*) from gloss.annotation_stage),
                   (select count(*) from gloss.superseded)
            """
        ).rows[0]
    }

    @Test func eachStageIsARow() async throws {
        try await finish("k")
        let rows = try await database.query(
            """
            select key, stage, prompts, answer, probability, distribution, views, questions, samples, truncated_count,
                   batch, model, job_id = (select job_id from gloss.multiview)
            from gloss.multiview_stage order by stage
            """, as: .reader)
        let things = "[{\"p\": 0.75, \"answer\": \"mug\"}, {\"p\": 0.25, \"answer\": \"cup\"}]"
        let colours = "[{\"p\": 0.5, \"answer\": \"red\"}, {\"p\": 0.5, \"answer\": \"blue\"}]"
        let asked = "{\"answer en What is this?\",\"answer en What type of object is this?\"}"
        #expect(
            rows.rows == [
                ["k", "1", asked, "mug", "0.75", things, "2", "2", "1", "0", "b", "tiny", "t"],
                [
                    "k", "2", "{\"answer en what colour is the mug?\"}", "red", "0.5", colours, "2", "1", "2", "1", "b",
                    "tiny", "t",
                ],
                [
                    "k", "3", "{\"answer en where is the mug?\"}", nil, nil, nil, "2", "1", "2", "0", "b", "tiny", "t",
                ],
            ])
    }

    /// They stay with a result that is superseded, are not shown then, and go when it does.
    @Test func stagesGoWithTheirResult() async throws {
        try await finish("k")
        #expect(try await counts() == ["3", "2", "0"])
        #expect(try await admin.rerun(.batch("b")) == 1)
        #expect(try await counts() == ["0", "2", "1"])
        try await finish("k", colour: "green")
        #expect(try await counts() == ["3", "4", "1"])
        let colours = try await database.query(
            """
            select (select answer from gloss.multiview_stage where stage = 2),
                   (select t.answers[1] from gloss.superseded s join gloss.annotation_stage t
                    on t.job_id = s.job_id and t.fence = s.fence where t.stage = 2)
            """)
        #expect(colours.rows == [["green", "red"]])
        try await finish("other")
        #expect(try await admin.forget(.batch("b")) == 2)
        #expect(try await counts() == ["0", "0", "0"])
        try await finish("k")
        _ = try await admin.prune(Retention(results: "0"))
        #expect(try await counts() == ["0", "0", "0"])
    }
}
