import Storage

extension ReaderPool {
    nonisolated var visitor: Visitor { Visitor(name: "console", role: .admin) }

    func review<Answer: Sendable>(_ body: @Sendable (Reader) async throws -> Answer) async throws -> Answer {
        let session = reviewSession()
        let reader = Reader(session)
        do {
            try await session.script(
                "begin isolation level read committed; set local role gloss_reviewer", context: "console")
            let answer = try await body(reader)
            try await session.script("commit", context: "console")
            await session.close()
            return answer
        } catch {
            await session.close()
            throw PageError(error, statement: reader.statements.last)
        }
    }
}

extension Reader {
    func may(_ right: Visitor.Right) async throws -> Bool {
        try await scalar(
            """
            select exists (select from pg_roles
                           where rolname = \(right.role.databaseRole) and pg_has_role(session_user, oid, 'member'))
            """, isShown: false) == "t"
    }
}
