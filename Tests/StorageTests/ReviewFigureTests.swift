import Foundation
import Storage
import TestSupport
import Testing

/// What reviews say of all results.
@Suite struct ReviewFigureTests {
    private let database: TestDatabase

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        let root = URL(fileURLWithPath: TestDatabase.migrationsDirectory).deletingLastPathComponent()
        let sql = try String(contentsOf: root.appendingPathComponent("Tests/Fixtures/review.sql"), encoding: .utf8)
        try await database.session().script(sql + "select review.results(1000);" + Self.drawing)
    }

    /// review.draw(n, …): n results are drawn and judged; one with a number below `wrong` of 100 is wrong.
    private static let drawing = """
        create function review.draw(n int, wrong int, policy text, reviewer text, batch text default null,
            task text default null, seed text default 's') returns void
        language plpgsql
        as $$
        declare
            x record;
        begin
            for i in 1..n loop
                select * into x from gloss.review_next(policy, batch, task, seed => draw.seed, reviewer => draw.reviewer);
                exit when x.job_id is null;
                perform gloss.record_review(x.job_id, x.fence, reviewer,
                    case when x.job_id % 100 < wrong then 'reject' else 'accept' end, policy => policy);
            end loop;
        end $$;
        """

    @discardableResult
    private func rows(_ sql: String) async throws -> [[String?]] { try await database.query(sql, as: .reader).rows }

    /// As a reviewer would: no statement is long, however many draws there are and however slow the machine is.
    private func draw(_ count: Int, _ arguments: String) async throws {
        for drawn in stride(from: 0, to: count, by: 50) {
            try await database.query("select review.draw(\(min(50, count - drawn)), \(arguments))")
        }
    }

    private func accuracy(_ arguments: String = "") async throws -> [[Double?]] {
        try await rows(
            """
            select stratum, n, reviewed, right_count, unjudged, estimate, low, high from gloss.review_accuracy(\(arguments))
            order by stratum
            """
        ).map { row in row.map { $0.flatMap { Double($0) } } }
    }

    // MARK: Accuracy

    @Test func theSampleIsWhatCounts() async throws {
        #expect(try await accuracy() == [])
        try await draw(60, "30, 'random', 'eva'")
        let found = try await accuracy()
        #expect(found.count == 4, "60 reviews make three strata")
        #expect(found.dropFirst().reduce(0) { $0 + ($1[1] ?? 0) } == 1000 && found[0][1] == 1000)
        #expect(found.dropFirst().allSatisfy { ($0[2] ?? 0) >= 18 })
        let (estimate, low, high) = (found[0][5] ?? 0, found[0][6] ?? 0, found[0][7] ?? 0)
        #expect(low < 0.7 && high > 0.7 && low < estimate && estimate < high && high - low < 0.3)
        // The weighted mean of the strata.
        let mean = found.dropFirst().reduce(0) { $0 + ($1[1] ?? 0) / 1000 * ($1[5] ?? 0) }
        #expect(abs(estimate - mean) < 1e-12)
        // Reviews of what was chosen for its score say nothing of the rest, and later draws step over them.
        try await draw(100, "100, 'lowest', 'eva'")
        #expect(try await accuracy()[0][2] == 60 + Double(found[0][4] ?? 0))
        try await draw(1000, "30, 'random', 'eva'")
        let all = try await accuracy()[0]
        let right = try await rows("select count(*) from gloss.standing_review where verdict = 'accept'")[0][0]
        #expect(all[2] == 1000 && all[3] == right.flatMap { Double($0) } && all[4] == 0)
        #expect(all[5] == all[6] && all[5] == all[7], "nothing is left to be unsure of")
        #expect(abs((all[5] ?? 0) - (all[3] ?? 0) / 1000) < 1e-12)
    }

    /// What another policy has judged within the sample counts as it was judged, so the sample is no better than the rest.
    @Test func otherPoliciesDoNotBiasTheSample() async throws {
        // The 300 lowest are wrong, and judged before a sample is drawn.
        try await draw(300, "100, 'lowest', 'eva'")
        try await draw(200, "0, 'random', 'bob'")
        let whole = try await accuracy()[0]
        #expect((whole[2] ?? 0) > 250, "the sample holds what was judged before")
        #expect((whole[6] ?? 1) < 0.7 && (whole[7] ?? 0) > 0.7, "\(whole)")
    }

    /// A sample from a part says something of that part and of its parts.
    @Test func samplesOfParts() async throws {
        try await draw(30, "0, 'random', 'eva', 'tenth'")
        #expect(try await accuracy() == [])
        #expect(try await accuracy("'rest'") == [])
        #expect(try await accuracy("'tenth'")[0][1...2] == [100, 30])
        #expect(try await accuracy("'tenth', 'caption'")[0][1] == 50)
        try await draw(30, "0, 'random', 'bob', seed => 'other'")
        #expect((try await accuracy("'tenth', null, 'm'")[0][2] ?? 0) >= 30)
        #expect((try await accuracy()[0][2] ?? 0) >= 30)
        // A thing of this label: no sample of all.
        let before = try await accuracy()
        try await database.query(
            "select gloss.record_review(job_id, fence, verdict => 'accept') from gloss.review_next('random', low => -0.1, seed => 't')"
        )
        #expect(try await accuracy().count == before.count)
    }

    @Test func wilson() async throws {
        // As statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson").
        let found = try await rows("select round(low::numeric, 6), round(high::numeric, 6) from gloss.wilson(0.8, 10)")
        #expect(found == [["0.490162", "0.943318"]])
        #expect(try await rows("select low::numeric, high > 0.2 from gloss.wilson(0, 10)")[0][1] == "t")
        #expect(try await rows("select * from gloss.wilson(null, 0)") == [[nil, nil]])
    }

    // MARK: Agreement and progress

    @Test func agreement() async throws {
        let verdicts: [(Int, String, String)] =
            (1...20).map { ($0, "accept", "accept") } + (21...25).map { ($0, "accept", "reject") }
            + (26...35).map { ($0, "reject", "accept") } + (36...50).map { ($0, "reject", "reject") }
        for (job, one, other) in verdicts {
            for (reviewer, verdict) in [("eva", one), ("bob", other)] {
                try await database.query("select gloss.record_review(\(job), \(job), '\(reviewer)', '\(verdict)')")
            }
        }
        try await database.query("select gloss.record_review(51, 51, 'zoe', 'accept')")
        // Cohen's kappa of 20, 5, 10, 15: (0.7 − 0.5) / (1 − 0.5).
        #expect(
            try await rows(
                "select one, other, both_judged, same_verdict, same_answer, round(kappa::numeric, 6) from gloss.review_agreement()"
            )
                == [["bob", "eva", "50", "35", "35", "0.400000"]])
        try await database.query(
            "select gloss.record_review(1, 1, 'eva', 'edit', '{\"text\": \"x\"}'), gloss.record_review(2, 2, 'bob', 'looked')"
        )
        #expect(
            try await rows("select both_judged, same_verdict, same_answer from gloss.review_agreement()")
                == [["50", "34", "34"]])
        #expect(try await rows("select both_judged from gloss.review_agreement('tenth')") == [["5"]])
        #expect(try await rows("select * from gloss.review_agreement('rest', 'ocr')") == [])
    }

    @Test func progress() async throws {
        for (job, reviewer, verdict) in [
            (1, "eva", "accept"), (2, "eva", "reject"), (3, "eva", "looked"), (4, "eva", "skip"), (1, "bob", "accept"),
        ] { try await database.query("select gloss.record_review(\(job), \(job), '\(reviewer)', '\(verdict)')") }
        try await database.query("select gloss.undo_review('bob')")
        let columns = "reviewer, accepted, edited, rejected, looked, skipped, remaining"
        #expect(
            try await rows("select \(columns) from gloss.review_progress()") == [
                [nil, "1", "0", "1", "1", "1", "997"], ["eva", "1", "0", "1", "1", "1", nil],
            ])
        #expect(
            try await rows("select \(columns) from gloss.review_progress('tenth')") == [
                [nil, "0", "0", "0", "1", "0", "99"], ["eva", "0", "0", "0", "1", "0", nil],
            ])
    }
}
