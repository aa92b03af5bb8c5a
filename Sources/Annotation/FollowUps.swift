extension JobSpec {
    /// The prompts of a stage, from 1. Those of the further stages, a question each, name the first stage's best answer
    /// where they say `{answer}`.
    ///
    /// It is always the first stage's: of "what material is the {answer} made of?" and "what is the function of the
    /// {answer}?" the second asks for the function of the thing, not of its material. So the further stages depend on
    /// the first one alone, and are asked together.
    public func prompts(stage: Int, answer: String) -> [String] {
        guard stage > 1 else { return prompts }
        let question = followUps[stage - 2].replacing("{answer}", with: answer)
        return promptStyle.prompts([question], language: language)
    }
}

extension StageResult {
    /// A stage of which all views' responses are aggregated: nothing is left in the distribution if no response has a
    /// word, or if the job ignores all that have one.
    init(aggregating views: [ViewResponses], of spec: JobSpec, prompts: [String]) {
        let views = views.sorted { $0.view < $1.view }
        let distribution = ScoreAgg.aggregate(
            views.flatMap(\.responses).map { samples in
                samples.map {
                    let score = spec.score == .sum ? $0.sumLogprob : $0.normLogprob
                    return ScoreAgg.Response(text: $0.text, score: Double(score))
                }
            }, ignoring: spec.ignored)
        self.init(prompts: prompts, views: views, distribution: distribution)
    }
}

extension AnnotationResult {
    /// The result of a job that asked on: with its further stages. One that was given no answer has an empty
    /// distribution; what the first stage found stands.
    ///
    /// - Parameter further: the views' responses of the further stages, in any order.
    public func adding(_ further: [ViewResponses], of spec: JobSpec) -> AnnotationResult {
        guard let answer = answer?.answer else { return self }
        var result = self
        result.stages += spec.followUps.indices.map { index in
            let stage = index + 2
            return StageResult(
                aggregating: further.filter { $0.stage == stage }, of: spec,
                prompts: spec.prompts(stage: stage, answer: answer))
        }
        return result
    }
}
