import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Options that most jobs do not have, from each door to the daemon.
@Suite struct OptionTests {
    private static let url = "https://e.org/a"

    /// What a daemon gets of all waiting jobs, in their order.
    private func specs(_ database: TestDatabase) async throws -> [JobSpec] {
        let store = database.store()
        return try await store.claim(limit: 1000, by: store.register(Samples.worker())).map(\.spec)
    }

    private func outcome(_ sql: String, _ database: TestDatabase) async throws -> String? {
        try await database.query("select outcome from \(sql)", as: .producer).scalar
    }

    /// A default that is written out is none: the job is that of before, and so is its spec.
    @Test func theUsualValueChangesNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (caption, usual) = ("gloss.enqueue_caption('\(Self.url)', key => 'k'", "pick => 'all', beams => 1")
        let more = "continue_from => ' ', max_repeats => 0, token_scores => false"
        #expect(try await outcome("\(caption))", database) == "inserted")
        #expect(try await outcome("\(caption), \(usual), \(more))", database) == "duplicate")
        #expect(
            try await outcome(
                "gloss.enqueue('caption', '\(Self.url)', key => 'k', options => '{}', follow_ups => '{}', ignore => '{}')",
                database) == "duplicate")
        for other in [
            "pick => 'likeliest'", "beams => 2", "continue_from => 'a'", "max_repeats => 2", "token_scores => true",
            "frames => 2", "urls => null, samples => 2",
        ] {
            #expect(try await outcome("\(caption), \(other))", database) == "conflict", "\(other)")
        }
        let spec = try await database.query("select spec, spec -> 'settings' from gloss.job").rows[0]
        #expect(
            spec[1]
                == #"{"seed": 0, "beams": 1, "top_k": 0, "top_p": 1, "samples": 1, "max_tokens": 64, "temperature": 0}"#
        )
        for key in ["options", "follow_ups", "ignore"] { #expect(spec[0]?.contains(key) == false) }
    }

    @Test func everyDoorTakesThem() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let named = """
            samples => 4, pick => 'likeliest', continue_from => ' a photo', max_repeats => 3, token_scores => true
            """
        let json = """
            {"task": "caption", "image_url": "\(Self.url)", "key": "k", "samples": 4, "pick": "likeliest", \
            "continue_from": "a photo ", "max_repeats": 3, "token_scores": true}
            """
        #expect(
            try await outcome("gloss.enqueue_caption('\(Self.url)', key => 'k', \(named))", database) == "inserted")
        for door in [
            "gloss.enqueue('caption', '\(Self.url)', key => 'k', \(named))", "gloss.enqueue_json('\(json)')",
            "gloss.enqueue_json_rows('[\(json)]')",
        ] {
            #expect(try await outcome(door, database) == "duplicate", "\(door)")
        }
        let columns = "task, image_url, key, samples, pick, continue_from, max_repeats, token_scores"
        let values = "'caption', '\(Self.url)', 'k', 4, 'likeliest', 'a photo', 3, true"
        try await database.query("insert into gloss.inbox (\(columns)) values (\(values))", as: .producer)
        let row = try await database.query(
            "insert into gloss.submission (\(columns)) values (\(values)) returning outcome", as: .producer)
        #expect(row.scalar == "duplicate")
        let settings = DecodeSettings(
            samples: 4, pick: .likeliest, temperature: 1, continueFrom: "a photo", maxRepeats: 3, tokenScores: true)
        let spec = JobSpec(task: .caption, imageURLs: [Self.url], settings: settings)
        let again = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: "k"))
        #expect(again.outcome == .duplicate)
        #expect(try await specs(database) == [spec])
    }

    @Test func furtherQuestionsAreAskedOfEachView() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let call = """
            gloss.enqueue_multiview('o', array['https://e.org/1', 'https://e.org/2'], array['what?'], \
            follow_ups => array['what material is the {answer} made of?', ' what for? '], ignore => array['unanswerable '])
            """
        #expect(try await outcome(call, database) == "inserted")
        let spec = JobSpec(
            task: .multiview, imageURLs: ["https://e.org/1", "https://e.org/2"], texts: ["what?"],
            followUps: ["what material is the {answer} made of?", "what for?"], ignored: ["unanswerable"])
        let again = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: "o"))
        #expect(again.outcome == .duplicate)
        #expect(try await specs(database) == [spec])
        let work = try await database.query("select prefills, tokens from gloss.job")
        #expect(work.rows == [["6", "\(6 * 5 * 24)"]], "views × (questions + further ones)")
        #expect(JobWork(spec) == JobWork(images: 2, prefills: 6, tokens: 6 * 5 * 24))
    }

    @Test func beamsAndOptionsAreWork() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for call in [
            "gloss.enqueue_vqa('\(Self.url)', 'why?', beams => 3, max_tokens => 10)",
            "gloss.enqueue_choice('\(Self.url)', 'why?', array['a', 'b', 'c'])",
        ] {
            #expect(try await outcome(call, database) == "inserted")
        }
        let work = try await database.query("select prefills, tokens from gloss.job order by id")
        #expect(work.rows == [["1", "30"], ["1", "24"]])
        let specs = try await specs(database)
        #expect(Set(specs.map { JobWork($0).tokens }) == [30, 24], "daemons count as the queue does")
    }

    /// As big_vision makes a short clip longer and cuts a long one.
    @Test(arguments: [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 3, 1, 2, 3, 1, 2])])
    func framesRepeatTheImagesFromTheirStart(frames: Int, expected: [Int]) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let urls = "array['https://e.org/1', 'https://e.org/2', 'https://e.org/3']"
        let call = "gloss.enqueue_vqa(urls => \(urls), question => 'what happens?', frames => \(frames), key => 'k')"
        #expect(try await outcome(call, database) == "inserted")
        let listed = expected.map { "https://e.org/\($0)" }
        let spec = JobSpec(task: .vqa, imageURLs: listed, texts: ["what happens?"])
        let again = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: "k"))
        #expect(again.outcome == .duplicate)
        #expect(try await specs(database) == [spec])
        let size = try await database.query("select images, bytes from gloss.job")
        #expect(size.rows == [["\(frames)", "\(frames * 15)"]])
    }

    @Test func severalImagesByFunctionArguments() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let urls = "urls => array['https://e.org/left', 'https://e.org/right']"
        for call in [
            "gloss.enqueue_caption(\(urls))", "gloss.enqueue_vqa(\(urls), question => 'same?')",
            "gloss.enqueue_choice(\(urls), question => 'same?', options => array['yes', 'no'])",
            "gloss.enqueue_vqa('https://e.org/a', 'by position?', 'k', 'de', 'b')",
        ] {
            #expect(try await outcome(call, database) == "inserted", "\(call)")
        }
        let specs = try await specs(database)
        for spec in specs.dropLast() { #expect(spec.imageURLs == ["https://e.org/left", "https://e.org/right"]) }
        #expect(specs.last?.prompts == ["answer de by position?"])
    }

    /// A box that is drawn is a part of what is asked.
    @Test func aDrawnBoxByEveryDoor() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let box = "draw_box => '{0.1,0.25,0.333333343,1}'"
        #expect(try await outcome("gloss.enqueue_caption('\(Self.url)', 'k', \(box))", database) == "inserted")
        let json = """
            {"task": "caption", "image_url": "\(Self.url)", "key": "k", "draw_box": [0.1, 0.25, 0.33333334, 1.0]}
            """
        for door in [
            "gloss.enqueue_caption(urls => array['\(Self.url)'], key => 'k', frames => 1, \(box))",
            "gloss.enqueue('caption', '\(Self.url)', key => 'k', \(box))", "gloss.enqueue_json('\(json)')",
        ] {
            #expect(try await outcome(door, database) == "duplicate", "\(door)")
        }
        for other in ["", ", draw_box => '{0,0.25,0.333333343,1}'"] {
            #expect(
                try await outcome("gloss.enqueue_caption('\(Self.url)', 'k'\(other))", database) == "conflict")
        }
        let values = "('caption', '\(Self.url)', 'k', '{0.1,0.25,0.33333334,1}')"
        try await database.query(
            "insert into gloss.inbox (task, image_url, key, draw_box) values \(values)", as: .producer)
        let row = try await database.query(
            "insert into gloss.submission (task, image_url, key, draw_box) values \(values) returning outcome",
            as: .producer)
        #expect(row.scalar == "duplicate")
        let spec = JobSpec(
            task: .caption, imageURLs: [Self.url], drawnBox: Box(y1: 0.1, x1: 0.25, y2: 1 / 3, x2: 1))
        let again = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: "k"))
        #expect(again.outcome == .duplicate)
        #expect(try await specs(database) == [spec])
    }

    /// Boxes of a bulk are each row's own; other texts and options of the row stay.
    @Test func aBulkOfDrawnBoxes() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            insert into gloss.inbox (task, image_url, prompt, options, draw_box)
            select case when i % 2 = 0 then 'choice' else 'vqa' end, 'https://e.org/a', 'is it ' || i || '?',
                case when i % 2 = 0 then array['yes', 'no'] end, case when i % 3 > 0 then array[0, 0, i / 400.0, 1] end
            from generate_series(1, 300) i
            """, as: .producer)
        let specs = try await specs(database)
        #expect(specs.count == 300)
        for spec in specs {
            let number = try #require(Int(spec.texts[0].filter(\.isNumber)))
            let box = Box(y1: 0, x1: 0, y2: Float(Double(number) / 400), x2: 1)
            #expect(spec.drawnBox == (number % 3 > 0 ? box : nil))
            #expect(spec.options == (number % 2 == 0 ? ["yes", "no"] : []))
        }
        for (key, y2) in [("1", "i"), ("2", "1")] {
            let error = await #expect(throws: StorageError.self) {
                try await database.query(
                    """
                    insert into gloss.inbox (task, image_url, key, draw_box)
                    select 'caption', 'https://e.org/a', '\(key)/' || i, array[case i when 40 then 1.5 else 0 end, 0, \(y2), 1]
                    from generate_series(1, 50) i
                    """, as: .producer)
            }
            let bad = key == "1" ? "row 2 (key \"1/2\"): draw_box is" : "row 40 (key \"2/40\"): draw_box is"
            #expect(error?.message.hasPrefix(bad) == true, "\(error?.message ?? "")")
        }
        #expect(try await database.query("select count(*) from gloss.job").scalar == "300")
    }

    /// Rows with and without options in one statement, each with its own.
    @Test func aBulkOfAllKinds() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let insert = """
            insert into gloss.inbox (task, image_url, prompt, options, key, max_repeats, beams, frames)
            select case when i % 4 = 0 then 'choice' else 'vqa' end, 'https://e.org/' || i, 'is it ' || i || '?',
                case when i % 4 = 0 then array['yes ' || i, 'no'] end, 'k' || i, case when i % 3 = 0 and i % 4 > 1 then 5 end,
                case when i % 4 = 1 then 2 end, case when i % 4 = 2 then 2 end
            from generate_series(1, 300) i
            """
        for _ in 1...2 { try await database.query(insert, as: .producer) }
        let specs = try await specs(database)
        let numbers = specs.map { Int($0.texts[0].filter(\.isNumber)) ?? 0 }
        #expect(numbers.sorted() == Array(1...300))
        for (number, spec) in zip(numbers, specs) {
            #expect(spec.options == (number % 4 == 0 ? ["yes \(number)", "no"] : []))
            #expect(spec.settings.maxRepeats == (number % 3 == 0 && number % 4 > 1 ? 5 : 0))
            #expect(spec.settings.beams == (number % 4 == 1 ? 2 : 1))
            #expect(spec.imageURLs.count == (number % 4 == 2 ? 2 : 1))
        }
        #expect(try await database.misplacedJobs() == [])
    }

    /// Where all rows seem to be alike, each one's options are looked at.
    @Test func findsTheOneBadRow() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let error = await #expect(throws: StorageError.self) {
            try await database.query(
                """
                insert into gloss.inbox (task, image_url, prompt, options)
                select 'choice', 'https://e.org/' || i, 'is it?', array['yes', case i when 150 then ' yes' else 'no' end]
                from generate_series(1, 300) i
                """, as: .producer)
        }
        #expect(error?.message.hasPrefix("row 150: the option \"yes\" is given twice") == true)
        let problems = try await database.query(
            """
            select n, problem from gloss.bad_json_rows('[{"max_repeats": 2}, {"max_repeats": 1}, {"options": ["a"]}]',
                '{"task": "caption", "image_url": "\(Self.url)"}')
            """, as: .producer)
        #expect(
            problems.rows == [
                ["2", "max_repeats must be 0 (off) or 2 to 100, not 1"], ["3", "caption takes no options"],
            ])
    }

    private static let boxes =
        "draw_box is y1,x1,y2,x2, fractions of the height and the width such as 0.1,0.2,0.9,0.8"

    static let refused: [(call: String, message: String)] = [
        ("gloss.enqueue_caption('\(url)', beams => 9)", "beams must be 1 to 8, not 9"),
        ("gloss.enqueue_caption('\(url)', beams => 0)", "beams must be 1 to 8, not 0"),
        (
            "gloss.enqueue_caption('\(url)', beams => 2, samples => 2)",
            "a beam search gives the one response that it finds likeliest: give samples => 1 and temperature => 0"
        ),
        (
            "gloss.enqueue_vqa('\(url)', 'q', beams => 2, temperature => 0.5)",
            "a beam search gives the one response that it finds likeliest: give samples => 1 and temperature => 0"
        ),
        (
            "gloss.enqueue('detect', '\(url)', prompt => 'cat', beams => 2)",
            "detect takes beams => 1 only: a beam search is for tasks that answer with one text"
        ),
        ("gloss.enqueue_caption('\(url)', pick => 'best')", "pick must be all or likeliest, not \"best\""),
        (
            "gloss.enqueue_caption('\(url)', continue_from => repeat('x', 2001))",
            "continue_from has 2001 characters; at most 2000 are taken"
        ),
        (
            "gloss.enqueue_caption('\(url)', continue_from => e'a\\rb')",
            "continue_from contains a control character other than TAB and line feed"
        ),
        (
            "gloss.enqueue_caption('\(url)', continue_from => e'a\\n')",
            "continue_from begins or ends with a TAB or a line feed"
        ),
        (
            "gloss.enqueue_caption('\(url)', max_repeats => 101)",
            "max_repeats must be 0 (off) or 2 to 100, not 101"
        ),
        (
            "gloss.enqueue_caption('\(url)', max_repeats => 2, beams => 2)",
            "a beam search does not stop at a repetition: give max_repeats => 0 or beams => 1"
        ),
        ("gloss.enqueue_caption('\(url)', frames => 17)", "frames must be 1 to 16, not 17"),
        ("gloss.enqueue_caption('\(url)', frames => 0)", "frames must be 1 to 16, not 0"),
        (
            "gloss.enqueue('multiview', '\(url)', frames => 2)",
            "multiview takes no frames: its images are views"
        ),
        (
            "gloss.enqueue_caption('\(url)', frames => 2, draw_box => '{0,0,1,1}')",
            "draw_box is for jobs of one image, not of 2"
        ),
        (
            "gloss.enqueue('multiview', '\(url)', draw_box => '{0,0,1,1}')",
            "multiview takes no draw_box: its images are views"
        ),
        ("gloss.enqueue_vqa('\(url)', 'q', draw_box => '{0.1,0.1,0.9}')", "\(boxes), not \"0.1,0.1,0.9\""),
        ("gloss.enqueue_vqa('\(url)', 'q', draw_box => '{0,0,0.5,1.5}')", "\(boxes), not \"0,0,0.5,1.5\""),
        ("gloss.enqueue_vqa('\(url)', 'q', draw_box => '{0.6,0,0.5,1}')", "\(boxes), not \"0.6,0,0.5,1\""),
        ("gloss.enqueue_vqa('\(url)', 'q', draw_box => '{0,0.6,1,0.5}')", "\(boxes), not \"0,0.6,1,0.5\""),
        ("gloss.enqueue_vqa('\(url)', 'q', draw_box => '{0,0,null,1}')", "\(boxes), not \"0,0,null,1\""),
        ("gloss.enqueue_vqa('\(url)', 'q', draw_box => '{0,0,nan,1}')", "\(boxes), not \"0,0,NaN,1\""),
        ("gloss.enqueue_choice('\(url)', 'q', '{a,b}', draw_box => '{}')", "\(boxes), not \"\""),
        ("gloss.enqueue_caption('\(url)', urls => array['\(url)'])", "give either url or urls, not both"),
        ("gloss.enqueue_caption()", "an image URL is empty"),
        ("gloss.enqueue_caption(urls => '{}')", "there is no image URL"),
        (
            "gloss.enqueue_caption(urls => array_fill('\(url)'::text, array[17]))",
            "17 images are too many: caption takes at most 16"
        ),
        ("gloss.enqueue('vqa', '\(url)', prompt => 'q', options => '{a,b}')", "vqa takes no options"),
        ("gloss.enqueue_choice('\(url)', 'q', '{a}')", "choice needs 2 to 64 options, not 1"),
        ("gloss.enqueue_choice('\(url)', 'q')", "choice needs 2 to 64 options, not 0"),
        ("gloss.enqueue_choice('\(url)', null, '{a,b}')", "choice needs a prompt"),
        (
            "gloss.enqueue_choice('\(url)', 'q', array(select i::text from generate_series(1, 65) i))",
            "choice needs 2 to 64 options, not 65"
        ),
        ("gloss.enqueue_choice('\(url)', 'q', array['a', ' a'])", "the option \"a\" is given twice"),
        ("gloss.enqueue_choice('\(url)', 'q', array['a', ' '])", "an option is empty"),
        ("gloss.enqueue_choice('\(url)', 'q', array['a', null])", "an option is empty"),
        (
            "gloss.enqueue_choice('\(url)', 'q', array['a', repeat('x', 2001)])",
            "an option has 2001 characters; at most 2000 are taken"
        ),
        ("gloss.enqueue_choice('\(url)', 'q', '{{a,b}}')", "options must be a plain list that counts from 1"),
        (
            "gloss.enqueue_choice('\(url)', 'q', array['a', e'b\\tc'], style => 'listed')",
            "an option contains a TAB, which separates them in the style listed"
        ),
        (
            "gloss.enqueue_choice('\(url)', 'q', array['a', repeat('x', 1997)], style => 'listed')",
            "question and options have 2005 characters together; at most 2000 are taken in the style listed"
        ),
        (
            "gloss.enqueue('choice', '\(url)', prompt => 'q', options => '{a,b}', continue_from => 'x')",
            "choice scores its options and draws no response: pick, continue_from and max_repeats mean nothing"
        ),
        (
            "gloss.enqueue('caption', '\(url)', follow_ups => '{why?}')",
            "caption takes no follow_ups and no ignore: those are for tasks that ask about several views"
        ),
        (
            "gloss.enqueue_multiview('o', array['\(url)'], follow_ups => array_fill('q?'::text, array[9]))",
            "9 follow-up questions are too many: at most 8 are taken"
        ),
        (
            "gloss.enqueue_multiview('o', array['\(url)'], follow_ups => array['why?', ' '])",
            "follow_ups: a prompt is empty"
        ),
        (
            "gloss.enqueue_multiview('o', array['\(url)'], ignore => array_fill('a'::text, array[65]))",
            "65 answers to ignore are too many: at most 64 are taken"
        ),
        ("gloss.enqueue_multiview('o', array['\(url)'], ignore => array[''])", "an answer to ignore is empty"),
    ]

    @Test func badOptionsAreRefusedWithAReason() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session(as: .producer)
        for (call, message) in Self.refused {
            let error = await #expect(throws: StorageError.self, "\(call)") {
                try await session.query("select * from \(call)")
            }
            #expect(error?.sqlState == "22023" && error?.message == message, "\(call): \(error?.message ?? "")")
        }
        await session.close()
        #expect(try await database.query("select count(*) from gloss.job").scalar == "0")
    }
}
