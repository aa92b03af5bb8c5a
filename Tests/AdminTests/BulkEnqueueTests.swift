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
        /// Whether it knows which are bad, as the queue's rules do. What PostgreSQL itself refuses they do not know.
        let knows: Bool

        init(bad: Set<Int> = [], knows: Bool = true) {
            self.bad = bad
            self.knows = knows
        }

        func problems(_ part: [Submission]) -> [Int: String] {
            statements.withLock { $0 += 1 }
            guard knows else { return [:] }
            let found = part.enumerated().filter { bad.contains($1.line) }.map { ($0, "bad \($1.line)") }
            return Dictionary(uniqueKeysWithValues: found)
        }

        func enqueue(_ part: [Submission]) throws -> [Enqueued] {
            statements.withLock { $0 += 1 }
            if let line = part.first(where: { bad.contains($0.line) })?.line {
                throw StorageError(code: .refused(sqlState: "22023"), context: "enqueue", message: "bad \(line)")
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

    @Test(arguments: [false, true])
    func badLinesStandAloneAndTheOthersGoIn(knows: Bool) async throws {
        let queue = Queue(bad: [1, 40, 41, 700, 1200], knows: knows)
        var bulk = BulkEnqueue(enqueue: queue.enqueue, findProblems: queue.problems) { _ in }
        try await fill(&bulk, 1200)
        #expect(queue.enqueued.withLock { $0 } == (1...1200).filter { !queue.bad.contains($0) })
        #expect(bulk.report.inserted == 1195)
        #expect(bulk.report.problems == [1, 40, 41, 700, 1200].map { BadLine(line: $0, reason: "bad \($0)") })
    }

    /// Bad lines cost two statements more, however many they are.
    @Test func oneBadLineInTwentyIsBearable() async throws {
        let queue = Queue(bad: Set(stride(from: 7, to: 5000, by: 20)))
        var bulk = BulkEnqueue(enqueue: queue.enqueue, findProblems: queue.problems) { _ in }
        try await fill(&bulk, 5000)
        #expect(bulk.report.bad == 250 && bulk.report.inserted == 4750)
        #expect(queue.statements.withLock { $0 } == 3)
    }

    /// Where there were bad lines there will be more: the next ones are asked about first. Where there were none, not.
    @Test func moreBadLinesAreExpected() async throws {
        let size = BulkEnqueue.batchSize
        let queue = Queue(bad: [7, size + 7, size + 9])
        var bulk = BulkEnqueue(enqueue: queue.enqueue, findProblems: queue.problems) { _ in }
        try await fill(&bulk, 4 * size)
        #expect(queue.enqueued.withLock { $0 } == (1...4 * size).filter { !queue.bad.contains($0) })
        #expect(bulk.report.problems.map(\.line) == [7, size + 7, size + 9])
        #expect(bulk.report.inserted == 4 * size - 3)
        // Refused, asked, enqueued; asked, enqueued; asked, enqueued; enqueued.
        #expect(queue.statements.withLock { $0 } == 8)
    }

    @Test func longLinesMakeSmallStatements() async throws {
        let queue = Queue()
        var bulk = BulkEnqueue(enqueue: queue.enqueue, findProblems: queue.problems) { _ in }
        let json = "{\"key\":\"\(String(repeating: "k", count: BulkEnqueue.batchBytes / 3))\"}"
        for line in 1...7 { try await bulk.add(Submission(line: line, json: json)) }
        try await bulk.flush()
        #expect(queue.statements.withLock { $0 } == 4 && bulk.report.inserted == 7)
    }

    /// The next lines are read while the database has the last ones.
    @Test func readingGoesOnMeanwhile() async throws {
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let begun = Mutex(0)
        var bulk = BulkEnqueue { part in
            begun.withLock { $0 += 1 }
            for await _ in gate { break }
            return try Queue().enqueue(part)
        } findProblems: { _ in
            [:]
        } onProblem: { _ in
        }
        for line in 1..<(2 * BulkEnqueue.batchSize) { try await bulk.add(Submission(line: line, json: "{}")) }
        #expect(bulk.report.lineCount == 0, "nothing is answered, and yet all was read")
        opener.yield()
        opener.yield()
        try await bulk.flush()
        #expect(bulk.report.inserted == 2 * BulkEnqueue.batchSize - 1)
        #expect(begun.withLock { $0 } == 2)
    }

    @Test func aGoodFileTakesOneStatementABatch() async throws {
        let queue = Queue()
        var bulk = BulkEnqueue(enqueue: queue.enqueue, findProblems: queue.problems) { _ in }
        try await fill(&bulk, 2 * BulkEnqueue.batchSize + 1)
        #expect(queue.statements.withLock { $0 } == 3)
    }

    @Test func aLostDatabaseIsNoBadLine() async throws {
        var bulk = BulkEnqueue { _ in
            throw StorageError(code: .connectionLost, context: "enqueue", message: "gone")
        } findProblems: { _ in
            [:]
        } onProblem: { _ in
        }
        await #expect(throws: StorageError.self) { try await fill(&bulk, 10) }
        #expect(bulk.report == BulkEnqueue.Report())
    }
}
