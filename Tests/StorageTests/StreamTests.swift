import Storage
import Synchronization
import TestSupport
import Testing

/// Rows that pass by: they come by COPY, and must be those that the statement gives by itself.
@Suite struct StreamTests {
    private let texts: [String?] = [
        "plain", "", nil, "\\N", "\\", "\\\\N", "a\tb\nc\rd", "\u{8}\u{B}\u{C}", "\\t", "äöü 🖼 e\u{301}",
        "'quoted' \"twice\"", "$1", String(repeating: "x\\\n", count: 10_000),
    ]

    private func rows(
        _ session: Session, _ sql: String, _ parameters: [SQLValue] = []
    ) async throws -> [[String?]] {
        let rows = Mutex<[[String?]]>([])
        try await session.stream(sql, parameters) { row in rows.withLock { $0.append(row.values) } }
        return rows.withLock { $0 }
    }

    @Test func valuesAreThoseOfTheStatement() async throws {
        let session = try await PrivatePostgres.shared.makeDatabase(migrated: false).session()
        let values = texts.map { SQLValue($0) }
        let list = values.indices.map { "($\($0 + 1)::text, \($0))" }.joined(separator: ", ")
        let sql = """
            select t, n, n / 3.0, array[t], to_json(t)::text, t is null, now() - now(), '1 day'::interval
            from (values \(list)) x (t, n) order by n -- a comment
            """
        let expected = try await session.query(sql, values)
        let streamed = try await rows(session, sql, values)
        #expect(streamed == expected.rows)
        #expect(streamed.map { $0[0] } == texts)
        #expect(try await rows(session, "select 1 where false") == [])
        #expect(try await rows(session, "select '$1 $'") == [["$1 $"]])
        #expect(try await rows(session, "select $2::int - $1::int, '$'", [7, 8]) == [["1", "$"]])
    }

    /// What the rows' reader throws ends the statement, and the connection is as good as before.
    @Test func theReaderMayEndIt() async throws {
        struct Enough: Error {}
        let session = try await PrivatePostgres.shared.makeDatabase(migrated: false).session()
        let pid = try await session.query("select pg_backend_pid()").scalar
        let count = Mutex(0)
        await #expect(throws: Enough.self) {
            try await session.stream("select generate_series(1, 100000000)") { _ in
                try count.withLock {
                    $0 += 1
                    if $0 == 1000 { throw Enough() }
                }
            }
        }
        #expect(count.withLock { $0 } == 1000)
        #expect(try await session.query("select pg_backend_pid()").scalar == pid)
    }

    @Test func anErrorAmongRowsIsTheServers() async throws {
        let session = try await PrivatePostgres.shared.makeDatabase(migrated: false).session()
        let error = await #expect(throws: StorageError.self) {
            try await session.stream("select 1 / (5000 - n) from generate_series(1, 10000) n") { _ in }
        }
        #expect(error?.sqlState == "22012")
        let unreadable = await #expect(throws: StorageError.self) {
            try await session.stream("select 1; select 2") { _ in }
        }
        #expect(unreadable?.sqlState == "42601")
        let zero = await #expect(throws: StorageError.self) {
            try await session.stream("select $1::text", ["\0"]) { _ in }
        }
        #expect(zero?.sqlState == "22021")
        #expect(try await session.query("select 1").scalar == "1")
    }
}
