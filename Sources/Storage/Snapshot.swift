import Queue

/// One transaction that reads: all its statements see the same rows, and none can write, whatever is in them.
public struct Snapshot: Sendable {
    private let session: Session

    /// Begins the transaction on a session that is used for nothing else meanwhile.
    init(_ session: Session) async throws {
        self.session = session
        // Sorting some hundred megabytes by pieces of 4 MiB takes twice as long. A cursor is planned to be read to its end.
        try await session.script(
            """
            begin isolation level repeatable read read only;
            set local work_mem = '64MB'; set local cursor_tuple_fraction = 1
            """, context: "export")
        // From the first statement on, nothing can make the transaction one that writes.
        _ = try await session.query("select 1", context: "export")
    }

    /// Runs one statement and returns its whole answer.
    public func query(_ sql: String, _ parameters: [SQLValue] = [], context: String = "export") async throws
        -> ResultSet
    {
        try await session.query(sql, parameters, context: context)
    }

    /// Opens a cursor over a query.
    /// - Parameter name: an identifier, one a cursor.
    public func cursor(
        _ name: String, _ sql: String, _ parameters: [SQLValue] = [], context: String = "export"
    ) async throws -> Cursor {
        _ = try await session.query(
            "declare \(name) no scroll cursor for \(sql)", parameters, context: context)
        return Cursor(session: session, name: name, context: context)
    }

    /// Ends the transaction. Nothing of it remains, not even a notification.
    public func end() async throws { try await session.script("rollback", context: "export") }

    /// Rows that are read in pieces.
    public struct Cursor: Sendable {
        fileprivate let session: Session
        fileprivate let name: String
        fileprivate let context: String

        /// The next rows, `count` at most; none at the end.
        public func next(_ count: Int) async throws -> [[String?]] {
            try await session.query("fetch \(count) from \(name)", context: context).rows
        }
    }
}

extension Administration {
    /// Begins a transaction that reads. Until it ends, this administration is used for nothing else.
    public func snapshot() async throws -> Snapshot { try await Snapshot(session) }

    /// The names of a view's columns, in order.
    public func columns(of view: ResultView) async throws -> [String] {
        try await session.query(
            """
            select attname from pg_attribute
            where attrelid = ('gloss.' || $1)::regclass and attnum > 0 and not attisdropped order by attnum
            """, [SQLValue(view.rawValue)], context: "export"
        ).rows.compactMap { $0.first ?? nil }
    }
}
