import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Verdicts: what is written down, what is refused, what becomes of them with their results.
@Suite struct ReviewTests {
    private let database: TestDatabase
    private let worker: Worker

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        worker = Worker(database)
    }

    @discardableResult
    private func rows(_ sql: String, as user: TestDatabase.User = .superuser) async throws -> [[String?]] {
        try await database.query(sql, as: user).rows
    }

    /// Enqueues a job and finishes it: number and fence.
    @discardableResult
    private func caption(_ text: String = "a cat", key: String? = "k", batch: String = "b") async throws -> Lease {
        let url = "https://a.invalid/\(key ?? "none").jpg"
        _ = try await database.query(
            "select gloss.enqueue_caption($1, key => $2, batch => $3)",
            [SQLValue(url), SQLValue(key), SQLValue(batch)])
        let job = try #require(try await worker.claim(1).first)
        try await worker.complete(job, [Worker.text(text)])
        return job.lease
    }

    private func boxes(_ findings: [Finding], task: String = "detect") async throws -> Lease {
        _ = try await database.query("select gloss.enqueue_\(task)('https://a.invalid/d', array['cat'], key => 'd')")
        let job = try #require(try await worker.claim(1).first)
        try await worker.complete(job, [Worker.text("…")], findings: findings)
        return job.lease
    }

    /// Records a review: its number.
    @discardableResult
    private func review(
        _ lease: Lease, _ verdict: String, _ answer: String? = nil, by reviewer: String = "eva", note: String? = nil,
        policy: String? = nil
    ) async throws -> String? {
        try await database.query(
            "select gloss.record_review($1, $2, $3, $4, $5::jsonb, $6, $7)",
            [
                SQLValue(lease.job.rawValue), SQLValue(lease.fence), SQLValue(reviewer), SQLValue(verdict),
                SQLValue(answer), SQLValue(policy), SQLValue(note),
            ], as: .admin
        ).scalar
    }

    private func truth() async throws -> [String?] {
        try await rows("select concat_ws(' ', key, verdict, reviewer, answer) from gloss.truth order by 1").map {
            $0[0]
        }
    }

    // MARK: Verdicts

    @Test func aReviewHoldsAll() async throws {
        let lease = try await caption()
        #expect(try await review(lease, "accept", note: "fine", policy: "lowest") == "1")
        #expect(
            try await rows(
                """
                select job_id, fence, task, key, batch, model, model_digest = repeat('a', 64),
                    image_sha256 = array[decode(repeat('b', 64), 'hex')], score, reviewer, verdict, policy, answer, note
                from gloss.review
                """) == [
                    [
                        "\(lease.job)", "\(lease.fence)", "caption", "k", "b", "m", "t", "t", "-0.25", "eva", "accept",
                        "lowest", #"{"text": "a cat"}"#, "fine",
                    ]
                ])
        #expect(try await truth() == [#"k accept eva {"text": "a cat"}"#])
        #expect(try await rows("select reviews from gloss.annotation") == [["1"]])
    }

    /// Boxes with their masks, the answer about an object, the option that was chosen.
    @Test func theResultsOwnAnswer() async throws {
        var cat = Finding(label: "cat", score: 0.5, box: Box(y1: 0, x1: 0.25, y2: 0.5, x2: 1))
        cat.mask = RunLengthMask(
            height: 480, width: 640, rows: 0..<1, columns: 0..<1, pixels: [true])
        let dog = Finding(label: "dog", score: 0.25, box: Box(y1: 0.1, x1: 0.2, y2: 0.3, x2: 0.4))
        let segment = try await boxes([cat, dog], task: "segment")
        try await review(segment, "accept")
        #expect(
            try await truth() == [
                #"d accept eva {"boxes": [{"box": [0, 0.25, 0.5, 1], "mask": {"size": [480, 640], "counts": "\#(cat.mask?.counts ?? "")"}, "#
                    + #""label": "cat"}, {"box": [0.1, 0.2, 0.3, 0.4], "label": "dog"}]}"#
            ])
        try await rows("select gloss.enqueue_multiview('obj', array['https://a.invalid/1'], array['what?'], 2)")
        let job = try #require(try await worker.claim(1).first)
        let shares = [
            AggregatedAnswer(answer: "mug", probability: 0.75), AggregatedAnswer(answer: "cup", probability: 0.25),
        ]
        let view = ViewResponses(
            view: 0, responses: [[Worker.text("mug"), Worker.text("cup")]], images: [Samples.image()])
        try await worker.complete(job, Samples.result(shares, prompts: ["what?"], views: [view]))
        try await review(job.lease, "accept")
        #expect(try await truth().last == #"obj accept eva {"answer": "mug"}"#)
        let empty = try await rows("select gloss.forget(key => 'd')")
        #expect(empty == [["1"]])
        try await review(try await boxes([]), "accept", by: "zoe")
        #expect(try await truth().contains(#"d accept zoe {"boxes": []}"#))
    }

    /// The latest answer that stands is true; a reject gives none, and takes none of another reviewer.
    @Test func whatIsTrue() async throws {
        let lease = try await caption()
        try await review(lease, "accept")
        try await review(lease, "edit", #"{"text": "a dog"}"#, by: "bob")
        #expect(try await truth() == [#"k edit bob {"text": "a dog"}"#])
        try await review(lease, "looked", by: "bob")
        try await review(lease, "skip", by: "bob")
        #expect(try await truth() == [#"k edit bob {"text": "a dog"}"#])
        try await review(lease, "reject", by: "bob")
        #expect(try await truth() == [#"k accept eva {"text": "a cat"}"#])
        try await review(lease, "reject", by: "zoe")
        #expect(try await truth() == [#"k accept eva {"text": "a cat"}"#])
        #expect(try await rows("select reviews from gloss.annotation") == [["3"]])
        let found = try await rows(
            "select reviewer, verdict from gloss.standing_review where job_id = \(lease.job) order by id")
        #expect(found == [["eva", "accept"], ["bob", "reject"], ["zoe", "reject"]])
    }

    /// Of jobs without a key, those about the same images and prompts have one truth.
    @Test func withoutAKey() async throws {
        let (first, second) = (try await caption(key: nil), try await caption("a dog", key: nil))
        try await review(first, "accept")
        try await review(second, "accept")
        #expect(try await truth() == [#"accept eva {"text": "a dog"}"#])
    }

    @Test func undo() async throws {
        let (first, second) = (try await caption(key: "1"), try await caption(key: "2"))
        func undo(_ reviewer: String = "eva") async throws -> [[String?]] {
            try await rows("select * from gloss.undo_review('\(reviewer)')", as: .admin)
        }
        #expect(try await undo() == [[nil, nil]])
        try await review(first, "accept")
        try await review(second, "reject")
        try await review(first, "accept", by: "bob")
        #expect(try await undo() == [["\(second.job)", "\(second.fence)"]])
        #expect(try await rows("select reviews from gloss.annotation order by job_id") == [["2"], ["0"]])
        #expect(try await undo() == [["\(first.job)", "\(first.fence)"]])
        #expect(try await undo() == [[nil, nil]])
        #expect(try await truth() == [#"1 accept bob {"text": "a cat"}"#])
        #expect(try await rows("select count(*), count(undoes) from gloss.review") == [["5", "2"]])
        try await rows("update gloss.review set at = at - interval '25 hours'")
        #expect(try await undo("bob") == [[nil, nil]], "it is too old")
    }

    // MARK: Refusals

    static let hostile: [(answer: String, words: String)] = [
        (#"{"text": "x"}"#, #"is an object with "boxes", an array, and nothing else"#),
        (#"{"boxes": {}}"#, #"is an object with "boxes""#), (#"{"boxes": [], "x": 1}"#, #"is an object with "boxes""#),
        ("[]", #"is an object with "boxes""#), ("null", #"is an object with "boxes""#),
        (#"{"boxes": [7]}"#, "is no good: box 1 is an object of label, box, mask and image"),
        (#"{"boxes": [{"label": "cat"}]}"#, "is no good: box 1 is an object of label"),
        (
            #"{"boxes": [{"label": "cat", "box": [0, 0, 1, 1]}, {"label": "x", "box": [0, 0, 1, 1], "score": 1}]}"#,
            "is no good: box 2 is an object of label"
        ),
        (#"{"boxes": [{"label": 7, "box": [0, 0, 1, 1]}]}"#, "is no good: box 1 has a label that is no text"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1]}]}"#, "is no good: box 1 has no four numbers"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1, "1"]}]}"#, "is no good: box 1 has no four numbers"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1, null]}]}"#, "is no good: box 1 has no four numbers"),
        (#"{"boxes": [{"label": "a", "box": [0.5, 0, 0.5, 1]}]}"#, "needs 0 ≤ y1 < y2 ≤ 1"),
        (#"{"boxes": [{"label": "a", "box": [0, -0.1, 0.5, 1]}]}"#, "needs 0 ≤ y1 < y2 ≤ 1"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1e300, 1]}]}"#, "needs 0 ≤ y1 < y2 ≤ 1"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1, 1], "image": 2}]}"#, "names no image: its result has 1"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1, 1], "image": 1e400}]}"#, "names no image: its result has 1"),
        (#"{"boxes": [{"label": "a", "box": [0, 0, 1, 1], "mask": "x"}]}"#, "has a mask that is no object"),
        (
            #"{"boxes": [{"label": "a", "box": [0, 0, 1, 1], "mask": {"size": [480, 640], "counts": "<script>"}}]}"#,
            "has a mask that is no object"
        ),
        (
            #"{"boxes": [{"label": "a", "box": [0, 0, 1, 1], "mask": {"size": [2, 2], "counts": "04"}}]}"#,
            "has a mask of the size [2, 2], and the image has [480, 640]"
        ),
    ]

    @Test func hostileAnswersAreRefused() async throws {
        let lease = try await boxes([])
        var cases = Self.hostile
        let box = #"{"label": "a", "box": [0, 0, 1, 1]}"#
        cases.append(
            (
                "{\"boxes\": [\(Array(repeating: box, count: 1001).joined(separator: ","))]}",
                "has 1001 boxes, and 1,000 are taken at most"
            ))
        let long = String(repeating: "x", count: 65537)
        cases.append(("{\"boxes\": [{\"label\": \"\(long)\", \"box\": [0, 0, 1, 1]}]}", "has more than 64 KiB of text"))
        let counts = String(repeating: "0", count: 4_194_305)
        cases.append(
            (
                "{\"boxes\": [{\"label\": \"a\", \"box\": [0, 0, 1, 1], \"mask\": {\"size\": [480, 640], \"counts\": \"\(counts)\"}}]}",
                "has more than 4 MiB of masks"
            ))
        for (answer, words) in cases {
            let error = await #expect(throws: StorageError.self) { try await review(lease, "edit", answer) }
            #expect(
                error?.sqlState == "22023" && error?.message.contains("the answer \(words)") == true
                    || error?.message.contains(words) == true, "\(error?.message ?? "none"): \(answer.prefix(200))")
        }
        #expect(try await rows("select count(*) from gloss.review") == [["0"]])
        let text = try await caption(key: "t")
        let error = await #expect(throws: StorageError.self) {
            try await review(text, "edit", "{\"text\": \"\(long)\"}")
        }
        #expect(error?.message == "the answer has more than 64 KiB of text")
        // Kept as it is: whoever shows it escapes it.
        try await review(text, "edit", #"{"text": "<script>\u202e' \" \\"}"#)
        #expect(try await rows("select answer ->> 'text' from gloss.truth") == [["<script>\u{202E}' \" \\"]])
    }

    @Test func whatIsNoReview() async throws {
        let lease = try await caption()
        let refused: [(verdict: String, answer: String?, note: String?, policy: String?, words: String)] = [
            ("good", nil, nil, nil, "a verdict is accept, edit, reject, looked or skip, not \"good\""),
            ("undo", nil, nil, nil, "a verdict is accept"), ("edit", nil, nil, nil, "an edit needs an answer"),
            ("reject", #"{"text": "x"}"#, nil, nil, "reject takes no answer"),
            ("accept", nil, String(repeating: "n", count: 2001), nil, "a note has 2,000 characters at most"),
            ("accept", nil, nil, "best", "there is no policy \"best\": they are lowest, margin"),
        ]
        for (verdict, answer, note, policy, words) in refused {
            let error = await #expect(throws: StorageError.self) {
                try await review(lease, verdict, answer, note: note, policy: policy)
            }
            #expect(error?.sqlState == "22023" && error?.message.hasPrefix(words) == true, "\(error?.message ?? "")")
        }
        for name in ["", " ", String(repeating: "r", count: 201), "a\nb"] {
            let error = await #expect(throws: StorageError.self) { try await review(lease, "accept", by: name) }
            #expect(error?.message.hasPrefix("a reviewer's name has 1 to 200 characters") == true)
        }
        #expect(try await rows("select count(*) from gloss.review") == [["0"]])
    }

    /// A result that was run again is another one.
    @Test func anOldFenceIsRefused() async throws {
        let lease = try await caption()
        func refusal() async throws -> StorageError? {
            await #expect(throws: StorageError.self) { try await review(lease, "accept") }
        }
        _ = try await database.administration().rerun(.job(lease.job))
        var error = try await refusal()
        #expect(error?.sqlState == "55000" && error?.message == "job \(lease.job) has no result now")
        let job = try #require(try await worker.claim(1).first)
        try await worker.complete(job, [Worker.text("a dog")])
        error = try await refusal()
        #expect(
            error?.sqlState == "55000"
                && error?.message == "the result of job \(lease.job) is another now (fence \(job.lease.fence))")
        #expect(try await rows("select count(*) from gloss.review") == [["0"]])
        try await review(job.lease, "accept")
    }

    /// Who names another reviewer, and who may review at all.
    @Test func reviewersSpeakForThemselves() async throws {
        let lease = try await caption()
        let sql = "select gloss.record_review(\(lease.job), \(lease.fence), verdict => 'accept'"
        try await database.query("\(sql))", as: .reviewer)
        try await database.query("\(sql), reviewer => 'test_reviewer')", as: .reviewer)
        for call in [
            "\(sql), reviewer => 'eva')", "select gloss.undo_review('eva')",
            "select gloss.review_next(reviewer => 'eva')",
        ] {
            let error = await #expect(throws: StorageError.self) { try await database.query(call, as: .reviewer) }
            #expect(
                error?.sqlState == "42501"
                    && error?.message.hasPrefix("test_reviewer may not review as \"eva\"") == true)
        }
        for user in [TestDatabase.User.reader, .console, .producer, .worker] {
            let error = await #expect(throws: StorageError.self) { try await database.query("\(sql))", as: user) }
            #expect(error?.sqlState == "42501")
        }
        // As the console does it.
        let session = database.session(as: .console)
        try await session.script("begin; set local role gloss_reviewer")
        _ = try await session.query("\(sql), reviewer => 'eva')")
        try await session.script("commit")
        let error = await #expect(throws: StorageError.self) { try await session.query("\(sql), reviewer => 'eva')") }
        #expect(error?.sqlState == "42501")
        await session.close()
        #expect(
            try await rows("select reviewer from gloss.review order by id").map { $0[0] }
                == ["test_reviewer", "test_reviewer", "eva"])
    }

    @Test(arguments: TestDatabase.User.allCases.filter { $0 != .superuser })
    func nobodyChangesAReview(user: TestDatabase.User) async throws {
        try await review(try await caption(), "accept")
        for sql in [
            "update gloss.review set verdict = 'reject'", "delete from gloss.review", "truncate gloss.review",
            "insert into gloss.review (job_id) values (1)", "delete from gloss.review_lease",
            "update gloss.annotation set reviews = 0",
        ] {
            let session = database.session(as: user)
            if user == .console { try await session.script("begin; set local role gloss_admin") }
            let error = await #expect(throws: StorageError.self) { try await session.query(sql) }
            #expect(error?.sqlState == "42501", "\(user): \(sql)")
            await session.close()
        }
        #expect(try await truth().count == 1)
    }

    // MARK: What outlives what

    @Test func truthOutlivesTheResult() async throws {
        let admin = database.administration()
        let expected = [#"k edit eva {"text": "a dog"}"#]
        var lease = try await caption()
        try await review(lease, "edit", #"{"text": "a dog"}"#)
        _ = try await admin.rerun(.job(lease.job))
        #expect(try await truth() == expected)
        let job = try #require(try await worker.claim(1).first)
        try await worker.complete(job, [Worker.text("a cat")])
        #expect(try await rows("select reviews from gloss.annotation") == [["0"]], "nobody has seen the new result")
        // It says what is right of the new result, too.
        #expect(
            try await rows("select fence, answer ->> 'text' from gloss.correction") == [
                ["\(job.lease.fence)", "a dog"]
            ])
        _ = try await admin.prune(Retention(results: "0"))
        #expect(try await truth() == expected)
        #expect(try await rows("select * from gloss.correction") == [])
        #expect(try await admin.forget(.job(lease.job)) == 1)
        #expect(try await truth() == expected)
        // The key is free: the truth of before is that of the new job, as long as its images are the same.
        lease = try await caption()
        #expect(try await rows("select fence from gloss.correction") == [["\(lease.fence)"]])
        try await rows("update gloss.annotation set image_sha256 = array[sha256('other')]")
        #expect(try await rows("select * from gloss.correction") == [])
        #expect(try await database.misplacedJobs() == [])
    }

    /// An administrator deletes what was said about a person, or by one.
    @Test func reviewsAreForgotten() async throws {
        let (first, second) = (try await caption(key: "1"), try await caption(key: "2", batch: "c"))
        for lease in [first, second] {
            for reviewer in ["eva", "bob"] { try await review(lease, "accept", by: reviewer) }
        }
        func forget(_ arguments: String) async throws -> String? {
            try await database.query("select gloss.forget_reviews(\(arguments))", as: .admin).scalar
        }
        #expect(try await forget("reviewer => 'bob', batch => 'c'") == "1")
        #expect(try await rows("select reviews from gloss.annotation order by job_id") == [["2"], ["1"]])
        #expect(try await forget("key => '1', task => 'vqa'") == "0")
        #expect(try await forget("key => '1', most => 1") == "1")
        #expect(try await forget("key => '1', most => 1") == "1")
        #expect(try await forget("image => '\(String(repeating: "B", count: 64))'") == "1")
        #expect(try await rows("select count(*) from gloss.review") == [["0"]])
        #expect(try await rows("select max(reviews) from gloss.annotation") == [["0"]])
        for (arguments, words) in [
            ("", "say which reviews"), ("image => 'x'", "an image is named by its SHA-256: 64 hexadecimal digits"),
        ] {
            let error = await #expect(throws: StorageError.self) { try await forget(arguments) }
            #expect(error?.sqlState == "22023" && error?.message.hasPrefix(words) == true)
        }
    }
}
