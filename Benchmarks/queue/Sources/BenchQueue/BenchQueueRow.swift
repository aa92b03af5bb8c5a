import Foundation
import Storage

/// One line of the answer. What a part does not measure is nil.
struct BenchQueueRow: Encodable {
    var design: BenchQueueDesign
    /// enqueue (by how), claim, or pinned.
    var part: String
    /// Jobs that wait meanwhile.
    var waiting: Int
    /// Sessions at a time.
    var sessions: Int
    /// Of all sessions together; of claims, each job is recorded too.
    var jobsPerSecond: Double
    /// Of one call, milliseconds.
    var claimP50: Double?
    var claimP99: Double?
    var recordP50: Double?
    var recordP99: Double?
    /// Bytes of write-ahead log.
    var walPerJob: Double
    /// Of the tables in which jobs wait and move, as PostgreSQL's statistics have it, and their bytes.
    var deadRows: Int
    var tableBytes: Int
    var indexBytes: Int

    enum CodingKeys: String, CodingKey {
        case design, part, waiting, sessions
        case jobsPerSecond = "jobs_per_second"
        case claimP50 = "claim_p50_ms"
        case claimP99 = "claim_p99_ms"
        case recordP50 = "record_p50_ms"
        case recordP99 = "record_p99_ms"
        case walPerJob = "wal_bytes_per_job"
        case deadRows = "dead_rows"
        case tableBytes = "table_bytes"
        case indexBytes = "index_bytes"
    }

    static let columns: [Table.Column] = [
        .text("DESIGN"), .text("PART"), .number("WAITING"), .number("SESSIONS"), .number("JOBS/S"),
        .number("CLAIM P50"), .number("P99 MS"), .number("RECORD P50"), .number("P99 MS"), .number("WAL B/JOB"),
        .number("DEAD ROWS"), .number("TABLE MB"), .number("INDEX MB"),
    ]

    var cells: [Table.Cell] {
        let milliseconds = [claimP50, claimP99, recordP50, recordP99].map { value in
            Table.Cell(value.map { Formats.fixed($0, 2) } ?? "")
        }
        return [
            Table.Cell(design.rawValue), Table.Cell(part), Table.Cell(Formats.count(waiting)),
            Table.Cell("\(sessions)"),
            Table.Cell(Formats.count(Int(jobsPerSecond))),
        ] + milliseconds + [
            Table.Cell(Formats.count(Int(walPerJob))), Table.Cell(Formats.count(deadRows)),
            Table.Cell(Formats.fixed(Double(tableBytes) / 1e6, 1)),
            Table.Cell(Formats.fixed(Double(indexBytes) / 1e6, 1)),
        ]
    }
}

/// What the server counts, beside what its clients see.
struct BenchQueueProbe {
    let session: Session
    let design: BenchQueueDesign

    /// Bytes of write-ahead log so far.
    func wal() async throws -> Double {
        let answer = try await session.query("select pg_current_wal_insert_lsn() - '0/0'", context: "bench")
        return answer.scalar.flatMap { Double($0) } ?? 0
    }

    /// Dead rows, bytes of tables and of indexes.
    func sizes() async throws -> (dead: Int, table: Int, index: Int) {
        let answer = try await session.query(
            """
            select sum(pg_stat_get_dead_tuples(t)), sum(pg_table_size(t)), sum(pg_indexes_size(t))
            from unnest(array[\(design.movingTables)]::regclass[]) t
            """, context: "bench")
        let numbers = (answer.rows.first ?? []).map { $0.flatMap { Int($0) } ?? 0 }
        guard numbers.count == 3 else { return (0, 0, 0) }
        return (numbers[0], numbers[1], numbers[2])
    }

    /// Runs `work`, and makes a line of what it and the server say of it.
    /// - Parameter work: gives the number of jobs, the time that counts for them (nil: all), and what claimers did.
    func row(
        _ part: String, waiting: Int, sessions: Int,
        _ work: () async throws -> (jobs: Int, time: Duration?, claims: BenchClaims?)
    ) async throws -> BenchQueueRow {
        let before = try await wal()
        let start = ContinuousClock.now
        let done = try await work()
        let time = done.time ?? (ContinuousClock.now - start)
        let written = try await wal() - before
        let sizes = try await sizes()
        return BenchQueueRow(
            design: design, part: part, waiting: waiting, sessions: sessions,
            jobsPerSecond: Double(done.jobs) / (time / .seconds(1)), claimP50: done.claims?.claims.quantile(0.5),
            claimP99: done.claims?.claims.quantile(0.99), recordP50: done.claims?.records.quantile(0.5),
            recordP99: done.claims?.records.quantile(0.99), walPerJob: written / Double(max(1, done.jobs)),
            deadRows: sizes.dead, tableBytes: sizes.table, indexBytes: sizes.index)
    }
}
