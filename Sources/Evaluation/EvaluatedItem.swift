import Annotation

/// What was said about one labelled thing, and what is right.
public struct EvaluatedItem: Sendable, Hashable {
    /// The user's key. Results and labels are joined on it.
    public var key: String
    /// The response's text; nil: there is no result, which scores as wrong.
    public var text: String?
    /// The human answers, references or labels, in the file's order.
    public var answers: [String]
    /// VQA's kind of answer: `yes/no`, `number`, `other`.
    public var answerType: String?
    /// The kind of question. VQA and RSVQA report it, TallyQA calls it simple or complex.
    public var questionType: String?
    /// What belongs together: MMVP's pairs, NLVR2's sentences.
    public var group: String?
    /// The options of a multiple choice, in the order in which they were asked: A, B, C, …
    public var choices: [String]
    /// The answers that ScoreAgg compared and their probabilities; empty: there are none.
    public var distribution: [AggregatedAnswer]

    public init(
        key: String, text: String?, answers: [String], answerType: String? = nil, questionType: String? = nil,
        group: String? = nil, choices: [String] = [], distribution: [AggregatedAnswer] = []
    ) {
        self.key = key
        self.text = text
        self.answers = answers
        self.answerType = answerType
        self.questionType = questionType
        self.group = group
        self.choices = choices
        self.distribution = distribution
    }
}
