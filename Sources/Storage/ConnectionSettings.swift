/// How to reach the database.
///
/// It has no description on purpose: the connection string may hold a password.
public struct ConnectionSettings: Sendable {
    /// A libpq connection string or URI. What it leaves out comes from the PG* environment, so it may be empty.
    public var conninfo: String
    /// What `pg_stat_activity` shows.
    public var applicationName: String
    /// The longest wait for a connection.
    public var connectTimeout: Duration
    /// The longest wait for a statement, on both sides; nil waits for ever.
    public var statementTimeout: Duration?

    public init(
        conninfo: String = "", applicationName: String = "gloss", connectTimeout: Duration = .seconds(10),
        statementTimeout: Duration? = .seconds(30)
    ) {
        self.conninfo = conninfo
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
    }
}

extension Duration {
    /// Seconds as a floating-point number.
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }

    /// Whole milliseconds, rounded up, at least 0.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return max(0, seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
