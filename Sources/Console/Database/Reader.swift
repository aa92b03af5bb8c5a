import Storage
import Synchronization

/// The reads of one page, in one transaction.
final class Reader: Sendable {
    /// Counting ends here: more rows than a person looks at, and few enough for a moment.
    static let mostCounted = 100_000

    private let session: Session
    private let log = Mutex<[Statement]>([])

    init(_ session: Session) { self.session = session }

    /// What was asked so far: a page shows it.
    var statements: [Statement] { log.withLock { $0 } }

    /// Runs a statement and decodes each row.
    /// - Parameter isShown: whether the page names it among what it shows.
    func rows<Row: Decodable & Sendable>(
        _ type: Row.Type, _ statement: Statement, isShown: Bool = true
    ) async throws -> [Row] {
        if isShown { log.withLock { $0.append(statement) } }
        return try await session.rows(type, statement.sql, statement.parameters, context: "console")
    }

    /// The first column of the first row.
    func scalar(_ statement: Statement, isShown: Bool = true) async throws -> String? {
        if isShown { log.withLock { $0.append(statement) } }
        return try await session.query(statement.sql, statement.parameters, context: "console").scalar
    }

    /// The first column of each row.
    func lines(_ statement: Statement) async throws -> [String] {
        log.withLock { $0.append(statement) }
        let answer = try await session.query(statement.sql, statement.parameters, context: "console")
        return answer.rows.compactMap { $0.first ?? nil }
    }

    /// Whether the login may change something: PostgreSQL decides it again when it does.
    func mayAct() async throws -> Bool {
        try await scalar("select pg_has_role(session_user, 'gloss_admin', 'member')", isShown: false) == "t"
    }

    /// How many rows a statement has, `mostCounted` at most.
    func count(_ statement: Statement) async throws -> Count {
        let number = try await scalar("select count(*) from (\(statement) limit \(Self.mostCounted + 1)::int) x")
        return Count(number: number.flatMap { Int($0) } ?? 0)
    }
}

/// A count that ended somewhere.
struct Count: Equatable, Sendable {
    let number: Int

    /// `1,234`, or `more than 100,000`.
    var words: String {
        number > Reader.mostCounted
            ? "more than \(Formats.count(Reader.mostCounted))" : Formats.count(number)
    }
}
