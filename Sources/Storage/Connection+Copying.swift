import CPostgres
import Glibc

// MARK: - COPY

extension Connection {
    /// Runs a query and hands over its rows one by one, without keeping them. They come by COPY: rows of a statement
    /// cost libpq a result of its own each.
    /// - Parameter onRow: gets a row's values; what it throws ends the query.
    func stream(
        _ sql: String, _ parameters: [SQLValue], context: String, onRow: (StreamedRow) throws -> Void
    ) throws {
        let bound = try bind(parameters, in: sql, context: context)
        try inTransaction(context: context) { try copyOut(bound, context: context, onRow: onRow) }
    }

    /// A COPY takes no parameters: they are written into the query, as literals. `$1` in it is nothing but a parameter then.
    private func bind(_ parameters: [SQLValue], in sql: String, context: String) throws(StorageError) -> String {
        guard !parameters.isEmpty else { return sql }
        try check(parameters, context: context)
        var literals: [String] = []
        for parameter in parameters { literals.append(try literal(parameter, context: context)) }
        var (bound, rest) = ("", sql[...])
        while let dollar = rest.firstIndex(of: "$") {
            bound += rest[..<dollar]
            rest = rest[dollar...].dropFirst()
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest[digits.endIndex...]
            bound += Int(digits).map { literals[$0 - 1] } ?? "$"
        }
        return bound + rest
    }

    private func literal(_ value: SQLValue, context: String) throws(StorageError) -> String {
        guard let text = value.text else { return "null" }
        guard let quoted = PQescapeLiteral(handle, text, text.utf8.count) else { throw lost(context) }
        defer { PQfreemem(quoted) }
        return String(cString: quoted)
    }

    private func copyOut(_ sql: String, context: String, onRow: (StreamedRow) throws -> Void) throws {
        // A comment in the query ends with its line.
        try send("copy (\(sql)\n) to stdout", [], context: context)
        try begin(PGRES_COPY_OUT, context: context)
        var row = StreamedRow()
        var failure: (any Error)?
        while true {
            var line: UnsafeMutablePointer<CChar>?
            let count = PQgetCopyData(handle, &line, 1)
            if count == 0 { try wait(POLLIN, context: context) }
            guard count >= 0 else { break }
            guard count > 0, failure == nil else {
                PQfreemem(line)
                continue
            }
            row.read(UnsafeRawBufferPointer(start: line, count: Int(count)))
            PQfreemem(line)
            do { try onRow(row) } catch {
                failure = error
                cancel()
            }
        }
        let ended = Result { () throws(StorageError) in try forEachResult(context: context) { _ in } }
        // What PostgreSQL says of our own cancellation is no news.
        if let failure { throw failure }
        try ended.get()
    }

    /// Sends `chunks` as the data of a COPY … FROM STDIN.
    func copyIn(_ sql: String, chunks: [String], context: String) throws(StorageError) {
        guard PQsendQuery(handle, sql) == 1 else { throw lost(context) }
        try flush(context: context)
        try begin(PGRES_COPY_IN, context: context)
        for chunk in chunks { try put(chunk, context: context) }
        while PQputCopyEnd(handle, nil) == 0 { try wait(POLLIN | POLLOUT, context: context) }
        try flush(context: context)
        try forEachResult(context: context) { _ in }
    }

    private func put(_ chunk: String, context: String) throws(StorageError) {
        while true {
            let sent = PQputCopyData(handle, chunk, Int32(chunk.utf8.count))
            if sent == 1 { return }
            guard sent == 0 else { throw lost(context) }
            try wait(POLLIN | POLLOUT, context: context)
        }
    }

    /// Waits until a COPY that was sent has begun.
    private func begin(_ copy: ExecStatusType, context: String) throws(StorageError) {
        try waitForResult(context: context)
        guard let first = PQgetResult(handle) else { throw lost(context) }
        let refusal = PQresultStatus(first) == copy ? nil : Self.error(first, context: context)
        PQclear(first)
        guard let refusal else { return }
        try? forEachResult(context: context) { _ in }
        throw refusal
    }
}
