import Foundation
import Storage
import Submissions
import Synchronization
import Testing

@testable import Admin

@Suite struct BulkEnqueueTests {
    /// A queue that refuses a statement with a bad line, whole, as PostgreSQL does.
    final class Queue: Sendable {
        let enqueued = Mutex<[Int]>([])
        let statements = Mutex(0)
        let bad: Set<Int>

        init(bad: Set<Int> = []) { self.bad = bad }

        func enqueue(_ part: [Submission]) throws -> [Enqueued] {
            statements.withLock { $0 += 1 }
            if let first = part.first(where: { bad.contains($0.line) }) {
                throw StorageError(code: .refused(sqlState: "22023"), context: "enqueue", message: "bad \(first.line)")
            }
            enqueued.withLock { $0 += part.map(\.line) }
            let answers = part.map { "{\"job\":\($0.line),\"outcome\":\"inserted\"}" }.joined(separator: ",")
            return try JSONDecoder().decode([Enqueued].self, from: Data("[\(answers)]".utf8))
        }
    }

    private func fill(_ bulk: inout BulkEnqueue, _ count: Int) async throws {
        for line in 1...count { try await bulk.add(Submission(line: line, json: "{}")) }
        try await bulk.flush()
    }

    @Test func badLinesStandAloneAndTheOthersGoIn() async throws {
        let queue = Queue(bad: [1, 40, 41, 700, 1200])
        var bulk = BulkEnqueue(enqueue: queue.enqueue) { _ in }
        try await fill(&bulk, 1200)
        #expect(queue.enqueued.withLock { $0 } == (1...1200).filter { !queue.bad.contains($0) })
        #expect(bulk.report.inserted == 1195)
        #expect(bulk.report.problems == [1, 40, 41, 700, 1200].map { BadLine(line: $0, reason: "bad \($0)") })
    }

    @Test func aGoodFileTakesOneStatementABatch() async throws {
        let queue = Queue()
        var bulk = BulkEnqueue(enqueue: queue.enqueue) { _ in }
        try await fill(&bulk, 2 * BulkEnqueue.batchSize + 1)
        #expect(queue.statements.withLock { $0 } == 3)
    }

    @Test func aLostDatabaseIsNoBadLine() async throws {
        var bulk = BulkEnqueue { _ in
            throw StorageError(code: .connectionLost, context: "enqueue", message: "gone")
        } onProblem: { _ in
        }
        await #expect(throws: StorageError.self) { try await fill(&bulk, 10) }
        #expect(bulk.report == BulkEnqueue.Report())
    }
}
