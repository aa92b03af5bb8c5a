import Queue
import Storage
import Submissions

/// Enqueues many submissions, some thousands a statement, and keeps account of each line. While the database has one
/// statement, the next lines are read.
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

    /// The most submissions of a statement.
    static let batchSize = 5000
    /// The most bytes of a statement, but for a single submission that has more.
    static let batchBytes = 4 << 20
    /// Submissions of the first statement after one that was refused; each that is not has twice as many.
    static let leastSize = 64
    private static let mostProblems = 1000

    private let enqueue: @Sendable ([Submission]) async throws -> [Enqueued]
    private let onProblem: (BadLine) -> Void
    private var waiting: [Submission] = []
    private var waitingBytes = 0
    /// What the database has.
    private var pending: (submissions: [Submission], task: Task<[Enqueued], any Error>)?
    private(set) var report = Report()

    /// - Parameters:
    ///   - enqueue: enqueues all or none.
    ///   - onProblem: hears of each bad line and conflict.
    init(
        enqueue: @escaping @Sendable ([Submission]) async throws -> [Enqueued],
        onProblem: @escaping (BadLine) -> Void
    ) {
        self.enqueue = enqueue
        self.onProblem = onProblem
    }

    /// Takes a line.
    mutating func add(_ submission: Submission) async throws {
        let bytes = submission.json.utf8.count
        if !waiting.isEmpty && waitingBytes + bytes > Self.batchBytes { try await turnOver() }
        waiting.append(submission)
        waitingBytes += bytes
        if waiting.count >= Self.batchSize { try await turnOver() }
    }

    /// Takes a line that is none.
    mutating func reject(_ line: BadLine) {
        report.bad += 1
        note(line)
    }

    /// Enqueues what waits, and waits for it.
    mutating func flush() async throws {
        try await turnOver()
        try await settle()
    }

    /// Waits for what the database has, and counts it.
    mutating func settle() async throws {
        guard let (submissions, task) = pending else { return }
        pending = nil
        do {
            count(try await task.value, submissions[...])
        } catch let error as StorageError where error.disposition == .permanent {
            try await divide(submissions, error)
        }
    }

    /// Hands what waits to the database as soon as it is done with what it has.
    private mutating func turnOver() async throws {
        try await settle()
        guard !waiting.isEmpty else { return }
        let submissions = waiting
        (waiting, waitingBytes) = ([], 0)
        pending = (submissions, Task { [enqueue] in try await enqueue(submissions) })
    }

    /// One bad line refuses its whole statement. PostgreSQL says which it was: those before it are good, and those
    /// behind it are tried anew, few at first. Where it does not say, halves are tried until the line stands alone.
    private mutating func divide(_ submissions: [Submission], _ refusal: StorageError) async throws {
        var (rest, size, error) = (submissions[...], submissions.count, refusal)
        while true {
            let part = rest.prefix(size)
            if let good = part.count == 1 ? 0 : Self.goodRows(error, of: part.count) {
                try await submit(part.prefix(good))
                reject(BadLine(line: part[part.startIndex + good].line, reason: Self.reason(error)))
                rest = rest.dropFirst(good + 1)
                size = Self.leastSize
            } else {
                size = part.count / 2
            }
            guard let next = try await submit(&rest, &size) else { return }
            error = next
        }
    }

    /// Enqueues as long as nothing is refused, twice as many each time.
    /// - Returns: the refusal of the first `size` of the rest; nil once there is none left.
    private mutating func submit(
        _ rest: inout ArraySlice<Submission>, _ size: inout Int
    ) async throws -> StorageError? {
        while !rest.isEmpty {
            do {
                try await submit(rest.prefix(size))
            } catch let error as StorageError where error.disposition == .permanent {
                return error
            }
            rest = rest.dropFirst(size)
            size = min(2 * size, Self.batchSize)
        }
        return nil
    }

    private mutating func submit(_ part: ArraySlice<Submission>) async throws {
        guard !part.isEmpty else { return }
        count(try await enqueue(Array(part)), part)
    }

    /// How many rows are good before the one that was refused; nil if that is not said.
    private static func goodRows(_ error: StorageError, of count: Int) -> Int? {
        guard let match = error.message.prefixMatch(of: #/row ([0-9]+)[: ]/#), let number = Int(match.1),
            1...count ~= number
        else { return nil }
        return number - 1
    }

    /// What is wrong with the line, without the number that it had in the statement.
    private static func reason(_ error: StorageError) -> String {
        let message = error.message.replacing(#/^row [0-9]+( \(key ".*?"\))?: /#, with: "")
        return message.replacing(#/: [0-9]+ of [0-9]+ rows are no good; nothing was enqueued$/#, with: "")
    }

    private mutating func count(_ done: [Enqueued], _ submissions: ArraySlice<Submission>) {
        for (submission, enqueued) in zip(submissions, done) { count(enqueued, submission) }
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
