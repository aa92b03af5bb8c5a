import Annotation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct EnqueueTests {
    /// Runs a statement as a producer and returns the first row.
    private func row(_ sql: String, _ database: TestDatabase) async throws -> [String?] {
        try await database.query(sql, as: .producer).rows.first ?? []
    }

    @Test func saysWhatBecameOfTheCall() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let call = "select * from gloss.enqueue_caption('https://example.org/a.jpg', key => 'row-17', language => "
        #expect(try await row(call + "'en')", database) == ["1", "inserted"])
        #expect(try await row(call + "'en')", database) == ["1", "duplicate"])
        #expect(try await row(call + "'de')", database) == ["1", "conflict"])
        #expect(try await row(call + "'en', priority => 3)", database) == ["1", "duplicate"])
        #expect(
            try await row(call + "'de', model => 'large')", database).last == "inserted",
            "a key is a name within its model")
        let other = "select outcome from gloss.enqueue_vqa('https://example.org/a.jpg', 'Why?', key => 'row-17')"
        #expect(try await row(other, database) == ["inserted"], "a key is a name within its task")
        let count = try await database.query("select count(*) from gloss.job")
        #expect(count.scalar == "3")
    }

    /// Blanks around a text are no part of it, through whichever door it comes.
    @Test func oneRuleForBlanks() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (url, urls) = ("'https://example.org/a.jpg'", "array['https://example.org/a.jpg']")
        let doors = [
            "select outcome from gloss.enqueue_detect(\(url), array['cat', 'red dog'], key => 'd')",
            "select outcome from gloss.enqueue_detect(\(url), array[' cat', 'red dog '], key => 'd')",
            "select outcome from gloss.enqueue(task => 'detect', image_urls => \(urls), prompt => ' cat ; red dog ', key => 'd')",
            "select outcome from gloss.enqueue(task => 'detect', image_urls => \(urls), texts => array['cat ', ' red dog'], key => 'd')",
            """
            select outcome from gloss.enqueue_json('{"task": "detect", "image_url": "https://example.org/a.jpg", \
            "texts": ["  cat", "red dog "], "key": "d"}')
            """,
        ]
        for (index, door) in doors.enumerated() {
            #expect(try await row(door, database) == [index == 0 ? "inserted" : "duplicate"], "\(door)")
        }
        let into =
            "insert into gloss.inbox (task, image_url, texts, key) values ('detect', \(url), array['cat', ' red dog '], 'd')"
        try await database.query(into, as: .producer)
        #expect(try await database.query("select count(*) from gloss.job").scalar == "1")
    }

    @Test func eachTaskFillsInItsDefaults() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let url = "'https://example.org/a.jpg'"
        _ = try await row("select gloss.enqueue_caption(\(url), background => '#FF0000')", database)
        _ = try await row("select gloss.enqueue_vqa(\(url), 'what colour is the car?', samples => 3)", database)
        _ = try await row("select gloss.enqueue_detect(\(url), array['cat', 'dog'])", database)
        _ = try await row("select gloss.enqueue_multiview('objaverse:abc', array[\(url), \(url)])", database)
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 9, by: worker)
        #expect(
            jobs.flatMap(\.spec.prompts) == [
                "caption en", "answer en what colour is the car?", "detect cat ; dog", "answer en What is this?",
                "answer en What type of object is this?", "answer en What is in the image?",
                "answer en Describe the object in the image",
            ])
        for job in jobs where job.spec.task != .vqa {
            #expect(job.spec.settings == job.spec.task.definition.defaults)
        }
        #expect(jobs[0].spec.background == 0xFF0000)
        #expect(jobs[1].spec.settings == DecodeSettings(maxTokens: 32, samples: 3, temperature: 1))
        #expect(jobs[3].key == "objaverse:abc" && jobs[3].spec.viewCount == 2)
    }

    @Test func swiftAndSQLEnqueueTheSame() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        _ = try await row("select gloss.enqueue_detect('https://e.org/a', array['cat'], key => 'k')", database)
        let spec = JobSpec(task: .detect, imageURLs: ["https://e.org/a"], texts: ["cat"])
        let again = try await database.administration(as: .producer).enqueue(spec, EnqueueOptions(key: "k"))
        #expect(again == Enqueued(job: JobID(rawValue: 1), outcome: .duplicate))
    }

    @Test(arguments: [
        ("gloss.enqueue_caption('')", "an image URL is empty"),
        ("gloss.enqueue_caption(null)", "an image URL is empty"),
        (
            "gloss.enqueue_caption('ftp://e.org/a')",
            "the image URL \"ftp://e.org/a\" must begin with https://, http://, s3://, gs://, az://, file:// or data:"
        ),
        (
            "gloss.enqueue_caption('s3://Images/a')",
            "the image URL \"s3://Images/a\" names no bucket: its name has 3 to 63 lowercase letters, digits, dots and hyphens"
        ),
        ("gloss.enqueue_caption('gs://images/')", "the image URL \"gs://images/\" names no object of the bucket"),
        ("gloss.enqueue_caption('az://images')", "the image URL \"az://images\" names no object of the bucket"),
        (
            "gloss.enqueue_caption('s3://images/a/../b')",
            "the image URL \"s3://images/a/../b\" has a part . or .., which would lead elsewhere"
        ),
        (
            "gloss.enqueue_caption('s3://images/.')",
            "the image URL \"s3://images/.\" has a part . or .., which would lead elsewhere"
        ),
        (
            "gloss.enqueue_caption(E's3://images/a\\tb')",
            "the image URL \"s3://images/a\tb\" contains a control character"
        ),
        (
            "gloss.enqueue_caption('https://e .org/a')",
            "the image URL \"https://e .org/a\" has a space in its host or at its end"
        ),
        (
            "gloss.enqueue_caption('https://e.org/a b ')",
            "the image URL \"https://e.org/a b \" has a space in its host or at its end"
        ),
        ("gloss.enqueue_caption('https:///a')", "the image URL \"https:///a\" names no host"),
        (
            "gloss.enqueue_caption('https://u:p@e.org/a')",
            "the image URL contains a user name or password; gloss does not fetch such URLs"
        ),
        ("gloss.enqueue_caption('https://e.org', samples => 65)", "samples must be 1 to 64, not 65"),
        (
            "gloss.enqueue_caption('https://e.org', samples => 2, temperature => 0)",
            "temperature 0 is greedy: all samples would be the same; give a temperature above 0 or samples => 1"
        ),
        ("gloss.enqueue_caption('https://e.org', temperature => 'NaN')", "temperature must be 0 to 5, not NaN"),
        ("gloss.enqueue_caption('https://e.org', beams => -1)", "beams must be 1 to 8, not -1"),
        ("gloss.enqueue_caption('https://e.org', seed => -1)", "seed must not be negative, not -1"),
        ("gloss.enqueue_caption('https://e.org', top_p => 0)", "top_p must be above 0 and at most 1, not 0"),
        ("gloss.enqueue_caption('https://e.org', max_tokens => 0)", "max_tokens must be 1 to 1024, not 0"),
        ("gloss.enqueue_caption('https://e.org', key => '')", "the key is empty; leave it out instead"),
        ("gloss.enqueue_caption('https://e.org', priority => 101)", "priority must be -100 to 100, not 101"),
        ("gloss.enqueue_caption('https://e.org', run_at => 'infinity')", "run_at must be a time, not infinity"),
        (
            "gloss.enqueue_caption('https://e.org', language => 'English')",
            "language must be a code such as en or pt-BR, not \"English\""
        ),
        (
            "gloss.enqueue_caption('https://e.org', style => 'detect')",
            "style \"detect\" does not go with caption, which has: caption, box, cap, describe, raw"
        ),
        ("gloss.enqueue_vqa('https://e.org', ' ')", "a prompt is empty"),
        ("gloss.enqueue_vqa('https://e.org', null)", "vqa needs a prompt"),
        (
            "gloss.enqueue_vqa('https://e.org', e'a\\rb')",
            "a prompt contains a control character other than TAB and line feed"
        ),
        ("gloss.enqueue_vqa('https://e.org', e' a\\n ')", "a prompt begins or ends with a TAB or a line feed"),
        ("gloss.enqueue_vqa('https://e.org', e'\\ta')", "a prompt begins or ends with a TAB or a line feed"),
        (
            "gloss.enqueue_vqa('https://e.org', 'why?\\n')",
            "gloss itself adds <image>, <bos> and the line break at the end: leave them out of \"why?\\n\""
        ),
        (
            "gloss.enqueue_vqa('https://e.org', '<bos>why?', style => 'bare')",
            "gloss itself adds <image>, <bos> and the line break at the end: leave them out of \"<bos>why?\""
        ),
        (
            "gloss.enqueue_caption_box('https://e.org', '{0.1,0.2,0.5}')",
            "a box is y1,x1,y2,x2, fractions of the height and the width such as 0.1,0.2,0.9,0.8, not \"0.1,0.2,0.5\""
        ),
        (
            "gloss.enqueue_caption_box('https://e.org', '{0.1,0.2,0.5,null}')",
            "a box is y1,x1,y2,x2, fractions of the height and the width such as 0.1,0.2,0.9,0.8, not \"0.1,0.2,0.5,null\""
        ),
        (
            "gloss.enqueue_detect('https://e.org', array(select repeat('x', 97) from generate_series(1, 21)))",
            "21 things have 2097 characters together; at most 2000 are taken: divide them among several jobs"
        ),
        (
            "gloss.enqueue_vqa('https://e.org', repeat('x', 2001))",
            "a prompt has 2001 characters; at most 2000 are taken"
        ),
        ("gloss.enqueue_detect('https://e.org', '{}')", "detect needs 1 to 500 things, not 0"),
        ("gloss.enqueue_detect('https://e.org', array['a;b'])", "the name of a thing contains a semicolon: a;b"),
        ("gloss.enqueue_multiview('o', '{}')", "there is no image URL"),
        (
            "gloss.enqueue_multiview('o', array_fill('https://e.org'::text, array[65]))",
            "65 images are too many: multiview takes at most 64"
        ),
        (
            "gloss.enqueue_multiview('o', array['https://e.org'], score => 'best')",
            "score must be sum or normalised, not \"best\""
        ),
    ])
    func refusesBadInputAndSaysWhy(call: String, message: String) async throws {
        let database = try await BadInput.shared.database()
        let error = await #expect(throws: StorageError.self) { try await row("select * from \(call)", database) }
        #expect(error?.sqlState == "22023")
        #expect(error?.message == message)
        #expect(error?.disposition == .permanent)
    }

    /// Lists from the web have them, and the fetcher encodes them.
    @Test func takesSpacesInAPathAndAQuery() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for url in ["https://e.org/my photo.jpg", "https://e.org/a?b=c d", "file:///srv/my images/1.png"] {
            let id = try await database.query("select job_id from gloss.enqueue_caption('\(url)')", as: .producer)
                .scalar
            let kept = try await database.query("select image_urls[1] from gloss.job where id = \(id ?? "0")").scalar
            #expect(kept == url)
        }
    }

    @Test func refusesTheNullCharacter() async throws {
        let database = try await BadInput.shared.database()
        let spec = JobSpec(task: .vqa, imageURLs: ["https://e.org/a"], texts: ["why\u{0}?"])
        let admin = database.administration(as: .producer)
        let error = await #expect(throws: StorageError.self) { try await admin.enqueue(spec) }
        #expect(error?.disposition == .permanent)
        let other = await #expect(throws: StorageError.self) {
            try await database.query("select gloss.enqueue_caption($1)", ["https://e.org/\u{0}"], as: .producer)
        }
        #expect(other?.sqlState == "22021")
    }

    @Test func aFailedTransactionEnqueuesNothing() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session(as: .producer)
        try await session.script("begin; select gloss.enqueue_caption('https://e.org/a', batch => 'b'); rollback")
        #expect(try await database.query("select count(*) from gloss.job").scalar == "0")
        #expect(try await database.query("select count(*) from gloss.tally").scalar == "0")
    }
}

/// One database for all refusals, since they leave nothing behind.
private actor BadInput {
    static let shared = BadInput()
    private var task: Task<TestDatabase, any Error>?

    func database() async throws -> TestDatabase {
        let task = self.task ?? Task { try await PrivatePostgres.shared.makeDatabase() }
        self.task = task
        return try await task.value
    }
}
