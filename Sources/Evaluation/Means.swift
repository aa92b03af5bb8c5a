/// What a metric that is a mean over items keeps of one.
struct Judgement: Sendable {
    /// The score; nil: its text could not be parsed.
    var score: Double?
    /// VQA's kind of answer.
    var answerType: String?
    /// The kind of question.
    var questionType: String?

    init(_ score: Double?, of item: EvaluatedItem) {
        self.score = score
        answerType = item.answerType
        questionType = item.questionType
    }
}

/// Means of scores, where a text that could not be parsed counts 0.
enum Means {
    /// A run of a metric that is a mean over items, and over those of each type that the labels have.
    static func run(
        figure: String, score: @escaping @Sendable (EvaluatedItem) throws(EvaluationError) -> Double?
    ) -> any MetricRun {
        ItemRun<Judgement>(
            read: { item throws(EvaluationError) in Judgement(try score(item), of: item) },
            score: \.score,
            figures: { [all(figure, $0, $1)] + byType(figure, $0, $1) })
    }

    /// The mean over items.
    static func all(_ figure: String, _ judgements: [Judgement], _ indices: [Int]) -> Figure {
        mean(figure, of: indices.lazy.map { judgements[$0].score })
    }

    /// The means over the items of each answer type, then of each question type, by name.
    static func byType(_ figure: String, _ judgements: [Judgement], _ indices: [Int]) -> [Figure] {
        by("answer_type", \.answerType, figure, judgements, indices)
            + by("question_type", \.questionType, figure, judgements, indices)
    }

    /// The means over the items of each value of a column, by value; items without one are in none.
    static func by(
        _ column: String, _ value: (Judgement) -> String?, _ figure: String, _ judgements: [Judgement],
        _ indices: [Int]
    ) -> [Figure] {
        var scores: [String: [Double?]] = [:]
        for index in indices {
            if let value = value(judgements[index]) { scores[value, default: []].append(judgements[index].score) }
        }
        return scores.sorted { $0.key < $1.key }.map { mean("\(figure) \(column)=\($0.key)", of: $0.value) }
    }

    /// The mean of scores; it has no value if there are none.
    static func mean(_ name: String, of scores: some Collection<Double?>) -> Figure {
        let sum = scores.reduce(0) { $0 + ($1 ?? 0) }
        return Figure(name: name, value: scores.isEmpty ? nil : sum / Double(scores.count), count: scores.count)
    }
}

extension EvaluatedItem {
    /// - Throws: if there are no answers to score against.
    func requireAnswers() throws(EvaluationError) {
        if answers.isEmpty { throw EvaluationError(key: key, reason: "it has no answers") }
    }

    /// The only answer.
    /// - Throws: if there is none, or more than one.
    func onlyAnswer() throws(EvaluationError) -> String {
        try requireAnswers()
        guard answers.count == 1 else {
            throw EvaluationError(key: key, reason: "it has \(answers.count) answers; this metric compares with one")
        }
        return answers[0]
    }
}
