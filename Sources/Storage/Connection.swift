import CPostgres
import Glibc

/// One connection to PostgreSQL. It blocks, so it lives in an actor with a thread of its own (`Session`, `Listener`).
struct Connection: ~Copyable {
    let handle: OpaquePointer
    let statementTimeout: Duration?
    /// Whether a pooler is between: then each transaction may run in another session of the server, which is others' too.
    var isPooled = false

    init(handle: OpaquePointer, statementTimeout: Duration?) {
        self.handle = handle
        self.statementTimeout = statementTimeout
    }

    deinit { PQfinish(handle) }

    /// The server's process for this connection.
    var backendPID: Int32 { PQbackendPID(handle) }

    /// Whether libpq still believes in the connection.
    var isAlive: Bool { PQstatus(handle) == CONNECTION_OK }

    /// The socket, for poll(2).
    var socket: Int32 { PQsocket(handle) }

    // MARK: Statements

    /// Runs one statement and returns its whole answer.
    func query(_ sql: String, _ parameters: [SQLValue] = [], context: String) throws(StorageError) -> ResultSet {
        var answer = ResultSet()
        func take(_ result: OpaquePointer) {
            answer.columns = Self.columns(of: result)
            answer.rows.append(contentsOf: Self.rows(of: result))
        }
        if isPooled && PQtransactionStatus(handle) == PQTRANS_IDLE {
            try runAlone(sql, parameters, context: context, take)
        } else {
            try send(sql, parameters, context: context)
            try forEachResult(context: context, take)
        }
        return answer
    }

    /// Runs several statements without parameters, as one transaction unless they say otherwise.
    func script(_ sql: String, context: String) throws(StorageError) {
        guard PQsendQuery(handle, sql) == 1 else { throw lost(context) }
        try flush(context: context)
        try forEachResult(context: context) { _ in }
    }

    /// Takes what has arrived. Does not wait.
    func notifications(context: String) throws(StorageError) -> [Notification] {
        guard PQconsumeInput(handle) == 1, isAlive else { throw lost(context) }
        var arrived: [Notification] = []
        while let notification = PQnotifies(handle) {
            arrived.append(
                Notification(
                    channel: String(cString: notification.pointee.relname),
                    payload: String(cString: notification.pointee.extra)))
            PQfreemem(notification)
        }
        return arrived
    }

    func cancel() {
        guard let request = PQgetCancel(handle) else { return }
        var message = [CChar](repeating: 0, count: 256)
        PQcancel(request, &message, Int32(message.count))
        PQfreeCancel(request)
    }

    func send(_ sql: String, _ parameters: [SQLValue], context: String) throws(StorageError) {
        try queue(sql, parameters, context: context)
        try flush(context: context)
    }

    /// Sends a statement as far as that goes without waiting.
    func queue(_ sql: String, _ parameters: [SQLValue], context: String) throws(StorageError) {
        try check(parameters, context: context)
        let texts = parameters.map { $0.text.map { strdup($0) } ?? nil }
        defer { for text in texts { free(text) } }
        let values = texts.map { UnsafePointer($0) }
        guard PQsendQueryParams(handle, sql, Int32(values.count), nil, values, nil, nil, 0) == 1 else {
            throw lost(context)
        }
    }

    /// - Throws: `refused` with 22021 if a text holds what PostgreSQL cannot store.
    func check(_ parameters: [SQLValue], context: String) throws(StorageError) {
        guard !parameters.contains(where: { $0.text?.utf8.contains(0) ?? false }) else {
            throw StorageError(
                code: .refused(sqlState: "22021"), context: context,
                message: "a text contains the character U+0000, which PostgreSQL cannot store")
        }
    }
}

// MARK: - Results

extension Connection {
    func forEachResult(context: String, _ take: (OpaquePointer) -> Void) throws(StorageError) {
        var failure: StorageError?
        while true {
            try waitForResult(context: context)
            guard let result = PQgetResult(handle) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_EMPTY_QUERY: take(result)
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
                throw StorageError(code: .unexpectedAnswer, context: context, message: "the statement is a COPY")
            default: failure = failure ?? Self.error(result, context: context)
            }
        }
        guard isAlive else { throw lost(context) }
        if let failure { throw failure }
    }

    private static func columns(of result: OpaquePointer) -> [String] {
        (0..<PQnfields(result)).map { String(cString: PQfname(result, $0)) }
    }

    private static func rows(of result: OpaquePointer) -> [[String?]] {
        (0..<PQntuples(result)).map { row in
            (0..<PQnfields(result)).map { column in
                PQgetisnull(result, row, column) == 1 ? nil : String(cString: PQgetvalue(result, row, column))
            }
        }
    }

    static func error(_ result: OpaquePointer, context: String) -> StorageError {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue ?? 0)).map { String(cString: $0) }
        }
        // The letters of PG_DIAG_SQLSTATE, _MESSAGE_PRIMARY, _MESSAGE_DETAIL and _MESSAGE_HINT.
        guard let state = field("C") else {
            let message = String(cString: PQresultErrorMessage(result)).trimmed
            return StorageError(code: .connectionLost, context: context, message: message)
        }
        let message = [field("M"), field("D")].compactMap { $0 }.joined(separator: ": ")
        return StorageError(code: .refused(sqlState: state), context: context, message: message, hint: field("H"))
    }

    func lost(_ context: String) -> StorageError {
        StorageError(code: .connectionLost, context: context, message: libpqMessage)
    }

    var libpqMessage: String { String(cString: PQerrorMessage(handle)).trimmed }
}

// MARK: - Waiting

extension Connection {
    func flush(context: String) throws(StorageError) {
        while true {
            let left = PQflush(handle)
            if left == 0 { return }
            guard left == 1 else { throw lost(context) }
            try wait(POLLIN | POLLOUT, context: context)
        }
    }

    func waitForResult(context: String) throws(StorageError) {
        while PQisBusy(handle) == 1 {
            try wait(POLLIN, context: context)
        }
    }

    /// Waits for the socket, with a little more patience than the server has, and takes what arrived. An end that went away
    /// without a word shows by this alone when something between acknowledges what we send.
    func wait(_ events: Int32, context: String) throws(StorageError) {
        let patience = statementTimeout.map { $0 + min($0 / 2, .seconds(5)) }
        guard pollSocket(events, patience) else {
            throw StorageError(code: .timedOut, context: context, message: "the database does not answer")
        }
        guard PQconsumeInput(handle) == 1 else { throw lost(context) }
    }

    func pollSocket(_ events: Int32, _ patience: Duration?) -> Bool {
        var descriptor = pollfd(fd: socket, events: Int16(events), revents: 0)
        let end = patience.map { ContinuousClock.now + $0 }
        while true {
            let left = end.map { Int32(clamping: (ContinuousClock.now.duration(to: $0)).milliseconds) } ?? -1
            let ready = poll(&descriptor, 1, left)
            if ready >= 0 { return ready > 0 }
            guard errno == EINTR else { return true }
        }
    }
}

extension String {
    /// Without line breaks and spaces at the end.
    var trimmed: String {
        var text = self[...]
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text).replacing("\n", with: " ")
    }
}
