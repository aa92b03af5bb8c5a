/// What to do when PostgreSQL refuses with a SQLSTATE.
struct SQLStateRule: Sendable, Equatable {
    /// What it holds for: a state, or a class, the first two characters of states.
    let prefix: String
    /// What to do.
    let disposition: StorageError.Disposition
    /// Whether to connect again: this server is going away or cannot do now what another may, or the session is in a
    /// state in which ours never are.
    let endsConnection: Bool

    private init(_ prefix: String, _ disposition: StorageError.Disposition, endsConnection: Bool = false) {
        self.prefix = prefix
        self.disposition = disposition
        self.endsConnection = endsConnection
    }

    /// The rule of a state, or else that of its class. What no rule knows may pass, so it is tried again.
    static func of(_ state: String) -> SQLStateRule {
        byPrefix[state] ?? byPrefix[String(state.prefix(2))] ?? SQLStateRule(state, .retry, endsConnection: true)
    }

    private static let byPrefix = Dictionary(uniqueKeysWithValues: all.map { ($0.prefix, $0) })

    /// All classes of PostgreSQL, and the states that differ from their class.
    static let all: [SQLStateRule] = [
        // Successful completion, warnings, no data: these come with no error.
        .init("00", .fatal), .init("01", .fatal), .init("02", .fatal), .init("03", .fatal),
        // The connection, and a pooler's own errors (08P01).
        .init("08", .retry, endsConnection: true),
        // Statements that no version of gloss sends to a schema that fits.
        .init("09", .fatal), .init("0A", .fatal), .init("0B", .fatal), .init("0F", .fatal), .init("0L", .fatal),
        .init("0P", .fatal), .init("0Z", .fatal), .init("10", .fatal), .init("20", .fatal), .init("24", .fatal),
        .init("27", .fatal),
        .init("2B", .fatal), .init("2D", .fatal), .init("2F", .fatal), .init("34", .fatal), .init("38", .fatal),
        .init("39", .fatal), .init("3B", .fatal), .init("42", .fatal), .init("HV", .fatal),
        // Values that are refused: cardinality, data, constraints, the check of a view, our own functions.
        .init("21", .permanent), .init("22", .permanent), .init("23", .permanent), .init("44", .permanent),
        .init("P0", .permanent),
        // The transaction's state: a server that became read-only (25006), time-outs (25P03, 25P04), a transaction that
        // somebody else left open in a pooler's session.
        .init("25", .retry, endsConnection: true),
        // A prepared statement that another session of a pooler has.
        .init("26", .retry, endsConnection: true),
        // Who may log in, and to what: for a person.
        .init("28", .fatal), .init("3D", .fatal), .init("3F", .fatal),
        // Serialization failures and deadlocks.
        .init("40", .retry),
        // Disk, memory, connections.
        .init("53", .retry),
        // Too much for one statement (a claim asks for less then), and no transactions because of the wraparound of their
        // numbers.
        .init("54", .retry),
        // An object that is not ready (55000), in use (55006) or locked (55P03). The rest is a fault of configuration or schema.
        .init("55", .retry), .init("55P02", .fatal), .init("55P04", .fatal),
        // A statement that was cancelled or took too long (57014). With the others the server hangs up.
        .init("57", .retry, endsConnection: true), .init("57000", .retry), .init("57014", .retry),
        // Errors of the system around PostgreSQL, an old snapshot, the server's configuration.
        .init("58", .retry), .init("72", .retry), .init("F0", .retry),
        // Internal errors also come from two who change the schema at once. Damaged data is for a person.
        .init("XX", .retry), .init("XX001", .fatal), .init("XX002", .fatal),
    ]
}
