/// Which answer was given for which label.
struct Confusion {
    private let labels, answers: [String]
    private let counts: [[Int]]
    private let row: EvaluationRow

    /// Nil: the figure is no confusion, or not of the size that it says.
    init?(_ figure: EvaluationRow.Figure, of row: EvaluationRow) {
        guard let labels = figure.labels, let answers = figure.answers, let counts = figure.counts,
            counts.count == labels.count + 1, counts.allSatisfy({ $0.count == answers.count + 2 })
        else { return nil }
        (self.labels, self.answers, self.counts, self.row) = (labels, answers, counts, row)
    }

    var html: HTML {
        let most = Double(counts.joined().max() ?? 1)
        let heads = answers.map { answer -> HTML in
            "<th scope=\"col\" class=\"number\">\(link(answer, answer.shortened(to: 40)))</th>"
        }
        let rows = (labels + ["other labels"]).enumerated().filter { index, _ in
            index < labels.count || counts[index].contains { $0 > 0 }
        }
        let lines = rows.map { index, label -> HTML in
            let cells = counts[index].enumerated().map { column, count -> HTML in
                let isRight = index < labels.count && column < answers.count && answers[column] == label
                return cell(count, most, isRight: isRight, answer: column < answers.count ? answers[column] : nil)
            }
            return "<tr><th scope=\"row\">\(label.shortened(to: 60))</th>\(cells)</tr>\n"
        }
        return """
            <h2>Confusion</h2><p class="soft">A row a label, a column an answer; <b>✓</b> where they are equal. The links show the \
            selection's results with this answer, whatever their label.</p>
            <div class="scroll" tabindex="0" role="region" aria-label="Confusion"><table class="confusion"><thead><tr>\
            <th scope="col">Label</th>\(heads)<th scope="col" class="number">others</th>\
            <th scope="col" class="number">no answer</th></tr></thead>
            <tbody>\(lines)</tbody></table></div>
            """
    }

    /// The darker the more; in five steps.
    private func cell(_ count: Int, _ most: Double, isRight: Bool, answer: String?) -> HTML {
        guard count > 0 else { return "<td class=\"number none\">0</td>" }
        let step = Int((Double(count) / most * 5).rounded(.up))
        let mark: HTML = isRight ? "<b>✓</b> " : ""
        let number = Formats.count(count)
        return "<td class=\"number c\(step)\">\(mark)\(answer.map { link($0, number) } ?? "\(number)")</td>"
    }

    /// To the results with an answer; a name that was cut names none.
    private func link(_ answer: String, _ words: String) -> HTML {
        guard !answer.isEmpty, !answer.hasSuffix("…") else { return "\(words)" }
        return "<a href=\"\(row.query.setting("answer", answer).address("/results"))\">\(words)</a>"
    }
}
