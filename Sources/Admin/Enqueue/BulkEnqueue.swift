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
    private static let mostProblems = 1000

    /// What the database says of a statement's submissions: which were no good, and what became of the others.
    private struct Answer {
        var problems: [Int: String] = [:]
        var enqueued: [Enqueued] = []
    }

    private let enqueue: @Sendable ([Submission]) async throws -> [Enqueued]
    private let findProblems: @Sendable ([Submission]) async throws -> [Int: String]
    private let onProblem: (BadLine) -> Void
    private var waiting: [Submission] = []
    private var waitingBytes = 0
    /// What the database has.
    private var pending: (submissions: [Submission], task: Task<Answer, any Error>)?
    /// Whether the last submissions had bad ones among them. Then the next ones are asked about before they are tried: files
    /// with bad lines have them everywhere.
    private var expectsBad = false
    private(set) var report = Report()

    /// - Parameters:
    ///   - enqueue: enqueues all or none.
    ///   - findProblems: says of each that is no good what is wrong with it, by its index.
    ///   - onProblem: hears of each bad line and conflict.
    init(
        enqueue: @escaping @Sendable ([Submission]) async throws -> [Enqueued],
        findProblems: @escaping @Sendable ([Submission]) async throws -> [Int: String],
        onProblem: @escaping (BadLine) -> Void
    ) {
        self.enqueue = enqueue
        self.findProblems = findProblems
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
            take(try await task.value, submissions)
        } catch let error as StorageError where error.disposition == .permanent {
            try await sift(submissions, error)
        }
    }

    /// Hands what waits to the database as soon as it is done with what it has.
    private mutating func turnOver() async throws {
        try await settle()
        guard !waiting.isEmpty else { return }
        let submissions = waiting
        (waiting, waitingBytes) = ([], 0)
        let find = expectsBad ? findProblems : nil
        pending = (
            submissions,
            Task { [enqueue] in
                guard let find else { return Answer(enqueued: try await enqueue(submissions)) }
                let problems = try await find(submissions)
                let rest = submissions.indices.filter { problems[$0] == nil }.map { submissions[$0] }
                return Answer(problems: problems, enqueued: rest.isEmpty ? [] : try await enqueue(rest))
            }
        )
    }

    private mutating func take(_ answer: Answer, _ submissions: [Submission]) {
        reject(answer.problems, of: submissions)
        expectsBad = !answer.problems.isEmpty
        count(answer.enqueued, submissions.indices.filter { answer.problems[$0] == nil }.map { submissions[$0] })
    }

    private mutating func reject(_ problems: [Int: String], of submissions: [Submission]) {
        for (index, reason) in problems.sorted(by: { $0.key < $1.key }) {
            reject(BadLine(line: submissions[index].line, reason: reason))
        }
    }

    /// One bad line refuses its whole statement. The database then says of each what is wrong with it, and the others go in.
    private mutating func sift(_ submissions: [Submission], _ refusal: StorageError) async throws {
        if submissions.count == 1 { return reject(BadLine(line: submissions[0].line, reason: refusal.message)) }
        let problems = try await problems(of: submissions)
        expectsBad = !problems.isEmpty
        reject(problems, of: submissions)
        let rest = submissions.indices.filter { problems[$0] == nil }.map { submissions[$0] }
        if !problems.isEmpty { return try await submit(rest) }
        // It does not know: halves are tried until the line stands alone.
        try await submit(Array(rest.prefix(rest.count / 2)))
        try await submit(Array(rest.dropFirst(rest.count / 2)))
    }

    private func problems(of submissions: [Submission]) async throws -> [Int: String] {
        do { return try await findProblems(submissions) } catch let error as StorageError
            where error.disposition == .permanent
        { return [:] }
    }

    private mutating func submit(_ part: [Submission]) async throws {
        guard !part.isEmpty else { return }
        do { count(try await enqueue(part), part) } catch let error as StorageError
            where error.disposition == .permanent
        {
            try await sift(part, error)
        }
    }

    private mutating func count(_ done: [Enqueued], _ submissions: [Submission]) {
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
