import Dispatch

/// Runs an actor's jobs on a thread of its own, where they may block.
final class ThreadExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) { queue = DispatchQueue(label: label) }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}

/// One connection with a thread of its own. It connects when first used, and again after a loss: the call that
/// noticed the loss throws, the next one connects.
public actor Session {
    private let settings: ConnectionSettings
    private let executor: ThreadExecutor
    private var held: HeldConnection?

    public init(_ settings: ConnectionSettings) {
        self.settings = settings
        executor = ThreadExecutor(label: "gloss.session")
    }

    /// The session's own thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Runs one statement and returns its whole answer.
    /// - Parameter context: what it is for, for the error's text.
    public func query(
        _ sql: String, _ parameters: [SQLValue] = [], context: String = "query"
    ) throws -> ResultSet {
        try run { try $0.query(sql, parameters, context: context) }
    }

    /// Runs one statement that is a transaction of its own. After a deadlock or a serialisation failure nothing of it has
    /// happened, so it runs again, twice at most.
    public func transact(
        _ sql: String, _ parameters: [SQLValue] = [], context: String = "query"
    ) throws -> ResultSet {
        for _ in 0..<2 {
            do { return try query(sql, parameters, context: context) } catch let error as StorageError
                where error.sqlState?.hasPrefix("40") == true
            {
                continue
            }
        }
        return try query(sql, parameters, context: context)
    }

    /// Runs several statements without parameters.
    public func script(_ sql: String, context: String = "script") throws {
        try run { try $0.script(sql, context: context) }
    }

    /// Sends `chunks` as the data of a `COPY … FROM STDIN`.
    public func copyIn(_ sql: String, chunks: [String], context: String = "copy") throws {
        try run { try $0.copyIn(sql, chunks: chunks, context: context) }
    }

    /// Runs a query and hands over its rows one by one, without keeping them.
    /// - Parameter onRow: gets a row's values; what it throws ends the query.
    public func stream(
        _ sql: String, _ parameters: [SQLValue] = [], context: String = "query",
        onRow: @Sendable (StreamedRow) throws -> Void
    ) throws {
        try run { try $0.stream(sql, parameters, context: context, onRow: onRow) }
    }

    /// Notifications on channels to which it listens that have arrived by now.
    func notifications() throws -> [Notification] {
        // The server sends what there is before it says that it is ready again.
        try run {
            _ = try $0.query("select 1", [], context: "listen")
            return try $0.notifications(context: "listen")
        }
    }

    /// Whether a connection pooler is between.
    public func isPooled() throws -> Bool { try run { $0.isPooled } }

    /// Closes the connection. The next call opens it again.
    public func close() { held = nil }

    private func run<Answer>(_ body: (borrowing Connection) throws -> Answer) throws -> Answer {
        let held = try self.held ?? HeldConnection(settings)
        self.held = held
        do {
            return try body(held.connection)
        } catch let error as StorageError where error.endsConnection {
            self.held = nil
            throw error
        }
    }
}

/// What `NOTIFY` sent.
struct Notification: Hashable, Sendable {
    let channel: String
    let payload: String
}

/// A place for a connection that an actor may or may not have.
final class HeldConnection {
    let connection: Connection

    init(_ settings: ConnectionSettings) throws(StorageError) { connection = try Connection.open(settings) }
}

extension StorageError {
    /// Whether the connection is of no use afterwards.
    var endsConnection: Bool {
        switch code {
        case .cannotConnect, .connectionLost, .timedOut, .unexpectedAnswer: true
        case .refused(let state): SQLStateRule.of(state).endsConnection
        case .badConnectionString, .migration: false
        }
    }
}
