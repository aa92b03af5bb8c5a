/// What a job asks and is answered, from its first query to its result: without queue, images and clock. The daemon and
/// `glossctl reproduce` run jobs by it.
public struct JobRun: Sendable {
    /// A view in a stage: what a checkpoint keeps.
    private struct Part: Hashable {
        var stage: Int
        var view: Int
    }

    /// What is asked.
    public let spec: JobSpec
    /// What the engine is asked next, or was asked last: the first stage, then all further ones together. Views that an
    /// earlier attempt finished are not asked again.
    public private(set) var queries: [TaskQuery] = []
    /// What earlier attempts finished.
    private let kept: [ViewResponses]
    /// By stage and view, then by question.
    private var answers: [Part: [Int: [Generation]]] = [:]
    /// Views whose answers are complete and that were not taken.
    private var finished: [Part] = []
    /// What the first stage found, once all its views are answered.
    private var first: Result<AnnotationResult, NoResult>?

    /// A run of which nothing is planned yet.
    /// - Parameter checkpoints: the views that an earlier attempt finished.
    public init(_ spec: JobSpec, checkpoints: [ViewResponses] = []) {
        self.spec = spec
        kept = checkpoints
    }

    /// Whether there may be questions after those of `queries`.
    public var mayAskOn: Bool { first == nil && !spec.followUps.isEmpty }

    /// Whether anything is answered.
    public var hasAnswers: Bool { !answers.isEmpty }

    /// Finds out what to ask next, by what is answered: no queries when all is.
    public mutating func plan(_ context: TaskContext) {
        queries = unanswered(stage: 1, answer: nil)
        guard queries.isEmpty else { return }
        if first == nil { first = Result { () throws(NoResult) in try firstResult(context) } }
        guard let answer else { return }
        queries = spec.followUps.indices.flatMap { unanswered(stage: $0 + 2, answer: answer) }
    }

    /// What a stage asks of the views that have not answered.
    private func unanswered(stage: Int, answer: String?) -> [TaskQuery] {
        let done = Set(checkpoints(stage: stage, answer: answer).map(\.view))
        return spec.task.definition.queries(spec, stage: stage, answer: answer ?? "").filter {
            !done.contains($0.view) && answers[Part(stage: stage, view: $0.view)] == nil
        }
    }

    /// The best answer of the first stage: what the further ones are about.
    private var answer: String? { (try? first?.get())?.answer?.answer }

    /// What earlier attempts finished. The first stage may have had another answer then: what asked on with that one
    /// counts for nothing.
    private func checkpoints(stage: Int, answer: String?) -> [ViewResponses] {
        kept.filter { $0.stage == stage && $0.answer == answer }
    }

    /// Takes in the responses to a query.
    public mutating func took(_ generations: [Generation], _ query: TaskQuery) {
        let part = Part(stage: query.stage, view: query.view)
        answers[part, default: [:]][query.question] = generations
        if answers[part]?.count == (query.stage == 1 ? spec.prompts.count : 1) { finished.append(part) }
    }

    /// Views whose answers are complete and that were not taken before; none of a task whose images are no views.
    public mutating func takeFinishedViews(_ context: TaskContext) -> [ViewResponses] {
        guard spec.task.definition.limits.imagesAreViews else { return [] }
        defer { finished = [] }
        return finished.map { responses(of: $0, context) }
    }

    /// The responses to a question as they were given, token by token, samples in the order in which they were drawn; none
    /// that an earlier attempt was given. `stage` is from 1, `view` and `question` from 0.
    public func generations(stage: Int, view: Int, question: Int) -> [Generation] {
        answers[Part(stage: stage, view: view)]?[question] ?? []
    }

    /// What all answers together mean.
    /// - Precondition: `plan` has found no more queries.
    public func result(_ context: TaskContext) throws(NoResult) -> AnnotationResult {
        guard let first else { preconditionFailure("a job has ended whose first stage is not answered") }
        return try first.get().adding(furtherViews(context), of: spec)
    }

    private func firstResult(_ context: TaskContext) throws(NoResult) -> AnnotationResult {
        let views = Dictionary(
            uniqueKeysWithValues: answers.keys.filter { $0.stage == 1 }.map { ($0.view, generations(of: $0)) })
        return try spec.task.definition.result(
            views, checkpoints: checkpoints(stage: 1, answer: nil), context: context)
    }

    private func furtherViews(_ context: TaskContext) -> [ViewResponses] {
        answers.keys.filter { $0.stage > 1 }.map { responses(of: $0, context) }
            + spec.followUps.indices.flatMap { checkpoints(stage: $0 + 2, answer: answer) }
    }

    private func responses(of part: Part, _ context: TaskContext) -> ViewResponses {
        context.responses(
            of: part.view, generations(of: part), stage: part.stage, answer: part.stage > 1 ? answer : nil)
    }

    private func generations(of part: Part) -> ViewGenerations {
        let questions = answers[part] ?? [:]
        return questions.keys.sorted().compactMap { questions[$0] }
    }
}
