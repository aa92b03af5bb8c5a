import Annotation
import Queue
import Storage

/// Which results are exported.
struct ExportSelection {
    var batch: String?
    /// Never empty.
    var tasks: [TaskName]
    /// A model's name or digest; nil is any.
    var model: String?
    /// A time that PostgreSQL reads.
    var since: String?
    /// A condition in SQL over the columns of `view`.
    var condition: String?
    /// What the condition is about: a row a thing to export.
    var view: ResultView
    /// Whether what reviewers say is right stands in the place of results; else results are exported as they are.
    var truth = TruthUse.none

    /// What is exported of a truth.
    enum TruthUse: Equatable {
        case none
        /// Results that were accepted or edited, as they are right.
        case reviewed
        /// And the others as they are, but for those that were rejected.
        case all

        /// As the manifest has it; nil: no truth.
        var name: String? {
            switch self {
            case .none: nil
            case .reviewed: "reviewed"
            case .all: "all"
            }
        }
    }

    /// The parameters $1...$4 of `results` and `rows`.
    var parameters: [SQLValue] {
        [SQLValue(tasks.map(\.rawValue)), SQLValue(batch), SQLValue(model), SQLValue(since)]
    }

    /// The finished jobs: `a` gloss.annotation, `j` gloss.job, `e` gloss.engine.
    static let results = """
        gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
        """

    /// The answer of job `a`, as text.
    var text: String {
        let given = "coalesce(a.answers[1], a.texts[1])"
        guard truth != .none else { return given }
        return """
            coalesce((select coalesce(c.answer ->> 'text', c.answer ->> 'answer') from gloss.correction c
                      where c.job_id = a.job_id), \(given))
            """
    }

    /// The answers of object `f` with their probabilities: of one that was reviewed, the right one has all.
    var distribution: String {
        guard truth != .none else { return "f.distribution" }
        return """
            coalesce((select jsonb_build_array(jsonb_build_object('answer', c.answer -> 'answer', 'p', 1))
                      from gloss.correction c where c.job_id = f.job_id and c.answer ? 'answer'), f.distribution)
            """
    }

    /// What holds of jobs that are exported, by the truth.
    /// - Parameter table: has the column job_id.
    func areTrue(_ table: String) -> String {
        switch truth {
        case .none: "true"
        case .reviewed: "\(table).job_id in (select c.job_id from gloss.correction c)"
        case .all: "\(table).job_id not in (select c.job_id from gloss.rejection c)"
        }
    }

    /// What holds of those that were chosen. A condition about things leaves their jobs, and so the empty images.
    var areChosen: String {
        "\(Self.areAsked) and \(areTrue("a"))"
            + (condition == nil || view == .found ? "" : " and a.job_id in (select f.job_id from \(rows) f)")
    }

    private static let areAsked = """
        a.task = any ($1::text[])
        and ($2::text is null or j.batch_id = (select x.id from gloss.batch x where x.name = $2))
        and ($3::text is null or e.model = $3 or e.digest = $3) and ($4::timestamptz is null or a.finished_at >= $4)
        """

    /// The rows of the view that were chosen, in parentheses. A view of one task has no column for it.
    var rows: String {
        let task = view == .result ? "v.task = any ($1::text[])" : "$1::text[] is not null"
        return """
            (select v.* from (select * from gloss.\(view.rawValue) where \(filter)) v
             where \(task) and ($2::text is null or v.batch = $2) and ($4::timestamptz is null or v.finished_at >= $4)
               and ($3::text is null or v.model = $3 or v.model in (
                   select x.model from gloss.engine x where x.digest = $3)))
            """
    }

    /// What was found by jobs, as far as the condition holds of it: gloss.finding, or a part of it.
    var findings: String {
        condition == nil && truth == .none ? "gloss.finding" : "(select * from gloss.\(table) where \(filter))"
    }

    /// The view of the condition: the truth's, where that is exported.
    private var table: String { view == .found && truth != .none ? "corrected_found" : view.rawValue }

    /// A comment in the condition ends with its line.
    private var filter: String { condition.map { "(\n\($0)\n)" } ?? "true" }

    /// Looks whether the condition can be read.
    /// - Throws: `CommandError` that names the view's columns.
    func checkCondition(_ snapshot: Snapshot, columns: [String]) async throws {
        guard let condition else { return }
        if let problem = SQLShape.problem(of: condition) { throw CommandError(.failed, "--where: \(problem)") }
        do {
            _ = try await snapshot.query(
                "select from gloss.\(table) where \(filter) limit 0", context: "--where")
        } catch let error as StorageError where error.sqlState != nil {
            throw CommandError(
                .failed,
                "--where: \(error.message) [\(error.sqlState ?? "")]; it is a condition in SQL over the columns "
                    + "of gloss.\(view.rawValue): \(columns.joined(separator: ", "))")
        }
    }

    /// What PostgreSQL says of a row that the condition cannot judge, or of a condition that would write, is about the
    /// condition; what it says of itself, its disk and its connections is not.
    func explained<Result>(_ body: () async throws -> Result) async throws -> Result {
        do { return try await body() } catch let error as StorageError {
            guard condition != nil, let state = error.sqlState, !["08", "53", "57", "58"].contains(state.prefix(2))
            else {
                throw error
            }
            throw CommandError(.failed, "--where: \(error.message) [\(state)]")
        }
    }
}

/// The shape of an expression in SQL, as far as it matters where it ends.
enum SQLShape {
    /// What keeps a text from being one expression, whatever stands around it; nil: nothing. PostgreSQL judges the rest.
    static func problem(of text: String) -> String? {
        var (depth, rest) = (0, text.unicodeScalars[...])
        func skip(past end: String) -> Bool {
            while !rest.isEmpty {
                if rest.starts(with: end.unicodeScalars) {
                    rest = rest.dropFirst(end.unicodeScalars.count)
                    return true
                }
                rest = rest.dropFirst()
            }
            return false
        }
        while let scalar = rest.popFirst() {
            switch scalar {
            case "'", "\"":
                guard skip(past: String(scalar)) else { return "a quote \(scalar) is not closed" }
            case "-" where rest.first == "-": _ = skip(past: "\n")
            case "/" where rest.first == "*":
                guard skip(past: "*/") else { return "a comment is not closed" }
            case ";": return "it is one condition, without a semicolon"
            case "(": depth += 1
            case ")":
                depth -= 1
                if depth < 0 { return "a parenthesis is closed that was not opened" }
            default: break
            }
        }
        return depth == 0 ? nil : "a parenthesis is not closed"
    }
}
