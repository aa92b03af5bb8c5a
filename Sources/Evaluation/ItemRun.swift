/// A run of a metric that reads each item by itself. `Evidence` is what the figures need of an item beside its score.
struct ItemRun<Evidence: Sendable>: MetricRun {
    /// Reads an item: its score, nil if its text could not be parsed, and the evidence.
    let read: @Sendable (EvaluatedItem) throws(EvaluationError) -> (score: Double?, evidence: Evidence)
    /// The figures of the items with these indices.
    let figures: @Sendable (ScoredItems<Evidence>, _ indices: [Int]) -> [Figure]
    private var items = ScoredItems<Evidence>()

    init(
        read: @escaping @Sendable (EvaluatedItem) throws(EvaluationError) -> (score: Double?, evidence: Evidence),
        figures: @escaping @Sendable (ScoredItems<Evidence>, [Int]) -> [Figure]
    ) {
        self.read = read
        self.figures = figures
    }

    mutating func add(_ item: EvaluatedItem) throws(EvaluationError) {
        let (score, evidence) = try read(item)
        items.scores.append(score)
        items.evidence.append(evidence)
        items.answerTypes.append(item.answerType)
        items.questionTypes.append(item.questionType)
    }

    func scores() -> MetricScores { MetricScores(items: items.scores) { [figures, items] in figures(items, $0) } }
}

extension ItemRun where Evidence == Void {
    /// A metric that is a mean over items, and over those of each type that the labels have.
    init(mean figure: String, score: @escaping @Sendable (EvaluatedItem) throws(EvaluationError) -> Double?) {
        self.init(
            read: { item throws(EvaluationError) in (try score(item), ()) },
            figures: { items, indices in [items.mean(figure, indices)] + items.meansByType(figure, indices) })
    }
}

/// What is kept of items, a column each.
struct ScoredItems<Evidence: Sendable>: Sendable {
    /// nil: the text could not be parsed.
    var scores: [Double?] = []
    var evidence: [Evidence] = []
    var answerTypes = TypeColumn()
    var questionTypes = TypeColumn()

    /// The mean score of the items with these indices.
    func mean(_ figure: String, _ indices: [Int]) -> Figure { .mean(figure, of: indices.lazy.map { scores[$0] }) }

    /// The mean scores of each answer type, then of each question type.
    func meansByType(_ figure: String, _ indices: [Int]) -> [Figure] {
        means("\(figure) answer_type", by: answerTypes, indices) + meansByQuestionType(figure, indices)
    }

    /// The mean scores of each question type, by its name.
    func meansByQuestionType(_ figure: String, _ indices: [Int]) -> [Figure] {
        means("\(figure) question_type", by: questionTypes, indices)
    }

    private func means(_ figure: String, by column: TypeColumn, _ indices: [Int]) -> [Figure] {
        var sums = [(sum: Double, count: Int)](repeating: (0, 0), count: column.names.count)
        if sums.isEmpty { return [] }
        for index in indices {
            guard let type = column.type(index) else { continue }
            sums[type].sum += scores[index] ?? 0
            sums[type].count += 1
        }
        return zip(column.names, sums).filter { $1.count > 0 }.sorted { $0.0 < $1.0 }.map { name, total in
            Figure(name: "\(figure)=\(name)", value: total.sum / Double(total.count), count: total.count)
        }
    }
}

/// The type of each item, where there are few types and many items.
struct TypeColumn: Sendable {
    /// The types, in the order in which they came.
    private(set) var names: [String] = []
    private var numbers: [String: Int32] = [:]
    private var values: [Int32] = []

    mutating func append(_ name: String?) {
        guard let name else { return values.append(-1) }
        if let number = numbers[name] { return values.append(number) }
        numbers[name] = Int32(names.count)
        values.append(Int32(names.count))
        names.append(name)
    }

    /// The place of an item's type in ``names``; nil: it has none.
    func type(_ index: Int) -> Int? { values[index] < 0 ? nil : Int(values[index]) }
}

extension Figure {
    /// The mean of scores, where nil counts 0. It has no value if there are none.
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
