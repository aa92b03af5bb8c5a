import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// How responses ended and what was kept of them, in the views.
@Suite struct DecodingResultTests {
    private func finish(_ spec: JobSpec, key: String, _ result: AnnotationResult, in database: TestDatabase)
        async throws
    {
        _ = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: key))
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        let outcome = Samples.completed(result, images: spec.imageURLs.count)
        #expect(try await store.record([JobReport(job, outcome)], by: worker) == [.recorded])
    }

    private func response(
        _ text: String, _ scores: [Float]? = nil, _ finish: FinishReason = .eos
    ) -> ScoredText {
        ScoredText(
            text: text, sumLogprob: -1, normLogprob: -1, tokenCount: scores?.count ?? 3, finishReason: finish,
            tokenScores: scores)
    }

    @Test func aRepetitionIsAReason() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for (key, finishes, reason) in [
            ("r", [FinishReason.repetition, .eos], "repetition"), ("l", [.repetition, .length], "length"),
            ("e", [.eos, .eos], "eos"),
        ] {
            let result = Samples.result(finishes.map { response("a cat", nil, $0) })
            try await finish(Samples.caption(), key: key, result, in: database)
            let row = try await database.query(
                """
                select c.finish_reason, r.finish_reason from gloss.caption c join gloss.result r using (job_id)
                where c.key = '\(key)'
                """, as: .reader)
            #expect(row.rows == [[finishes[0].rawValue, reason]], "the result says of all its responses what is worst")
        }
    }

    @Test func tokenScoresAreThereIfAskedFor() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let scored = [response("a cat", [-0.5, -0.25, -0.125]), response("cat", [-0.75, -1])]
        try await finish(Samples.caption(), key: "k", Samples.result(scored), in: database)
        try await finish(Samples.caption(), key: "none", Samples.result([response("a cat")]), in: database)
        let rows = try await database.query(
            """
            select key, task, stage, view, question, sample, response, token_scores from gloss.token_score order by sample
            """, as: .reader)
        #expect(
            rows.rows == [
                ["k", "caption", "1", "1", "1", "1", "a cat", "{-0.5,-0.25,-0.125}"],
                ["k", "caption", "1", "1", "1", "2", "cat", "{-0.75,-1}"],
            ])
        let kept = try await database.query("select count(*) from gloss.annotation where token_scores is null")
        #expect(kept.scalar == "1")
        try await database.query("select gloss.rerun(key => 'k')", as: .admin)
        let old = try await database.query("select cardinality(token_scores) from gloss.superseded")
        #expect(old.scalar == "5")
    }

    /// Two stages of two views, the first with two questions.
    @Test func furtherStagesAreInTheViews() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        var spec = Samples.multiview()
        spec.followUps = ["what material is the {answer} made of?"]
        let first = [0, 1].map { view in
            ViewResponses(view: view, responses: [[response("mug", [-1, -2])], [response("cup", [-3])]])
        }
        let second = [0, 1].map { view in
            ViewResponses(
                stage: 2, view: view,
                responses: [[response(view == 0 ? "clay" : "china", [-4, Float(-5 - view)], .repetition)]])
        }
        let shares = [("mug", 0.75), ("cup", 0.25)].map { AggregatedAnswer(answer: $0, probability: $1) }
        let materials = [("clay", 0.5), ("china", 0.5)].map { AggregatedAnswer(answer: $0, probability: $1) }
        let asked = "answer en what material is the mug made of?"
        let result = AnnotationResult(
            stages: [
                StageResult(prompts: spec.prompts, views: first, distribution: shares),
                StageResult(prompts: [asked], views: second, distribution: materials),
            ], score: 0.75)
        try await finish(spec, key: "o", result, in: database)
        let responses = try await database.query(
            """
            select stage, view, question, sample, question_text, response, finish_reason, image_url
            from gloss.multiview_response where stage > 1 or question = 2 order by stage, view
            """, as: .reader)
        let (one, two) = ("https://example.org/view1.png", "https://example.org/view2.png")
        #expect(
            responses.rows == [
                ["1", "1", "2", "1", "What type of object is this?", "cup", "eos", one],
                ["1", "2", "2", "1", "What type of object is this?", "cup", "eos", two],
                ["2", "1", "1", "1", asked, "clay", "repetition", one],
                ["2", "2", "1", "1", asked, "china", "repetition", two],
            ])
        let scores = try await database.query(
            "select stage, view, question, response, token_scores from gloss.token_score order by 1, 2, 3", as: .reader)
        #expect(
            scores.rows == [
                ["1", "1", "1", "mug", "{-1,-2}"], ["1", "1", "2", "cup", "{-3}"], ["1", "2", "1", "mug", "{-1,-2}"],
                ["1", "2", "2", "cup", "{-3}"], ["2", "1", "1", "clay", "{-4,-5}"],
                ["2", "2", "1", "china", "{-4,-6}"],
            ])
        let object = try await database.query("select answer, truncated_count from gloss.multiview")
        #expect(object.rows == [["mug", "0"]])
        // A result that is run again leaves no stage of it behind in the views.
        try await database.query("select gloss.rerun(key => 'o')", as: .admin)
        #expect(try await database.query("select count(*) from gloss.multiview_response").scalar == "0")
    }
}
