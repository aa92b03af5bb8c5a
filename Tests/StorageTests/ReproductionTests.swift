import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// What is stored of results suffices to run them again, and what came of it is kept with them.
@Suite struct ReproductionTests {
    private let database: TestDatabase
    private let admin: Administration

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        admin = database.administration()
    }

    /// Runs a job to its end.
    @discardableResult
    private func finish(
        _ spec: JobSpec = Samples.caption(), batch: String? = "b", outcome: Outcome = Samples.completed()
    ) async throws -> Lease {
        _ = try await admin.enqueue(spec, EnqueueOptions(batch: batch))
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        #expect(try await store.record([JobReport(job, outcome)], by: worker) == [.recorded])
        return job.lease
    }

    private func keep(_ lease: Lease, _ outcome: String, on host: String = "here", detail: String? = nil) async throws {
        try await admin.keep(
            ReproductionRecord(
                result: lease, host: host, instructionSet: "avx2", threads: 2, outcome: outcome, detail: detail))
    }

    private func rows() async throws -> [[String?]] {
        try await database.query("select job_id, host, outcome, detail from gloss.reproduction order by id").rows
    }

    private func diagnoses() async -> [Diagnosis] {
        await Doctor(database.settings(as: .admin), migrations: nil).examine().filter { $0.check == "reproduction" }
    }

    // MARK: What is stored

    /// A result as it comes back is what would be stored of it, whatever its floats, texts and stages.
    @Test func aResultComesBackAsItWasRecorded() async throws {
        var spec = Samples.multiview(views: 2)
        spec.followUps = ["what colour is the {answer}?"]
        spec.settings = DecodeSettings(maxTokens: 9, samples: 2, temperature: 0.7, seed: 5, tokenScores: true)
        func view(_ view: Int, stage: Int = 1, _ texts: [String]) -> ViewResponses {
            let responses = texts.enumerated().map { index, text in
                ScoredText(
                    text: text, sumLogprob: -0.1 / Float(index + 3), normLogprob: -1e-30, tokenCount: 2,
                    finishReason: index == 1 ? .length : .eos, tokenScores: [-.pi, -Float(index)])
            }
            return ViewResponses(stage: stage, view: view, responses: [responses])
        }
        let views = [view(0, ["a\u{301}", "a \0 b"]), view(1, ["\u{e1}", "a\u{301}"])]
        let answers = [AggregatedAnswer(answer: "\u{e1}", probability: 2 / 3), .init(answer: "b", probability: 1 / 3)]
        let result = AnnotationResult(
            stages: [
                StageResult(prompts: ["p"], views: views, distribution: answers),
                StageResult(prompts: ["q"], views: [view(0, stage: 2, ["x", "y"]), view(1, stage: 2, ["x", "x"])]),
            ],
            findings: [
                Finding(
                    imageIndex: 1, label: "cat", score: 0.1, tokenScore: 0.3,
                    box: Box(y1: 0, x1: 1 / 3, y2: 0.5, x2: 1), codes: Array(0..<16),
                    mask: RunLengthMask(height: 4, width: 4, counts: "04L4"), note: "duplicate")
            ], score: 0.7, notUnderstoodCount: 3)
        let lease = try await finish(spec, outcome: Samples.completed(result, images: 2))
        let listed = try await admin.results(ReproductionSelection(jobs: [lease.job]))
        #expect(listed.map(\.lease) == [lease] && listed.map(\.imageCount) == [2])
        let stored = try #require(try await admin.storedResults([lease]).first)
        // The settings are those with which the result was given.
        spec.settings = Samples.provenance().settings
        #expect(try stored.spec.get() == spec)
        #expect(stored.engine == Samples.provenance().engine && stored.host == "test")
        #expect(stored.imageSHA256 == Array(repeating: String(repeating: "0f", count: 32), count: 2))
        let recorded = RecordedResult(result)
        #expect(stored.result.findings == recorded.findings && stored.result.score == 0.7)
        #expect(stored.result.notUnderstoodCount == 3)
        #expect(stored.result.stages.count == 2)
        for (old, new) in zip(stored.result.stages, recorded.stages) {
            #expect(old.responses == new.responses && old.answers == new.answers && old.prompts == new.prompts)
            #expect(old.responses.map { Array($0.text.utf8) } == new.responses.map { Array($0.text.utf8) })
            #expect([old.views, old.questions, old.samples] == [2, 1, 2] && new.samples == 2)
        }
        #expect(stored.result.stages[0].responses[1].text == "a \u{FFFD} b")
        #expect(stored.result.stages[0].responses[1].finishReason == .length)
        #expect(stored.result.stages[0].place(of: 3) == (1, 0, 1))
    }

    @Test func resultsAreSelected() async throws {
        let first = try await finish(batch: "a")
        let others = [try await finish(), try await finish(), try await finish()]
        #expect(try await admin.results(ReproductionSelection(batch: "a")).map(\.lease) == [first])
        #expect(try await admin.results(ReproductionSelection(batch: "b")).map(\.lease) == others)
        #expect(try await admin.results(ReproductionSelection(batch: "b", sample: 2)).count == 2)
        #expect(try await admin.results(ReproductionSelection(within: "1 hour")).count == 4)
        try await database.query(
            "update gloss.annotation set finished_at = finished_at - interval '1 day' where job_id = $1",
            [SQLValue(first.job.rawValue)])
        #expect(try await admin.results(ReproductionSelection(within: "1 hour")).map(\.lease) == others)
        _ = try await admin.rerun(.job(others[0].job))
        #expect(try await admin.storedResults(others).map(\.lease) == Array(others.dropFirst()))
    }

    /// A newer version's task or style.
    @Test func whatThisVersionCannotReadIsSaid() async throws {
        let lease = try await finish()
        try await database.query("update gloss.job set spec = spec || '{\"style\": \"verse\"}'")
        var spec = try #require(try await admin.storedResults([lease]).first).spec
        #expect(spec == .failure(UnreadableSpec(reason: "this version knows no style \"verse\" of caption")))
        try await database.query("update gloss.annotation set task = 'outline'")
        spec = try #require(try await admin.storedResults([lease]).first).spec
        #expect(spec == .failure(UnreadableSpec(reason: "this version knows no task \"outline\"")))
    }

    // MARK: What is kept

    /// It stays with a superseded result, and goes with it.
    @Test func outcomesGoWithTheResult() async throws {
        let lease = try await finish()
        try await keep(lease, "differs", detail: "a \0 b")
        #expect(try await rows() == [["\(lease.job)", "here", "differs", "a \u{FFFD} b"]])
        _ = try await admin.rerun(.job(lease.job))
        try await keep(lease, "same")
        #expect(try await rows().count == 2)
        try await keep(Lease(job: lease.job, fence: lease.fence + 1), "same")
        #expect(try await rows().count == 2, "there is no such result")
        _ = try await admin.cancel(.job(lease.job))
        #expect(try await admin.forget(.job(lease.job)) == 1)
        #expect(try await rows() == [])
        let other = try await finish()
        try await keep(other, "same")
        _ = try await admin.prune(Retention(results: "0"))
        #expect(try await rows() == [])
    }

    @Test func onlyKnownOutcomesAreKept() async throws {
        let lease = try await finish()
        await #expect(throws: StorageError.self) { try await keep(lease, "maybe") }
    }

    // MARK: What doctor says

    @Test func doctorNamesJobsAndMachines() async throws {
        #expect(await diagnoses() == [Diagnosis("reproduction", .ok, "no result was run again within 7 days")])
        let leases = [try await finish(), try await finish(), try await finish()]
        for lease in leases { try await keep(lease, "same") }
        try await keep(leases[0], "image_changed", on: "there")
        #expect(
            await diagnoses() == [
                Diagnosis(
                    "reproduction", .ok, "of 4 results that were run again within 7 days 3 same, 1 image changed")
            ])
        try await keep(leases[2], "differs")
        let found = await diagnoses()
        #expect(found.map(\.level) == [.error])
        #expect(
            found.first?.message
                == "of 4 results that were run again within 7 days 2 same, 1 differs, 1 image changed: "
                + "jobs \(leases[2].job), run again on here, recorded by test")
        try await keep(leases[2], "other_version")
        #expect(await diagnoses().map(\.level) == [.warning], "the last time on a machine counts")
        try await database.query("update gloss.reproduction set at = at - interval '8 days'")
        #expect(await diagnoses().map(\.level) == [.ok])
    }
}
