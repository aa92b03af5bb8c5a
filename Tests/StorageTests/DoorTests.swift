import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// The ways into the queue that answer, and what a key names.
@Suite struct DoorTests {
    private let database: TestDatabase

    init() async throws { database = try await PrivatePostgres.shared.makeDatabase() }

    /// As an ORM does: one row, and what it is called and became comes back.
    @Test func aSubmissionAnswersRowByRow() async throws {
        let insert = """
            insert into gloss.submission (task, image_url, key, temperature, samples)
            values ('caption', 'https://e.org/a', 'k', 0.5, 2), ('caption', 'https://e.org/a', 'k', 0.5, 2),
                   ('caption', 'https://e.org/b', 'k', null, null)
            returning job_id, outcome, key
            """
        let answer = try await database.query(insert, as: .producer)
        #expect(answer.rows == [["1", "inserted", "k"], ["1", "duplicate", "k"], ["1", "conflict", "k"]])
        #expect(try await database.query("select count(*) from gloss.submission", as: .producer).scalar == "0")
        let bad = await #expect(throws: StorageError.self) {
            try await database.query("insert into gloss.submission (task) values ('caption')", as: .producer)
        }
        #expect(bad?.sqlState == "22023" && bad?.message == "there is no image URL")
    }

    @Test func theInboxTakesOneURL() async throws {
        try await database.query(
            """
            insert into gloss.inbox (task, image_url, prompt, key) values
                ('caption', 'https://e.org/a', null, 'one'), ('vqa', 'https://e.org/a', ' why? ', 'two'),
                ('multiview', 'https://e.org/a', null, 'three')
            """, as: .producer)
        let rows = try await database.query(
            "select key, image_urls, spec #>> '{texts,0}', prefills from gloss.job order by id")
        #expect(
            rows.rows == [
                ["one", "{https://e.org/a}", nil, "1"], ["two", "{https://e.org/a}", "why?", "1"],
                ["three", "{https://e.org/a}", "What is this?", "4"],
            ])
        let both = await #expect(throws: StorageError.self) {
            try await database.query(
                """
                insert into gloss.inbox (task, image_url, image_urls)
                values ('caption', 'https://e.org/a', '{https://e.org/b}')
                """, as: .producer)
        }
        #expect(both?.message.contains("give either image_url or image_urls, not both") == true)
    }

    /// Many submissions as JSON: one answer each, in their order; what one leaves out it has from the defaults.
    @Test func manySubmissionsAnswerInTheirOrder() async throws {
        let admin = database.administration(as: .producer)
        let lines = (1...50).map {
            #"{"image_url": "https://e.org/\#($0 % 40)", "key": "k\#(50 - $0 % 40)"}"#
        }
        let answers = try await admin.enqueue(submissions: lines, defaults: #"{"task": "caption", "batch": "b"}"#)
        #expect(
            answers.map(\.outcome) == Array(repeating: .inserted, count: 40) + Array(repeating: .duplicate, count: 10))
        #expect(answers.suffix(10).map(\.job) == answers.prefix(10).map(\.job))
        let keys = try await database.query("select key from gloss.job order by id limit 2")
        #expect(keys.rows == [["k49"], ["k48"]], "jobs are numbered in the order of the submissions")
        let bad = await #expect(throws: StorageError.self) {
            try await admin.enqueue(
                submissions: lines + [#"{"image_url": "ftp://e.org"}"#], defaults: #"{"task": "caption"}"#)
        }
        #expect(bad?.message.hasPrefix("row 51: the image URL \"ftp://e.org\" must begin with") == true)
        let some = [
            #"{"task": "nonsense"}"#, lines[0], #"{"priority": "high"}"#, #"{"image_url": "ftp://e.org"}"#,
            #"{"image_url": "https://e.org/a", "max_tokens": 0}"#, lines[1],
        ]
        let problems = try await admin.problems(ofSubmissions: some, defaults: #"{"task": "caption"}"#)
        #expect(problems.keys.sorted() == [0, 2, 3, 4])
        #expect(problems[2] == #"invalid input syntax for type integer: "high""#)
        #expect(problems[3]?.hasPrefix("the image URL \"ftp://e.org\" must begin with") == true)
        #expect(try await database.misplacedJobs() == [])
    }

    /// The same rows can be answered by two models and compared.
    @Test func aKeyNamesOneJobOfItsTaskAndModel() async throws {
        let admin = database.administration()
        for model in [nil, "small", "large"] {
            var spec = Samples.caption()
            spec.model = model
            #expect(try await admin.enqueue(spec, EnqueueOptions(key: "row")).outcome == .inserted)
            #expect(try await admin.enqueue(spec, EnqueueOptions(key: "row")).outcome == .duplicate)
            spec.language = "de"
            #expect(try await admin.enqueue(spec, EnqueueOptions(key: "row")).outcome == .conflict)
        }
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, key, model)
            select 'caption', '{https://example.org/a.jpg}', 'row', m from unnest(array[null, 'small', 'other']) m
            """, as: .producer)
        let models = try await database.query(
            "select coalesce(model, 'any') from gloss.job_state where key = 'row' order by job_id", as: .reader)
        #expect(models.rows == [["any"], ["small"], ["large"], ["other"]])
        #expect(try await admin.cancel(.everything) == 4)
    }

    /// Numbers as clients bind them: double precision.
    @Test func floatsAreDoubles() async throws {
        let answer = try await database.query(
            """
            select outcome from gloss.enqueue_vqa('https://e.org/a', 'why?', samples => 2,
                temperature => $1::double precision, top_p => $2::double precision)
            """, ["0.7", "0.95"], as: .producer)
        #expect(answer.scalar == "inserted")
        let settings = try await database.query("select spec #>> '{settings,temperature}' from gloss.job")
        #expect(settings.scalar == "0.7")
    }

    @Test(arguments: [
        ("<image> what is this?", false), ("<bos>what is this?", false), (#"what is this?\n"#, false),
        ("  what is this?  ", true), ("jack  of clubs", true), ("what is <image>?", true),
    ])
    func aPromptIsTrimmedAndHoldsNothingThatGlossAdds(text: String, isGood: Bool) async throws {
        let call = "select outcome from gloss.enqueue_vqa('https://e.org/a', $1)"
        guard isGood else {
            let error = await #expect(throws: StorageError.self) {
                try await database.query(call, [SQLValue(text)], as: .producer)
            }
            #expect(error?.message.contains("gloss itself adds <image>, <bos> and the line break") == true)
            return
        }
        #expect(try await database.query(call, [SQLValue(text)], as: .producer).scalar == "inserted")
        let kept = try await database.query("select spec #>> '{texts,0}' from gloss.job").scalar
        #expect(kept == text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed().map(String.init).joined())
    }

    /// Somebody with a batch a request, and models by the thousand: time grows with them, and not with their square. (On a machine
    /// with nothing else to do, bulks and views take a tenth of what is allowed here.)
    @Test func manyBatchesAndModelsAreNoBurden() async throws {
        let session = database.session()
        let bulks = [
            ("batch", "'b' || i", 20_000), ("batch", "'b' || i", 20_000), ("model", "'m' || i", 2_000),
        ]
        for (column, value, count) in bulks {
            let plan = try await session.query(
                """
                explain (analyze, format json) insert into gloss.inbox (task, image_urls, \(column))
                select 'caption', array['https://e.org/' || i], \(value) from generate_series(1, \(count)) i
                """)
            let time = try await session.query("select $1::json -> 0 ->> 'Execution Time'", [SQLValue(plan.scalar)])
            let seconds = (Double(time.scalar ?? "") ?? .infinity) / 1000
            #expect(seconds < Double(count) / 400, "\(count) rows of \(column) took \(seconds) s")
        }
        for fold in [false, true] {
            if fold { _ = try await session.query("select gloss.fold_counts(100000)") }
            for view in ["depth", "batch_progress", "worker", "host"] {
                let plan = try await session.query("explain (analyze, format json) select * from gloss.\(view)")
                let time = try await session.query("select $1::json -> 0 ->> 'Execution Time'", [SQLValue(plan.scalar)])
                #expect((Double(time.scalar ?? "") ?? .infinity) < 3000, "\(view)")
            }
        }
        let totals = try await session.query("select count(*), sum(total) from gloss.batch_progress")
        #expect(totals.rows == [["20000", "40000"]])
        await session.close()
    }
}
