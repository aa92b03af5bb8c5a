/// Why the database could not do what was asked. The caller decides by `disposition`, never by text.
public struct StorageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong.
    public enum Code: Sendable, Equatable {
        /// The connection string cannot be read.
        case badConnectionString
        /// No connection could be made.
        case cannotConnect
        /// The connection broke; whether the statement took effect is unknown.
        case connectionLost
        /// No answer within the time allowed; whether the statement took effect is unknown.
        case timedOut
        /// PostgreSQL refused; the five characters are its SQLSTATE.
        case refused(sqlState: String)
        /// The answer does not have the form expected: another version of the schema.
        case unexpectedAnswer
        /// The migrations on disk and in the database do not fit together.
        case migration
    }

    /// What to do about it.
    public enum Disposition: Sendable, Equatable {
        /// Wait and do the same again: the database is away, full or busy.
        case retry
        /// This request will never succeed; others may.
        case permanent
        /// Nothing will succeed until a person changes something: rights, schema, configuration.
        case fatal
    }

    /// What went wrong.
    public let code: Code
    /// What was being done, such as `claim`.
    public let context: String
    /// What PostgreSQL or libpq says. It never holds the connection string.
    public let message: String
    /// PostgreSQL's further advice.
    public let hint: String?

    public init(code: Code, context: String, message: String, hint: String? = nil) {
        self.code = code
        self.context = context
        self.message = message
        self.hint = hint
    }

    /// PostgreSQL's five-character code, if it was PostgreSQL that refused.
    public var sqlState: String? {
        if case .refused(let state) = code { return state }
        return nil
    }

    /// What to do about it.
    public var disposition: Disposition {
        switch code {
        case .cannotConnect, .connectionLost, .timedOut: .retry
        case .badConnectionString, .unexpectedAnswer, .migration: .fatal
        case .refused(let state): SQLStateRule.of(state).disposition
        }
    }

    /// Whether the same might succeed with less: the answer, or what was sent, is too large.
    public var isTooLarge: Bool { sqlState == "53200" || sqlState?.hasPrefix("54") == true }

    /// One line for a person.
    public var description: String {
        let state = sqlState.map { " [\($0)]" } ?? ""
        let advice = hint.map { " (\($0))" } ?? ""
        return "\(context): \(message)\(advice)\(state)"
    }
}
