import Annotation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct InboxTests {
    @Test func movesABulkInOneStatement() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let insert = """
            insert into gloss.inbox (task, image_urls, prompt, key, batch, priority, run_at)
            select 'vqa', array['https://e.org/' || i], 'Is this number ' || i || '?', 'row-' || i, 'numbers', i % 3,
                   case when i % 2 = 0 then now() + interval '1 day' end
            from generate_series(1, 1000) i
            """
        try await database.query(insert, as: .producer)
        try await database.query(insert, as: .producer)
        let counts = try await database.query(
            """
            select (select count(*) from gloss.job), (select count(*) from gloss.ready),
                   (select count(*) from gloss.scheduled), (select count(*) from gloss.inbox)
            """)
        #expect(counts.rows == [["1000", "500", "500", "0"]])
        #expect(try await database.misplacedJobs() == [])
        let progress = try await database.administration(as: .reader).batches(named: "numbers")
        #expect(progress.map(\.total) == [1000] && progress.map(\.left) == [1000])
        let job = try await database.administration(as: .reader).job(JobID(rawValue: 7))
        #expect(job?.job.key == "row-7", "jobs are numbered in the order of the rows")
    }

    @Test func takesCopy() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session(as: .producer)
        let rows = (1...200).map { "detect\t{https://e.org/\($0)}\tcat ; dog\tk\($0)\n" }
        try await session.copyIn("copy gloss.inbox (task, image_urls, prompt, key) from stdin", chunks: rows)
        let spec = try await database.query("select distinct spec -> 'texts' from gloss.job")
        #expect(spec.rows == [["[\"cat\", \"dog\"]"]])
        let error = await #expect(throws: StorageError.self) {
            try await session.copyIn(
                "copy gloss.inbox (task, image_urls, key) from stdin",
                chunks: ["caption\t{https://e.org/1}\ta\n", "caption\t{}\tb\n"])
        }
        #expect(
            error?.message == "row 2 (key \"b\"): there is no image URL: "
                + "1 of 2 rows are no good; nothing was enqueued")
        #expect(try await session.query("select 1").scalar == "1", "the connection is still good")
    }

    @Test func takesSeveralImagesAndViews() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, texts, key, samples) values
                ('vqa', array['https://e.org/1', 'https://e.org/2'], array['What changed?'], 'pair', null),
                ('multiview', array['https://e.org/1', 'https://e.org/2'], null, 'object', 2)
            """, as: .producer)
        let store = database.store()
        let jobs = try await store.claim(limit: 9, by: store.register(Samples.worker()))
        #expect(jobs.map(\.spec.viewCount) == [1, 2])
        #expect(jobs.map(\.spec.texts.count) == [1, 4])
        #expect(jobs.map(\.spec.settings.samples) == [1, 2])
    }

    @Test func refusesTheWholeStatementForOneBadRow() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let error = await #expect(throws: StorageError.self) {
            try await database.query(
                """
                insert into gloss.inbox (task, image_urls) values
                    ('caption', array['https://e.org/1']), ('captoin', array['https://e.org/1'])
                """, as: .producer)
        }
        #expect(error?.sqlState == "22023")
        #expect(
            error?.message.hasPrefix(
                "row 2: task must be \(TaskName.all.map(\.name.rawValue).sorted().joined(separator: ", ")), not \"captoin\""
            )
                == true)
        #expect(try await database.query("select count(*) from gloss.job").scalar == "0")
    }

    /// URLs are judged by the hundred.
    @Test(arguments: [
        ("https://e.org/a'||chr(10)||'https://e.org/b", "contains a control character"),
        ("https://e.org/a'||chr(10)||'", "contains a control character"),
        ("ftp://e.org/a", "must begin with https://, http://, s3://, gs://, az://, file:// or data:"),
        ("'||null||'", "an image URL is empty"), ("", "an image URL is empty"),
        ("https://e.org/'||repeat('a', 8192)||'", "is longer than 8192 characters"),
    ])
    func findsTheOneBadURL(url: String, problem: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let error = await #expect(throws: StorageError.self) {
            try await database.query(
                """
                insert into gloss.inbox (task, image_urls)
                select 'caption', array[case i when 150 then '\(url)' else 'https://e.org/' || i end]
                from generate_series(1, 300) i
                """, as: .producer)
        }
        #expect(error?.message.hasPrefix("row 150: ") == true && error?.message.contains(problem) == true)
        #expect(error?.message.hasSuffix("1 of 300 rows are no good; nothing was enqueued") == true)
    }

    @Test func takesUnusualURLsAmongOthers() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls)
            select 'caption', array[case i when 2 then 'https://e.org/käse' when 3 then 'data:,' || repeat('a', 9000)
                                    when 4 then 'HTTPS://e.org' when 5 then 'file:///a' else 'https://e.org/' || i end]
            from generate_series(1, 300) i
            """, as: .producer)
        #expect(try await database.query("select count(*) from gloss.ready").scalar == "300")
    }

    @Test func takesWhatIsNewOfABulkThatIsKnownInPart() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for (first, last) in [(1, 100), (51, 300)] {
            try await database.query(
                """
                insert into gloss.inbox (task, image_urls, key, batch, seed)
                select 'caption', array['https://e.org/' || i % 1000], 'k' || i % 1000, 'b', i % 1000 % 2
                from (select generate_series(\(first), \(last)) union all values (1200), (1201)) x (i)
                """, as: .producer)
        }
        let keys = try await database.query("select key from gloss.job order by id").rows.map { $0[0] ?? "" }
        #expect(Set(keys).count == 300 && keys.count == 300)
        #expect(keys.filter { Int($0.dropFirst())! > 201 } == (202...300).map { "k\($0)" }, "in the order of the rows")
        #expect(try await database.misplacedJobs() == [])
        #expect(try await database.administration(as: .reader).batches(named: "b").map(\.total) == [300])
    }

    @Test func saysWhichKeyNamesAnotherJob() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let sql = "insert into gloss.inbox (task, image_urls, key) values ('caption', array['https://e.org/'||$1], 'k')"
        try await database.query(sql, ["1"], as: .producer)
        try await database.query(sql, ["1"], as: .producer)
        let error = await #expect(throws: StorageError.self) { try await database.query(sql, ["2"], as: .producer) }
        #expect(error?.sqlState == "23505")
        #expect(error?.message.hasPrefix("the key \"k\" already names another caption job") == true)
    }
}
