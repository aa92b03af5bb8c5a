import CPostgres
import Glibc

extension Connection {
    /// Checks the connection string and connects to the first of its servers that fits. Each has its share of the time.
    /// - Throws: `badConnectionString`, `cannotConnect`.
    static func open(
        _ settings: ConnectionSettings, lookup: HostLookup = .shared
    ) throws(StorageError) -> Connection {
        try check(settings.conninfo)
        let list = try ServerList(settings)
        let end = ContinuousClock.now + settings.connectTimeout
        var problems: [String] = []
        var triesLeft = list.rounds.count * list.servers.count
        for round in list.rounds {
            for server in list.servers {
                let left = max(ContinuousClock.now.duration(to: end), .milliseconds(1))
                let share = min(left / triesLeft, list.connectTimeout ?? left)
                triesLeft -= 1
                do throws(StorageError) {
                    var connection = try open(
                        settings, server, round, isShuffled: list.isShuffled, within: share, lookup)
                    try connection.prepare()
                    return connection
                } catch {
                    guard error.code == .cannotConnect || error.disposition == .retry else { throw error }
                    if !problems.contains(error.message) { problems.append(error.message) }
                }
            }
        }
        throw StorageError(code: .cannotConnect, context: "connect", message: problems.joined(separator: "; "))
    }

    private static func open(
        _ settings: ConnectionSettings, _ server: ServerList.Server, _ round: String?, isShuffled: Bool,
        within patience: Duration, _ lookup: HostLookup
    ) throws(StorageError) -> Connection {
        let end = ContinuousClock.now + patience
        var addresses: [String?] = [nil]
        if let name = server.nameToLookUp { addresses = try lookup.addresses(of: name, within: patience) }
        if isShuffled { addresses.shuffle() }
        var problems: [String] = []
        for (index, address) in addresses.enumerated() {
            let left = max(ContinuousClock.now.duration(to: end), .milliseconds(1))
            let options = ConnectionOptions(settings, server.options(address: address, round: round))
            guard let handle = options.start() else { throw .noMemory }
            let connection = Connection(handle: handle, statementTimeout: settings.statementTimeout)
            PQsetNoticeProcessor(handle, { _, _ in }, nil)
            do throws(StorageError) {
                try connection.finishConnecting(to: server, within: left / (addresses.count - index))
                PQsetnonblocking(handle, 1)
                return connection
            } catch { problems.append(error.message) }
        }
        throw StorageError(code: .cannotConnect, context: "connect", message: problems.joined(separator: "; "))
    }

    private func finishConnecting(to server: ServerList.Server, within patience: Duration) throws(StorageError) {
        let end = ContinuousClock.now + patience
        var next = PGRES_POLLING_WRITING
        while PQstatus(handle) != CONNECTION_BAD {
            if next == PGRES_POLLING_OK { return }
            if next == PGRES_POLLING_FAILED { break }
            let events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT
            guard pollSocket(events, ContinuousClock.now.duration(to: end)) else {
                let name = server.host ?? server.address
                throw StorageError(
                    code: .cannotConnect, context: "connect",
                    message:
                        "no answer\(name.map { " of \($0)" } ?? "") within \(patience.seconds.rounded(toPlaces: 1)) s")
            }
            next = PQconnectPoll(handle)
        }
        throw StorageError(code: .cannotConnect, context: "connect", message: libpqMessage)
    }

    /// libpq's own message about a bad connection string quotes it, password and all: so it is not passed on.
    fileprivate static func check(_ conninfo: String) throws(StorageError) {
        guard let options = PQconninfoParse(conninfo, nil) else {
            throw StorageError(
                code: .badConnectionString, context: "connect",
                message: "the connection string cannot be read; it should be like \"host=… dbname=… user=…\" or "
                    + "\"postgresql://…\" (its text is not shown, since it may hold a password)")
        }
        PQconninfoFree(options)
    }
}

extension ConnectionSettings {
    /// Looks whether the connection string can be read; connects nowhere.
    /// - Throws: `badConnectionString`.
    public func check() throws(StorageError) { try Connection.check(conninfo) }
}

// MARK: - The session's settings

extension Connection {
    /// Sees whether a pooler is between, and pins the settings on which answers depend: no role and no database has a say.
    /// A pooler's session is others' too, so there each transaction pins its own.
    private mutating func prepare() throws(StorageError) {
        let pid = try query("select pg_backend_pid()", context: "connect").scalar
        // A pooler makes up its own number for the client.
        isPooled = pid != String(backendPID)
        if !isPooled { _ = try query(pinning(locally: false), context: "connect") }
    }

    private func pinning(locally: Bool) -> String {
        let settings = [
            ("statement_timeout", "\(statementTimeout?.milliseconds ?? 0)"), ("lock_timeout", "0"), ("jit", "off"),
            ("datestyle", "ISO, YMD"), ("intervalstyle", "postgres"), ("bytea_output", "hex"),
            ("extra_float_digits", "1"),
            ("standard_conforming_strings", "on"),
        ]
        // Of a transaction that has begun the level cannot be changed.
        let level = locally ? [] : [("default_transaction_isolation", "read committed")]
        return "select "
            + (settings + level).map { "set_config('\($0.0)', '\($0.1)', \(locally))" }.joined(separator: ", ")
    }

    /// Runs a statement in a transaction with settings of its own, in one exchange with the server.
    func runAlone(
        _ sql: String, _ parameters: [SQLValue], context: String, _ take: (OpaquePointer) -> Void
    ) throws(StorageError) {
        let statements = ["begin isolation level read committed", pinning(locally: true), sql, "commit"]
        guard PQenterPipelineMode(handle) == 1 else { throw lost(context) }
        for (index, statement) in statements.enumerated() {
            try queue(statement, index == 2 ? parameters : [], context: context)
        }
        guard PQpipelineSync(handle) == 1 else { throw lost(context) }
        try flush(context: context)
        let failure = try pipelineFailure(context: context, of: 2, take)
        guard PQexitPipelineMode(handle) == 1 else { throw lost(context) }
        guard let failure else { return }
        // The commit was left out with all that follows an error.
        if PQtransactionStatus(handle) != PQTRANS_IDLE { try? script("rollback", context: context) }
        throw failure
    }

    /// Reads the answers to all statements of a pipeline.
    /// - Parameter wanted: the number of the statement whose results `take` gets.
    /// - Returns: the first error.
    private func pipelineFailure(
        context: String, of wanted: Int, _ take: (OpaquePointer) -> Void
    ) throws(StorageError) -> StorageError? {
        var failure: StorageError?
        var number = 0
        while true {
            try waitForResult(context: context)
            // The end of one statement's results.
            guard let result = PQgetResult(handle) else {
                guard isAlive else { throw failure ?? lost(context) }
                number += 1
                continue
            }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_PIPELINE_SYNC: return failure
            case PGRES_PIPELINE_ABORTED: break
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: if number == wanted { take(result) }
            default: failure = failure ?? Self.error(result, context: context)
            }
        }
    }

    /// Runs several exchanges that belong together; through a pooler, in one transaction, so that one session has them all.
    func inTransaction(context: String, _ body: () throws -> Void) throws {
        guard isPooled && PQtransactionStatus(handle) == PQTRANS_IDLE else { return try body() }
        try script("begin isolation level read committed; \(pinning(locally: true))", context: context)
        do {
            try body()
            try script("commit", context: context)
        } catch {
            try? script("rollback", context: context)
            throw error
        }
    }
}

extension Double {
    fileprivate func rounded(toPlaces places: Int) -> Double {
        let scale = Double((0..<places).reduce(1) { scale, _ in scale * 10 })
        return (self * scale).rounded() / scale
    }
}
