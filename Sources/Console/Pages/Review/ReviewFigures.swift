/// What reviews say of all results: how far they are, how many results are right, and whether reviewers agree.
struct ReviewFigures: Sendable {
    /// A row of `gloss.review_progress`.
    struct Progress: Decodable, Sendable {
        /// Nil: all of them.
        var reviewer: String?
        var accepted, edited, rejected, looked, skipped: Int
        /// Results that nobody has judged, 100,001 at the most.
        var remaining: Int?
    }

    /// A row of `gloss.review_accuracy`.
    struct Stratum: Decodable, Sendable {
        /// 0: all of them.
        var stratum: Int
        /// Nil: there is no end.
        var score_from, score_to: Double?
        var n, reviewed, right_count: Int
        /// Nil: none was reviewed.
        var estimate, low, high: Double?
    }

    /// A row of `gloss.review_agreement`.
    struct Agreement: Decodable, Sendable {
        var one, other: String
        var both_judged, same_verdict, same_answer: Int
        /// Nil: both always say the same word.
        var kappa: Double?
    }

    /// Nil: it took too long.
    var progress: [Progress]?
    var accuracy: [Stratum]?
    var agreement: [Agreement]?
    var statements: [Statement] = []

    /// Each is read by itself, so that one that is slow takes nothing from the others.
    static func read(_ readers: ReaderPool, _ filter: ReviewFilter) async throws -> ReviewFigures {
        let (batch, task, model) = (filter.batch, filter.task, filter.model)
        let progress: Statement = "select * from gloss.review_progress(batch => \(batch), task => \(task))"
        let accuracy: Statement =
            "select * from gloss.review_accuracy(batch => \(batch), task => \(task), model => \(model))"
        let agreement: Statement = "select * from gloss.review_agreement(batch => \(batch), task => \(task))"
        return ReviewFigures(
            progress: try await rows(readers, progress), accuracy: try await rows(readers, accuracy),
            agreement: try await rows(readers, agreement), statements: [progress, accuracy, agreement])
    }

    private static func rows<Row: Decodable & Sendable>(
        _ readers: ReaderPool, _ statement: Statement
    ) async throws -> [Row]? {
        do {
            return try await readers.read { try await $0.rows(Row.self, statement) }
        } catch let error as PageError where error.isTooSlow {
            return nil
        }
    }

    // MARK: As HTML

    private static let slow: HTML =
        "<p class=\"none\">Computing it takes too long. A batch or a task makes it less.</p>"

    /// All of it.
    var tables: HTML {
        """
        <h2>Progress</h2>\(progressTable)
        <h2>Accuracy</h2><p class="soft">An estimate from the results that were drawn at random: accepted ones are right, edited and \
        rejected ones wrong.</p>\(accuracyTable)
        <h2>Agreement of reviewers</h2>\(agreementTable)
        """
    }

    /// What stands beside a result: a few lines.
    var summary: HTML {
        let all = progress?.first { $0.reviewer == nil }
        let judged = all.map { $0.accepted + $0.edited + $0.rejected }
        let agreements = agreement ?? []
        let (both, same) = agreements.reduce((0, 0)) { ($0.0 + $1.both_judged, $0.1 + $1.same_verdict) }
        return "<h2>So far</h2>"
            + Parts.facts([
                ("judged", judged.map { "\(Formats.count($0))" } ?? "none"),
                ("left", all?.remaining.map { "\(Count(number: $0).words)" } ?? ""),
                (
                    "accuracy",
                    accuracy?.first { $0.stratum == 0 }.map(Self.estimate) ?? "no result was drawn at random yet"
                ),
                (
                    "agreement",
                    both == 0
                        ? "no result has two verdicts yet"
                        : "\(HTML.percent(Double(same) / Double(both))) of \(Formats.count(both)) pairs of verdicts"
                ),
            ])
    }

    private static func estimate(_ stratum: Stratum) -> HTML {
        guard let estimate = stratum.estimate, let low = stratum.low, let high = stratum.high else { return "none" }
        return """
            \(HTML.percent(estimate)), 95 % interval \(HTML.percent(low)) – \(HTML.percent(high)), \
            by \(Formats.count(stratum.reviewed)) of \(Formats.count(stratum.n))
            """
    }

    private var progressTable: HTML {
        guard let progress else { return Self.slow }
        let lines = progress.map { row -> [HTML] in
            [
                row.reviewer.map { "\($0.shortened(to: 80))" } ?? "all", "\(Formats.count(row.accepted))",
                "\(Formats.count(row.edited))", "\(Formats.count(row.rejected))", "\(Formats.count(row.looked))",
                "\(Formats.count(row.skipped))", row.remaining.map { "\(Count(number: $0).words)" } ?? "",
            ]
        }
        return Parts.table(
            "Progress", ["Reviewer", "#Accepted", "#Edited", "#Rejected", "#Looked at", "#Skipped", "#Left"], lines,
            empty: "Nobody has reviewed anything.")
    }

    private var accuracyTable: HTML {
        guard let accuracy else { return Self.slow }
        let lines = accuracy.map { row -> [HTML] in
            let (from, to) = (row.score_from.map { Formats.fixed($0, 3) }, row.score_to.map { Formats.fixed($0, 3) })
            let scores = [from.map { "from \($0)" }, to.map { "below \($0)" }].compactMap(\.self).joined(separator: " ")
            let figure = EvaluationRow.Figure(name: "accuracy", value: row.estimate, low: row.low, high: row.high)
            return [
                row.stratum == 0 ? "all" : "\(scores.isEmpty ? "any" : scores)", "\(Formats.count(row.n))",
                "\(Formats.count(row.reviewed))", "\(Formats.count(row.right_count))",
                row.estimate.map { "\(HTML.percent($0))" } ?? "", EvaluationsPage.interval(figure),
            ]
        }
        return Parts.table(
            "Accuracy", ["Score", "#Results", "#Reviewed", "#Right", "#Accuracy", "95 % interval"], lines,
            empty: "No result was drawn at random yet: review in the order \"random\".")
    }

    private var agreementTable: HTML {
        guard let agreement else { return Self.slow }
        let lines = agreement.map { row -> [HTML] in
            func share(_ count: Int) -> String {
                row.both_judged == 0 ? "" : HTML.percent(Double(count) / Double(row.both_judged))
            }
            return [
                "\(row.one.shortened(to: 80)) and \(row.other.shortened(to: 80))", "\(Formats.count(row.both_judged))",
                "\(share(row.same_verdict))", "\(share(row.same_answer))",
                "\(row.kappa.map { Formats.fixed($0, 3) } ?? "")",
            ]
        }
        return Parts.table(
            "Agreement", ["Reviewers", "#Both judged", "#Same verdict", "#Same answer", "#Cohen's kappa"], lines,
            empty: "No result was judged by two reviewers.")
    }
}
