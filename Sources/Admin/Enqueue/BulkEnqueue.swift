import Queue
import Storage
import Submissions

/// Enqueues many submissions, some hundreds a statement, and keeps account of each line.
struct BulkEnqueue {
    /// What became of the lines.
    struct Report: Encodable, Equatable {
        /// Lines with a job, new or old.
        var inserted = 0
        var duplicate = 0
        var conflict = 0
        /// Lines that are no good.
        var bad = 0
        /// Bad lines and conflicts, as many as are kept.
        var problems: [BadLine] = []

        var lineCount: Int { inserted + duplicate + conflict + bad }
    }

    /// Submissions of a statement.
    static let batchSize = 500
    private static let mostProblems = 1000

    private let enqueue: ([Submission]) async throws -> [Enqueued]
    private let onProblem: (BadLine) -> Void
    private var waiting: [Submission] = []
    private(set) var report = Report()

    /// - Parameters:
    ///   - enqueue: enqueues all or none.
    ///   - onProblem: hears of each bad line and conflict.
    init(enqueue: @escaping ([Submission]) async throws -> [Enqueued], onProblem: @escaping (BadLine) -> Void) {
        self.enqueue = enqueue
        self.onProblem = onProblem
    }

    /// Takes a line.
    mutating func add(_ submission: Submission) async throws {
        waiting.append(submission)
        if waiting.count >= Self.batchSize { try await flush() }
    }

    /// Takes a line that is none.
    mutating func reject(_ line: BadLine) {
        report.bad += 1
        note(line)
    }

    /// Enqueues what waits.
    mutating func flush() async throws {
        let part = waiting[...]
        waiting = []
        try await submit(part)
    }

    /// One refused line refuses its whole statement: halves are tried until it stands alone.
    private mutating func submit(_ part: ArraySlice<Submission>) async throws {
        guard !part.isEmpty else { return }
        do {
            for (submission, done) in zip(part, try await enqueue(Array(part))) { count(done, submission) }
        } catch let error as StorageError where error.disposition == .permanent {
            guard part.count > 1 else {
                return reject(BadLine(line: part[part.startIndex].line, reason: error.message))
            }
            let middle = part.startIndex + part.count / 2
            try await submit(part[..<middle])
            try await submit(part[middle...])
        }
    }

    private mutating func count(_ done: Enqueued, _ submission: Submission) {
        switch done.outcome {
        case .inserted: report.inserted += 1
        case .duplicate: report.duplicate += 1
        case .conflict:
            report.conflict += 1
            note(BadLine(line: submission.line, reason: "its key already names another job, \(done.job)"))
        }
    }

    private mutating func note(_ line: BadLine) {
        if report.problems.count < Self.mostProblems { report.problems.append(line) }
        onProblem(line)
    }
}
