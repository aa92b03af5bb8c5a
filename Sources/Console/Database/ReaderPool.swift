import Storage

/// What one visitor's pages and forms ask of the database. Each is one transaction, which takes on the role that it needs and no other;
/// a statement of it may take so long and no longer.
package struct ReaderPool: Sendable {
    private let sessions: SessionPool
    /// Who asks.
    let visitor: Visitor

    /// - Parameters:
    ///   - settings: the statement's time-out is that of each statement of a page.
    ///   - count: the most connections.
    package init(_ settings: ConnectionSettings, count: Int = 4) {
        self.init(sessions: SessionPool(settings, count: count), visitor: Visitor(name: "nobody", role: .reader))
    }

    private init(sessions: SessionPool, visitor: Visitor) { (self.sessions, self.visitor) = (sessions, visitor) }

    /// The same connections for somebody else.
    func of(_ visitor: Visitor) -> ReaderPool { ReaderPool(sessions: sessions, visitor: visitor) }

    /// Runs a page's reads, with the rights of `gloss_reader`: all of them see the same rows. What a page asks cannot write: neither the
    /// role nor the transaction lets it.
    func read<Answer: Sendable>(_ body: @Sendable (Reader) async throws -> Answer) async throws -> Answer {
        try await pooled("isolation level repeatable read read only", .reader, body)
    }

    /// Runs what a review reads and writes, with the rights of `gloss_reviewer`.
    /// - Throws: ``NotAllowed``, before the database is asked.
    func review<Answer: Sendable>(_ body: @Sendable (Reader) async throws -> Answer) async throws -> Answer {
        try demand(.review)
        return try await pooled("isolation level read committed", .reviewer, body)
    }

    /// The most that an action may take: some ten thousand jobs are a second.
    private static let actionTimeout = Duration.seconds(60)

    /// Changes the queue, with the rights of `gloss_admin`: a connection of its own, so that no page waits behind it.
    /// - Returns: the first column of the first row.
    /// - Throws: ``NotAllowed``, before the database is asked.
    func act(_ statement: Statement) async throws -> String? {
        try demand(.act)
        var settings = sessions.settings
        settings.statementTimeout = Self.actionTimeout
        let session = Session(settings)
        do {
            let answer = try await transaction(session, "isolation level read committed", .admin, settings) {
                try await $0.scalar(statement)
            }
            await session.close()
            return answer
        } catch {
            await session.close()
            throw error
        }
    }

    private func demand(_ right: Visitor.Right) throws(NotAllowed) {
        guard visitor.may(right) else { throw NotAllowed(visitor: visitor, needed: right.role) }
    }

    /// Sees whether the login may become `gloss_reader` at all.
    /// - Returns: the highest role that it may take on.
    package func check() async throws(StorageError) -> Visitor.Role {
        let statement: Statement = """
            select rolname from pg_roles where rolname in ('gloss_reviewer', 'gloss_admin') and pg_has_role(session_user, oid, 'member')
            """
        do {
            let names = try await read { try await $0.lines(statement) }
            return Visitor.Role.allCases.last { names.contains($0.databaseRole) } ?? .reader
        } catch {
            throw (error as? PageError)?.cause as? StorageError
                ?? StorageError(code: .unexpectedAnswer, context: "console", message: "\(error)")
        }
    }

    private func pooled<Answer: Sendable>(
        _ mode: String, _ role: Visitor.Role, _ body: @Sendable (Reader) async throws -> Answer
    ) async throws -> Answer {
        let session = await sessions.take()
        do {
            let answer = try await transaction(session, mode, role, sessions.settings, body)
            await sessions.give(session)
            return answer
        } catch {
            await sessions.give(session)
            throw error
        }
    }

    private func transaction<Answer: Sendable>(
        _ session: Session, _ mode: String, _ role: Visitor.Role, _ settings: ConnectionSettings,
        _ body: @Sendable (Reader) async throws -> Answer
    ) async throws -> Answer {
        let milliseconds = settings.statementTimeout.map { Int($0 / .milliseconds(1)) } ?? 0
        let reader = Reader(session, visitor)
        let begin = """
            begin \(mode); set local role \(role.databaseRole); set local statement_timeout = \(milliseconds)
            """
        do {
            do { try await session.script(begin, context: "console") } catch let error as StorageError
                where error.code == .connectionLost
            {
                // It was lost while nobody used it; nothing has happened yet.
                try await session.script(begin, context: "console")
            }
            let answer = try await body(reader)
            try await session.script("commit", context: "console")
            return answer
        } catch {
            try? await session.script("rollback", context: "console")
            throw PageError(error, statement: reader.statements.last)
        }
    }
}

/// What failed while a page was read.
struct PageError: Error {
    let cause: any Error
    /// What was asked last.
    let statement: Statement?

    init(_ cause: any Error, statement: Statement?) {
        (self.cause, self.statement) = ((cause as? PageError)?.cause ?? cause, statement)
    }

    /// Whether PostgreSQL gave up because of the time.
    var isTooSlow: Bool {
        guard let error = cause as? StorageError else { return false }
        return error.sqlState == "57014" || error.code == .timedOut
    }
}
