import Storage
import Synchronization

/// The statements of one page or of one form, in one transaction.
final class Reader: Sendable {
    /// Counting ends here: more rows than a person looks at, and few enough for a moment.
    static let mostCounted = 100_000

    /// Whose page it is.
    let visitor: Visitor
    private let session: Session
    private let log = Mutex<[Statement]>([])

    init(_ session: Session, _ visitor: Visitor) { (self.session, self.visitor) = (session, visitor) }

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

    /// Whether this visitor may do it, and the login for them. Both are asked again when it is done.
    func may(_ right: Visitor.Right) async throws -> Bool {
        guard visitor.may(right) else { return false }
        return try await scalar(
            """
            select exists (select from pg_roles
                           where rolname = \(right.role.databaseRole) and pg_has_role(session_user, oid, 'member'))
            """, isShown: false) == "t"
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
