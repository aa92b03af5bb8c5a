import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// A choice, from the queue to its view.
@Suite struct ChoiceTests {
    @Test func optionsAndTheirSharesAreInTheirView() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let asked = try await database.query(
            """
            select outcome from gloss.enqueue_choice('https://e.org/a.png', 'which  one?', array['two words', ' b ', 'c'],
                key => 'k', style => 'listed', token_scores => true)
            """, as: .producer)
        #expect(asked.scalar == "inserted")
        let again = try await database.query(
            """
            select outcome from gloss.enqueue('choice', 'https://e.org/a.png', prompt => 'which  one?',
                options => array['two words', 'b', 'c'], key => 'k', style => 'listed', token_scores => true)
            """, as: .producer)
        #expect(again.scalar == "duplicate")
        let other = try await database.query(
            """
            select outcome from gloss.enqueue_choice('https://e.org/a.png', 'which  one?', array['b', 'two words', 'c'],
                key => 'k', style => 'listed', token_scores => true)
            """, as: .producer)
        #expect(other.scalar == "conflict", "their order is that of the prompt")
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        #expect(job.spec.options == ["two words", "b", "c"])
        #expect(job.spec.prompts == ["answer en  which  one? choose from: two words \t b \t c"])
        let query = try #require(TaskName.choice.definition.queries(job.spec).first)
        let scored = [[-1, -3], [-1], [-2]].map { scores in
            Generation(
                text: "", tokens: scores.map { _ in 1 }, logProbabilities: scores, finishReason: .eos,
                prefixTokenCount: 9)
        }
        #expect(query.options.count == scored.count)
        let context = TaskContext(
            spec: job.spec, images: [0: Samples.image()], vocabulary: NoVocabulary(), modelDigest: "d")
        let result = try TaskName.choice.definition.result([0: [scored]], checkpoints: [], context: context)
        #expect(try await store.record([JobReport(job, Samples.completed(result))], by: worker) == [.recorded])

        let row = try await database.query(
            """
            select question, answer, round(probability::numeric, 3), options, sum_logprobs, norm_logprobs[2],
                array(select round(p::numeric, 3) from unnest(probabilities) p), score = probability, language
            from gloss.choice where key = 'k'
            """, as: .reader)
        #expect(
            row.rows == [
                [
                    "which  one?", "b", "0.705", "{\"two words\",b,c}", "{-4,-1,-2}", "-1", "{0.035,0.705,0.259}", "t",
                    "en",
                ]
            ])
        let best = try await database.query(
            "select text, sum_logprob, norm_logprob, answers, finish_reason from gloss.result", as: .reader)
        #expect(best.rows == [["b", "-1", "-1", "{b,c,\"two words\"}", "eos"]], "the scores are those of the answer")
        let tokens = try await database.query(
            "select sample, response, token_scores from gloss.token_score order by sample", as: .reader)
        #expect(tokens.rows == [["1", "two words", "{-1,-3}"], ["2", "b", "{-1}"], ["3", "c", "{-2}"]])
    }
}

private struct NoVocabulary: Vocabulary {
    var locations: [Int: Int] { [:] }
    var codes: [Int: Int] { [:] }
    var separators: Set<Int> { [] }
    func decode(_ ids: [Int]) -> String { "" }
}
