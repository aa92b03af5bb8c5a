import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// What is too large or malformed is refused with a plain message, before it costs anything.
@Suite struct SizeTests {
    private static let url = "https://e.org/a"

    /// Refused by gloss itself.
    static let refused: [(sql: String, words: String)] = [
        ("select gloss.enqueue_vqa('\(url)', repeat('x', 10000000))", "a prompt has 10000000 characters; at most 2000"),
        ("select gloss.enqueue_vqa('\(url)', E'two\\rlines')", "a prompt contains a control character"),
        (
            "select gloss.enqueue_caption('\(url)', key => repeat('k', 10000000))",
            "the key is longer than 512 characters"
        ),
        (
            "select gloss.enqueue_caption('\(url)', batch => repeat('b', 10000000))",
            "the name of the batch is longer than 200"
        ),
        (
            "select gloss.enqueue_caption('\(url)', model => repeat('m', 10000000))",
            "model must have 1 to 200 characters"
        ),
        ("select gloss.enqueue_caption('\(url)', language => repeat('l', 10000000))", "language must be a code"),
        ("select gloss.enqueue_caption('\(url)', style => repeat('s', 10000000))", "does not go with caption"),
        (
            "select gloss.enqueue_caption('\(url)', background => repeat('f', 10000000))",
            "background must be like #ffffff"
        ),
        ("select gloss.enqueue_caption('\(url)' || repeat('u', 10000000))", "is longer than 8192 characters"),
        (
            "select gloss.enqueue_caption('data:,' || repeat('u', 17000000))",
            "a data: URL has 17000006 bytes, and 1048576 are taken at most"
        ),
        (
            "select gloss.enqueue_multiview('o', array(select '\(url)' from generate_series(1, 1000000)))",
            "1000000 images are too many: multiview takes at most 64"
        ),
        (
            "select gloss.enqueue_multiview('o', array(select 'data:,' || repeat('u', 1000000 + i) from generate_series(1, 40) i))",
            "the image URLs have more than 32 MiB together"
        ),
        (
            "select gloss.enqueue_detect('\(url)', array(select 'cat' from generate_series(1, 1000000)))",
            "detect needs 1 to 500 things, not 1000000"
        ),
        ("select gloss.enqueue_multiview('o', array[['\(url)'], ['\(url)']])", "image_urls must be a plain list"),
        ("select gloss.enqueue_multiview('o', '[0:0]={\(url)}')", "image_urls must be a plain list"),
        ("select gloss.enqueue_multiview('o', array['\(url)'], array[['a', 'b']])", "texts must be a plain list"),
        (
            "select gloss.enqueue_json(jsonb_build_object('task', repeat('t', 10000000)))",
            "task must be caption, choice, detect, multiview, ocr, question, segment, vqa, not "
        ),
        (
            """
            select gloss.enqueue_json(('{"task": "caption", "image_urls": ["\(url)"], "key": ' || repeat('[', 3000)
                || repeat(']', 3000) || '}')::jsonb)
            """, "the key is longer than 512 characters"
        ),
        (
            "insert into gloss.inbox (task, image_urls, key) values ('caption', '{\(url)}', repeat('k', 10000000))",
            "row 1 (key \"kkkk"
        ),
    ]

    @Test func tooMuchIsRefused() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session(as: .producer)
        for (sql, words) in Self.refused {
            let error = await #expect(throws: StorageError.self, "\(sql)") { try await session.query(sql) }
            #expect(error?.sqlState == "22023", "\(sql): \(String(describing: error).prefix(500))")
            #expect(error?.message.contains(words) == true, "\(sql): \(error?.message.prefix(500) ?? "")")
            #expect((error?.message.count ?? 0) < 1000, "\(sql): the message itself is too long")
        }
        await session.close()
        #expect(try await database.query("select count(*) from gloss.job").scalar == "0")
    }

    /// What PostgreSQL cannot even read, it refuses itself, and the connection stays good.
    @Test func whatIsNoTextOrNoJSON() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let session = database.session(as: .producer)
        let deep = "repeat('[', 1000000) || repeat(']', 1000000)"
        for (sql, state) in [
            ("select gloss.enqueue_vqa('\(Self.url)', convert_from('\\xff', 'UTF8'))", "22021"),
            ("select gloss.enqueue_vqa('\(Self.url)', E'\\xff')", "22021"),
            ("select gloss.enqueue_json('{\"task\": \"caption\", \"key\": \"\\u0000\"}')", "22P05"),
            ("select gloss.enqueue_json((\(deep))::jsonb)", "54001"),
            ("select gloss.enqueue_json('[]')", "22023"),
        ] {
            let error = await #expect(throws: StorageError.self, "\(sql)") { try await session.query(sql) }
            #expect(error?.sqlState == state, "\(sql): \(String(describing: error).prefix(500))")
        }
        let null = await #expect(throws: StorageError.self) {
            try await session.query("select gloss.enqueue_vqa($1, $2)", [SQLValue(Self.url), "a\u{0}b"])
        }
        #expect(null?.message == "a text contains the character U+0000, which PostgreSQL cannot store")
        #expect(
            try await session.query("select outcome from gloss.enqueue_vqa('\(Self.url)', 'why?')").scalar == "inserted"
        )
        await session.close()
    }

    /// A refusal ends up in logs: it shows no password and no signature.
    @Test(arguments: [
        "ftp://user:geheim@e.org/a?sig=geheim", "https://user:geheim@e.org/a", "https://e.o rg/a?sig=geheim",
        "e.org/a?sig=geheim", "//user:geheim@e.org/a#geheim", "https://?sig=geheim", "https://e.org/\u{1}?geheim",
    ])
    func aRefusedURLKeepsItsSecrets(url: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let error = await #expect(throws: StorageError.self) {
            try await database.administration(as: .producer).enqueue(Samples.caption(url))
        }
        #expect(
            error?.sqlState == "22023" && error.map { "\($0)".contains("geheim") } == false,
            "\(String(describing: error))")
    }
}
