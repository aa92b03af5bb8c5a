import Storage

/// Connections for pages: each page reads in one transaction, with the rights of `gloss_reader` and no others, and a statement of it
/// may take so long and no longer.
package actor ReaderPool {
    private let settings: ConnectionSettings
    private let count: Int
    private var idle: [Session] = []
    private var busyCount = 0
    private var line: [CheckedContinuation<Void, Never>] = []

    /// - Parameters:
    ///   - settings: the statement's time-out is that of each statement of a page.
    ///   - count: the most connections.
    package init(_ settings: ConnectionSettings, count: Int = 4) {
        (self.settings, self.count) = (settings, count)
    }

    /// Runs a page's reads: all of them see the same rows.
    func read<Answer: Sendable>(_ body: @Sendable (Reader) async throws -> Answer) async throws -> Answer {
        let session = await take()
        defer { give(session) }
        return try await Self.inTransaction(session, settings, body)
    }

    /// The most that an action may take: some ten thousand jobs are a second.
    private static let actionTimeout = Duration.seconds(60)

    /// Changes something, with the rights of `gloss_admin`: a connection of its own, so that no page waits behind it.
    /// - Returns: the first column of the first row.
    func act(_ statement: Statement) async throws -> String? {
        var settings = settings
        settings.statementTimeout = Self.actionTimeout
        let session = Session(settings)
        do {
            try await session.script(
                "begin isolation level read committed; set local role gloss_admin", context: "console")
            let answer = try await session.query(statement.sql, statement.parameters, context: "console")
            try await session.script("commit", context: "console")
            await session.close()
            return answer.scalar
        } catch {
            await session.close()
            throw PageError(error, statement: statement)
        }
    }

    func reviewSession() -> Session { Session(settings) }

    /// Sees whether the login may become `gloss_reader` at all.
    package func check() async throws(StorageError) {
        do { _ = try await read { reader in try await reader.scalar("select 1") } } catch {
            throw (error as? PageError)?.cause as? StorageError
                ?? StorageError(code: .unexpectedAnswer, context: "console", message: "\(error)")
        }
    }

    private static func inTransaction<Answer: Sendable>(
        _ session: Session, _ settings: ConnectionSettings, _ body: @Sendable (Reader) async throws -> Answer
    ) async throws -> Answer {
        let milliseconds = settings.statementTimeout.map { Int($0 / .milliseconds(1)) } ?? 0
        let reader = Reader(session)
        // What a page asks cannot write: neither the role nor the transaction lets it.
        let begin = """
            begin isolation level repeatable read read only; set local role gloss_reader; \
            set local statement_timeout = \(milliseconds)
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

    private func take() async -> Session {
        while busyCount >= count { await withCheckedContinuation { line.append($0) } }
        busyCount += 1
        return idle.popLast() ?? Session(settings)
    }

    private func give(_ session: Session) {
        busyCount -= 1
        idle.append(session)
        if !line.isEmpty { line.removeFirst().resume() }
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
