import Foundation
import Storage
import Synchronization
import TestSupport

/// Two sessions whose statements end in a chosen order, as in PostgreSQL's isolation tester. A statement runs until it
/// ends or waits for another session, and a third session sees which.
///
/// A fourth session may hold a table, so that the first one's call stops within itself, at its first write there.
struct Interleaving: Sendable {
    private let first: Session
    private let second: Session
    private let watcher: Session
    private let blocker: Session
    /// Of the first, the second and the blocker.
    private let pids: [String]

    /// Connects to `database`, and puts the fixture's functions into it.
    init(_ database: TestDatabase) async throws {
        (first, second) = (database.session(), database.session())
        (watcher, blocker) = (database.session(), database.session())
        try await watcher.script(Self.fixture())
        var pids: [String] = []
        for session in [first, second, blocker] {
            pids.append(try await session.query("select pg_backend_pid()").scalar ?? "")
        }
        self.pids = pids
    }

    /// The SQL of worlds and of what must hold in them.
    static func fixture() throws -> String {
        let root = URL(fileURLWithPath: TestDatabase.migrationsDirectory).deletingLastPathComponent()
        return try String(
            contentsOf: root.appendingPathComponent("Tests/Fixtures/interleaving.sql"), encoding: .utf8)
    }

    /// Makes a world, in which each meeting begins from now on.
    func build(_ world: InterleavingWorld) async throws {
        _ = try await watcher.query("select interleaving.build($1)", [SQLValue(world.rawValue)])
    }

    /// Lets two calls meet in the world as it was built.
    /// - Returns: what is wrong afterwards.
    func meet(_ one: InterleavedCall, _ other: InterleavedCall, _ meeting: Meeting) async throws -> [String] {
        _ = try await watcher.query("select interleaving.reset()")
        if meeting == .secondBeganFirst { try await second.script("begin; select pg_current_xact_id()") }
        try await first.script("begin")
        let former = Statement(one.sql, in: first)
        guard try await settles(former, pids[0]) else { throw InterleavingError("\(one) waits for nobody") }
        if meeting == .bothOpen { try await second.script("begin") }
        let latter = Statement(other.sql, in: second)
        _ = try await settles(latter, pids[1])
        try await first.script(meeting == .rollback ? "rollback" : "commit")
        let answers = await [(one, former.answer()), (other, latter.answer())]
        if meeting == .bothOpen || meeting == .secondBeganFirst { try await second.script("commit") }
        return try await verdict(meeting == .rollback ? [answers[1]] : answers, both: [one, other])
    }

    /// Lets two statements meet in transactions that are both open.
    /// - Parameters:
    ///   - latterFirst: the second one's transaction ends first, unless it waits for the other.
    ///   - rollingBack: the first one's transaction is rolled back.
    ///   - look: called after each end of a transaction.
    func meet(
        _ one: String, _ other: String, latterFirst: Bool, rollingBack: Bool, look: () async throws -> Void
    ) async throws {
        for session in [first, second] { try await session.script("begin") }
        let former = Statement(one, in: first)
        guard try await settles(former, pids[0]) else { throw InterleavingError("\(one) waits for nobody") }
        let latter = Statement(other, in: second)
        let isFree = try await settles(latter, pids[1])
        if latterFirst && isFree {
            _ = try await latter.answer().get()
            try await second.script("commit")
            try await look()
        }
        _ = try await former.answer().get()
        try await first.script(rollingBack ? "rollback" : "commit")
        try await look()
        if !(latterFirst && isFree) {
            _ = try await latter.answer().get()
            try await second.script("commit")
            try await look()
        }
    }

    /// Whether a call writes to a table in the world as it was built.
    func writes(_ call: InterleavedCall, to table: String) async throws -> Bool {
        _ = try await watcher.query("select interleaving.reset()")
        try await blocker.script("begin; lock table gloss.\(table) in share mode")
        try await first.script("begin")
        let statement = Statement(call.sql, in: first)
        let stops = try await !settles(statement, pids[0])
        try await blocker.script("rollback")
        _ = await statement.answer()
        try await first.script("rollback")
        return stops
    }

    /// Lets the second call come while the first one stands at its first write to `table`.
    /// - Returns: what is wrong afterwards.
    func meet(_ one: InterleavedCall, at table: String, _ other: InterleavedCall) async throws -> [String] {
        _ = try await watcher.query("select interleaving.reset()")
        try await blocker.script("begin; lock table gloss.\(table) in share mode")
        let former = Statement(one.sql, in: first)
        guard try await !settles(former, pids[0]) else {
            throw InterleavingError("\(one) does not write to \(table)")
        }
        let latter = Statement(other.sql, in: second)
        _ = try await settles(latter, pids[1])
        try await blocker.script("rollback")
        return try await verdict([(one, await former.answer()), (other, await latter.answer())], both: [one, other])
    }

    /// Removes what the meetings left behind.
    func tidy() async throws { _ = try await watcher.query("vacuum") }

    /// Waits until a statement has ended, or waits for another session.
    private func settles(_ statement: Statement, _ pid: String) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            if statement.hasEnded { return true }
            // Others, such as a vacuum, end by themselves.
            let waits = try await watcher.query(
                "select pg_blocking_pids($1) && $2::int[]",
                [SQLValue(pid), SQLValue("{\(pids.joined(separator: ","))}")]
            ).scalar
            if waits == "t" && !statement.hasEnded { return false }
        }
        throw InterleavingError("a statement neither ends nor waits")
    }

    private func verdict(
        _ answers: [(InterleavedCall, Result<ResultSet, any Error>)], both calls: [InterleavedCall]
    ) async throws -> [String] {
        var faults: [String] = []
        var (cancelled, receipts): (String?, String?)
        for (call, answer) in answers {
            switch answer {
            case .failure(let error): faults.append("\(call): \(error)")
            case .success(let result) where call == .enqueue && result.scalar != "0": faults.append("enqueue: no job")
            case .success(let result) where call.cancels: cancelled = result.scalar
            case .success(let result) where call == .record: receipts = result.scalar
            case .success: break
            }
        }
        let forgets = calls.contains(where: \.forgets)
        if forgets || calls.contains(where: \.revives) || calls.allSatisfy(\.cancels) { cancelled = nil }
        if forgets || calls == [.record, .record] { receipts = nil }
        return faults
            + (try await watcher.query(
                "select * from interleaving.verdict($1, $2)", [SQLValue(cancelled), SQLValue(receipts)]
            ).rows.compactMap { $0.first ?? nil })
    }
}

/// A statement that runs while the test goes on.
private final class Statement: Sendable {
    private let task: Task<Result<ResultSet, any Error>, Never>
    private let ended: Ended

    private final class Ended: Sendable {
        let value = Mutex(false)
    }

    init(_ sql: String, in session: Session) {
        let ended = Ended()
        self.ended = ended
        task = Task {
            let answer: Result<ResultSet, any Error>
            do { answer = .success(try await session.query(sql)) } catch { answer = .failure(error) }
            ended.value.withLock { $0 = true }
            return answer
        }
    }

    var hasEnded: Bool { ended.value.withLock { $0 } }

    func answer() async -> Result<ResultSet, any Error> { await task.value }
}

/// Two sessions do not do what a meeting needs.
struct InterleavingError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
