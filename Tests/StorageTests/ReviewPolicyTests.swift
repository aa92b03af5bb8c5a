import Foundation
import Storage
import TestSupport
import Testing

/// What is looked at next.
@Suite struct ReviewPolicyTests {
    private let database: TestDatabase

    init() async throws { database = try await PrivatePostgres.shared.makeDatabase() }

    /// Fills the database with results.
    private func fill(_ count: Int) async throws {
        let root = URL(fileURLWithPath: TestDatabase.migrationsDirectory).deletingLastPathComponent()
        let sql = try String(contentsOf: root.appendingPathComponent("Tests/Fixtures/review.sql"), encoding: .utf8)
        try await database.session().script(sql + "select review.results(\(count));")
    }

    @discardableResult
    private func rows(_ sql: String) async throws -> [[String?]] { try await database.query(sql, as: .admin).rows }

    /// Takes the next result: its job, nil if there is none.
    private func next(_ arguments: String, by reviewer: String = "eva") async throws -> Int? {
        try await rows("select job_id from gloss.review_next(\(arguments), reviewer => '\(reviewer)')")[0][0]
            .flatMap { Int($0) }
    }

    private func judge(_ job: Int, _ verdict: String = "accept", by reviewer: String = "eva") async throws {
        try await rows("select gloss.record_review(\(job), \(job), '\(reviewer)', '\(verdict)')")
    }

    private func jobs(_ order: String, _ condition: String = "true", _ count: Int = 3) async throws -> [Int] {
        let sql = "select job_id from gloss.annotation where \(condition) order by \(order) limit \(count)"
        return try await rows(sql).compactMap { $0[0].flatMap { Int($0) } }
    }

    // MARK: Orders

    static let policies: [(policy: String, task: String, order: String)] = [
        ("lowest", "caption", "score"), ("lowest", "choice", "score"), ("newest", "vqa", "finished_at desc"),
        ("margin", "choice", "probabilities[1] - probabilities[2]"),
        ("entropy", "choice", "gloss.entropy(probabilities) desc"),
        ("random", "caption", "gloss.draw_place(job_id) < gloss.draw_start('s'), gloss.draw_place(job_id)"),
    ]

    @Test(arguments: policies.indices) func thePolicysOrder(number: Int) async throws {
        try await fill(400)
        let (policy, task, order) = Self.policies[number]
        let expected = try await jobs(order, "task = '\(task)'", 5)
        var found: [Int] = []
        for _ in expected {
            let job = try #require(try await next("'\(policy)', task => '\(task)', seed => 's'"))
            found.append(job)
            try await judge(job, found.count == 2 ? "skip" : "accept")
        }
        #expect(found == expected)
        // Another reviewer gets what was skipped, and none of what was judged.
        let other = try await next("'\(policy)', task => '\(task)', seed => 's'", by: "bob")
        #expect(other == expected[1])
    }

    /// Without a task they are compared: the scores of texts are logarithms.
    @Test func allTasksTogether() async throws {
        try await fill(400)
        let order = "case when score <= 0 then exp(score) else score end"
        #expect(try await next("'lowest'") == jobs(order, "true", 1).first)
        #expect(
            try await next("'random', seed => 's'")
                == jobs("gloss.draw_place(job_id) < gloss.draw_start('s'), gloss.draw_place(job_id)", "true", 1).first)
        #expect(try await next("'newest'") == 1)
    }

    /// Reviewers first, then models, then samples.
    @Test func whoDisagrees() async throws {
        try await fill(40)
        let first = try #require(try await next("'disagreement'"))
        #expect([20, 40].contains(first), "its samples say two things")
        try await judge(first)
        // A second model says something else of one key.
        try await database.session().script(
            """
            select gloss.enqueue_caption('https://a.invalid/7', key => '7', model => 'other');
            insert into gloss.annotation select (x).* from (
                select jsonb_populate_record(a, jsonb_build_object('job_id', j.id, 'fence', j.id, 'texts', array['a dog'])) as x
                from gloss.annotation a join gloss.job o on o.id = a.job_id
                join gloss.job j on j.key = o.key and j.id <> o.id where o.key = '7') y
            """)
        var found: Set<Int> = []
        for _ in 1...30 where found.isEmpty {
            if let job = try await next("'disagreement', task => 'caption'") { found.insert(job) }
        }
        #expect(!found.isEmpty && found.isSubset(of: [7, 41]))
        // And two reviewers of a third one.
        try await judge(11, by: "bob")
        try await judge(11, "reject", by: "zoe")
        try await judge(12, by: "bob")
        try await judge(12, by: "zoe")
        #expect(try await next("'disagreement'") == 11)
        try await judge(11)
        #expect(try await next("'disagreement', task => 'choice'") == nil)
    }

    // MARK: Filters

    @Test func filters() async throws {
        try await fill(400)
        let tenth =
            "exists (select from gloss.job j join gloss.batch b on b.id = j.batch_id where j.id = job_id and b.name = 'tenth')"
        #expect(
            try await next("'lowest', 'tenth', 'caption', 'm'")
                == jobs("score", "task = 'caption' and \(tenth)", 1).first)
        #expect(
            try await next("'lowest', 'tenth', 'caption', repeat('a', 64), low => -0.5, high => -0.2")
                == jobs("score", "task = 'caption' and score between -0.5 and -0.2 and \(tenth)", 1).first)
        try await database.session().script(
            """
            insert into gloss.finding (job_id, fence, n, image, score, label)
            select g, g, 1, 1, g / 100.0, 'cat' from generate_series(2, 90, 4) g
            """)
        #expect(try await next("'newest', label => 'cat', low => 0.5") == 50)
        #expect(try await next("'newest', label => 'dog'") == nil)
        #expect(try await next("'lowest', 'tenth', 'vqa'") == nil, "it has none")
        for (arguments, words) in [
            ("'best'", "there is no policy \"best\""), ("'lowest', 'none'", "there is no batch \"none\""),
            ("'lowest', task => 'none'", "there is no task \"none\""),
            ("'lowest', model => 'none'", "no result is of the model \"none\""),
            ("'lowest', low => 1, high => 0", "low must be a number no larger than high"),
            ("'lowest', low => 'NaN'", "low must be a number"), ("'lowest', opinions => 0", "opinions must be 1 to 10"),
            ("'random', seed => repeat('s', 201)", "a seed has 200 characters at most"),
        ] {
            let error = await #expect(throws: StorageError.self) { try await next(arguments) }
            #expect(error?.sqlState == "22023" && error?.message.hasPrefix(words) == true, "\(error?.message ?? "")")
        }
    }

    // MARK: Leases

    @Test func aLeaseIsForOneReviewer() async throws {
        try await fill(12)
        let expected = try await jobs("score", "task = 'caption'", 6)
        let arguments = "'lowest', task => 'caption'"
        #expect(try await next(arguments) == expected[0])
        #expect(try await next(arguments, by: "bob") == expected[1])
        #expect(try await next(arguments) == expected[0], "a reviewer holds one result")
        #expect(try await rows("select count(*) from gloss.review_lease") == [["2"]])
        let until = try await rows(
            "select leased_until - now() between '9 minutes' and '10 minutes' from gloss.review_lease limit 1")
        #expect(until == [["t"]])
        try await judge(expected[0])
        #expect(try await rows("select reviewer from gloss.review_lease") == [["bob"]])
        try await database.query("update gloss.review_lease set leased_until = now()")
        #expect(try await next(arguments) == expected[1], "it has expired")
        #expect(try await next(arguments, by: "bob") == expected[2])
        for job in expected.dropFirst() { try await judge(job, "looked") }
        #expect(try await next(arguments) == nil)
    }

    /// Two opinions about each result.
    @Test func opinions() async throws {
        try await fill(12)
        let expected = try await jobs("score", "task = 'caption'", 3)
        let arguments = "'lowest', task => 'caption', opinions => 2"
        #expect(try await next(arguments) == expected[0])
        try await judge(expected[0])
        #expect(try await next(arguments, by: "bob") == expected[0], "a second opinion comes first")
        #expect(try await next(arguments) == expected[1], "nobody has two opinions")
        try await judge(expected[0], by: "bob")
        #expect(try await next(arguments, by: "zoe") == expected[2])
    }

    // MARK: Two sessions

    /// Whatever commits first, two reviewers get two results.
    @Test(arguments: ["lowest", "random", "newest", "margin"]) func twoReviewersAtOnce(policy: String) async throws {
        try await fill(40)
        let interleaving = try await Interleaving(database)
        func next(_ reviewer: String) -> String {
            "select job_id from gloss.review_next('\(policy)', reviewer => '\(reviewer)')"
        }
        for latterFirst in [true, false] {
            for rollingBack in [true, false] {
                try await interleaving.meet(
                    next("eva"), next("bob"), latterFirst: latterFirst, rollingBack: rollingBack
                ) {
                    let held = try await rows("select count(*), count(distinct reviewer) from gloss.review_lease")
                    #expect(held[0][0] == held[0][1])
                }
                let held = try await rows("select count(*) from gloss.review_lease")
                #expect(held == [[rollingBack ? "1" : "2"]])
                try await database.query("delete from gloss.review_lease")
            }
        }
    }

    static let meetings: [(String, String, String)] = [
        ("select gloss.record_review(1, 1, 'eva', 'accept')", "select gloss.rerun(1)", "record, rerun"),
        ("select gloss.rerun(1)", "select gloss.record_review(1, 1, 'eva', 'accept')", "rerun, record"),
        ("select gloss.record_review(1, 1, 'eva', 'accept')", "select gloss.forget(1)", "record, forget"),
        ("select gloss.forget(1)", "select gloss.record_review(1, 1, 'eva', 'accept')", "forget, record"),
        (
            "select gloss.record_review(1, 1, 'eva', 'accept')", "select gloss.record_review(1, 1, 'bob', 'reject')",
            "record, record"
        ),
        ("select gloss.undo_review('zoe')", "select gloss.undo_review('zoe')", "undo, undo"),
        ("select gloss.review_next('newest', reviewer => 'eva')", "select gloss.rerun(1)", "next, rerun"),
        ("select gloss.rerun(1)", "select gloss.review_next('newest', reviewer => 'eva')", "rerun, next"),
        (
            "select gloss.review_next('newest', reviewer => 'eva')",
            "select gloss.record_review(1, 1, 'bob', 'reject')",
            "next, record"
        ),
        (
            "select gloss.forget_reviews(1)", "select gloss.record_review(1, 1, 'eva', 'accept')",
            "forget reviews, record"
        ),
        (
            "select gloss.record_review(1, 1, 'eva', 'accept')", "select * from gloss.prune('0', '0', '0', '0')",
            "record, prune"
        ),
    ]

    /// Nobody waits for ever, and counts are those of the reviews.
    @Test(arguments: meetings.indices) func reviewsMeetWhatElseHappens(number: Int) async throws {
        try await fill(4)
        try await judge(1, by: "zoe")
        try await judge(2, by: "zoe")
        let (one, other, name) = Self.meetings[number]
        do {
            try await Interleaving(database).meet(one, other, latterFirst: false, rollingBack: false) {}
        } catch let error as StorageError {
            // The result is gone: that is what the reviewer is told.
            #expect(
                error.sqlState == "55000" && ["rerun, record", "forget, record"].contains(name), "\(name): \(error)")
        }
        let wrong = try await rows(
            """
            select a.job_id, a.reviews from gloss.annotation a
            where a.reviews <> (select count(distinct s.reviewer) from gloss.standing_review s
                                where s.job_id = a.job_id and s.fence = a.fence)
            """)
        #expect(wrong == [], "\(name)")
        if name == "undo, undo" {
            #expect(
                try await rows("select count(*), count(distinct undoes) from gloss.review where undoes > 0") == [
                    ["2", "2"]
                ])
        }
    }

    // MARK: Plans

    /// However many results there are, and however many were judged: rows of all tables that a call reads. Statistics of reviews
    /// are younger or older than what was judged.
    @Test(arguments: ["analyze gloss.review", "select"]) func aCallReadsFewRows(statistics: String) async throws {
        try await fill(20000)
        // 3,000 of the lowest are judged, and 100 skipped.
        try await database.session().script(
            """
            insert into gloss.review (job_id, fence, task, item, model, model_digest, image_sha256, reviewer, verdict, answer)
            select a.job_id, a.fence, a.task, 'key ' || a.job_id, 'm', '', a.image_sha256, 'eva', 'accept', '{"text": "x"}'
            from gloss.annotation a where a.task = 'caption' order by a.score limit 3000;
            update gloss.annotation a set reviews = 1 where exists (select from gloss.review r where r.job_id = a.job_id);
            \(statistics);
            """)
        try await database.query("vacuum analyze gloss.annotation")
        let calls = [
            "'lowest'", "'margin'", "'entropy'", "'random'", "'newest'", "'disagreement'",
            "'lowest', task => 'caption'",
            "'lowest', 'rest', 'caption'", "'random', 'rest'", "'lowest', task => 'caption', low => -0.5",
        ]
        for call in calls {
            // A session shows what it has read since it last told the server.
            let session = database.session(as: .admin)
            try await session.script("begin")
            let next = try await session.query("select job_id from gloss.review_next(\(call), reviewer => 'eva')")
            #expect(next.scalar != nil)
            let read = try await session.query(
                """
                select sum(seq_tup_read + idx_tup_fetch), string_agg(relname || ' ' || seq_tup_read + idx_tup_fetch, ', ')
                from pg_stat_xact_user_tables
                where schemaname = 'gloss' and relname in ('annotation', 'job', 'review', 'review_lease', 'finding')
                """
            ).rows[0]
            #expect(Int(read[0] ?? "") ?? .max <= 100, "\(call): \(read[1] ?? "")")
            await session.close()
        }
    }
}
