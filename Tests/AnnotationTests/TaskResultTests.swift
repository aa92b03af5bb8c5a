import Annotation
import Testing

private func generation(_ text: String, _ logProbabilities: [Double], _ reason: FinishReason = .eos) -> Generation {
    Generation(
        text: text, tokens: Array(repeating: 1026, count: logProbabilities.count), logProbabilities: logProbabilities,
        finishReason: reason, prefixTokenCount: 3)
}

private func source(_ index: Int) -> SourceImage {
    let sha256 = String(repeating: "\(index)", count: 64)
    let info = ImageInfo(sha256: sha256, width: 4, height: 3, orientation: 1, format: "png", byteCount: 99)
    return SourceImage(info: info, finalURL: "https://e.org/\(index)")
}

func context(_ spec: JobSpec) -> TaskContext {
    let images = Dictionary(uniqueKeysWithValues: spec.imageURLs.indices.map { ($0, source($0)) })
    return TaskContext(spec: spec, images: images, vocabulary: FakeVocabulary(), modelDigest: "d")
}

func result(
    _ spec: JobSpec, _ responses: [Int: ViewGenerations], checkpoints: [ViewResponses] = []
) throws -> AnnotationResult {
    try spec.task.definition.result(responses, checkpoints: checkpoints, context: context(spec))
}

@Suite struct TextResultTests {
    @Test(arguments: [TaskName.caption, .vqa]) func samplesStandBestFirst(task: TaskName) throws {
        let spec = JobSpec(task: task, imageURLs: ["a", "b"], texts: task == .vqa ? ["q?"] : [])
        let samples = [generation("worse", [-1, -2], .length), generation("better", [-0.5, -0.25])]
        let result = try result(spec, [0: [samples]])
        let stage = try #require(result.stages.first)
        #expect(result.stages.count == 1 && stage.prompts == spec.prompts && stage.distribution.isEmpty)
        #expect(stage.views.map(\.view) == [0] && stage.views[0].stage == 1 && stage.views[0].modelDigest == "d")
        #expect(stage.views[0].images == [source(0), source(1)])
        #expect(stage.views[0].responses.map { $0.map(\.text) } == [["better", "worse"]])
        #expect(stage.views[0].responses[0].map(\.finishReason) == [.eos, .length])
        #expect(result.best?.text == "better" && result.best?.sumLogprob == -0.75 && result.best?.tokenCount == 2)
        #expect(result.score == result.best?.normLogprob)
        #expect(result.findings.isEmpty && result.notUnderstoodCount == 0 && result.answer == nil)
    }

    @Test(arguments: [TaskName.caption, .vqa, .detect]) func noResponseIsNoResult(task: TaskName) {
        let spec = JobSpec(task: task, imageURLs: ["a"], texts: ["t"])
        let expected = NoResult(code: "no_answer", reason: "the model gave no answer")
        #expect(throws: expected) { try result(spec, [:]) }
        #expect(throws: expected) { try result(spec, [0: [[]]]) }
    }

    /// (−1 − 2) / ((5 + 2) / 6)^0.6
    @Test func theNormalisedScoreIsThatOfWu() {
        let scored = ScoredText(generation("x", [-1, -2]))
        #expect(scored.sumLogprob == -3 && abs(scored.normLogprob - -2.734_973_9) < 1e-6)
    }
}

@Suite struct MultiviewResultTests {
    private let spec = JobSpec(task: .multiview, imageURLs: ["a", "b"], texts: ["q?"])

    private let view0 = ViewResponses(
        view: 0,
        responses: [
            [
                ScoredText(text: "banana", sumLogprob: -0.5, normLogprob: -4, tokenCount: 2, finishReason: .eos),
                ScoredText(text: "a banana.", sumLogprob: -1, normLogprob: -4, tokenCount: 4, finishReason: .eos),
                ScoredText(text: "fruit", sumLogprob: -2, normLogprob: -1, tokenCount: 2, finishReason: .eos),
            ]
        ], images: [source(0)], modelDigest: "d")

    /// The example of the paper's appendix G; the first view was finished by an earlier attempt.
    @Test func checkpointsAndResponsesAreAggregated() throws {
        let found = try result(spec, [1: [[generation("fruit", [-0.2])]]], checkpoints: [view0])
        #expect(found.stages.count == 1)
        #expect(found.stages[0].views.map(\.view) == [0, 1])
        #expect(found.stages[0].views[0] == view0)
        #expect(found.stages[0].views[1].images == [source(1)], "each view has its image")
        #expect(found.stages[0].distribution.map(\.answer) == ["fruit", "banana"])
        #expect(abs(found.stages[0].distribution[1].probability - 0.38865) < 1e-5)
        #expect(found.answer?.answer == "fruit")
        #expect(abs(Double(try #require(found.score)) - 0.61135) < 1e-5)
    }

    @Test func theNormalisedScoresAreUsedOnDemand() throws {
        var spec = spec
        spec.score = .normalised
        let found = try result(spec, [:], checkpoints: [view0])
        #expect(found.answer?.answer == "fruit", "-1 against -4")
    }

    @Test func aJobThatIgnoresEveryAnswerHasNoResult() throws {
        var spec = spec
        spec.ignored = ["the banana"]
        #expect(try result(spec, [:], checkpoints: [view0]).stages[0].distribution.map(\.answer) == ["fruit"])
        spec.ignored = ["the banana", "Fruit."]
        let reason = "the job ignores every answer that its 2 views were given: \"banana\", \"fruit\""
        #expect(throws: NoResult(code: "no_answer", reason: reason)) {
            try result(spec, [1: [[generation("", [-1])]]], checkpoints: [view0])
        }
    }

    /// Each further stage is aggregated for itself. One that has no answer leaves what the first stage found.
    @Test func furtherStagesAreAggregated() throws {
        var spec = spec
        spec.followUps = ["what colour is the {answer}?", "where is it?"]
        spec.ignored = ["nowhere"]
        let first = try result(spec, [1: [[generation("fruit", [-0.2])]]], checkpoints: [view0])
        let context = context(spec)
        func view(_ stage: Int, _ view: Int, _ texts: [String]) -> ViewResponses {
            context.responses(of: view, [texts.map { generation($0, [-1]) }], stage: stage, answer: "fruit")
        }
        let further = [view(3, 1, ["Nowhere"]), view(2, 1, ["red"]), view(2, 0, ["red", "blue"]), view(3, 0, [""])]
        let found = first.adding(further, of: spec)
        #expect(found.stages.count == 3 && found.stages[0] == first.stages[0] && found.score == first.score)
        #expect(found.answer == first.answer && found.best == first.best)
        #expect(found.stages[1].prompts == ["answer en what colour is the fruit?"])
        #expect(found.stages[1].views == [further[2], further[1]], "in order of view")
        #expect(found.stages[1].distribution.map(\.answer) == ["red", "blue"])
        #expect(found.stages[2].prompts == ["answer en where is it?"] && found.stages[2].distribution.isEmpty)
        #expect(found.stages[2].views == [further[3], further[0]])
    }

    @Test func responsesWithoutAWordAreNoResult() {
        let expected = NoResult(code: "no_answer", reason: "none of the 2 views' responses has a word")
        #expect(throws: expected) {
            try result(spec, [0: [[generation(" ", [-1])]], 1: [[generation("", [-1])]]])
        }
    }
}

@Suite struct ChoiceResultTests {
    private let spec = JobSpec(
        task: .choice, imageURLs: ["a"], texts: ["how many?"], options: ["two", "at most one", "three"])

    /// Shares exp(sum) / Σ exp(sum) of -3, -1 and -1: equal ones stand in their order.
    @Test func sharesAreThoseOfTheSums() throws {
        let scored = [[-1, -2], [-0.25, -0.25, -0.25, -0.25], [-1.0]].map { generation("as the tokenizer has it", $0) }
        let result = try result(spec, [0: [scored]])
        let stage = try #require(result.stages.first)
        #expect(stage.views[0].responses[0].map(\.text) == spec.options, "in their order, word for word")
        #expect(stage.views[0].responses[0].map(\.sumLogprob) == [-3, -1, -1])
        #expect(stage.distribution.map(\.answer) == ["at most one", "three", "two"])
        let expected = [0.468_311, 0.468_311, 0.063_379]
        for (share, value) in zip(stage.distribution.map(\.probability), expected) {
            #expect(abs(share - value) < 1e-6)
        }
        #expect(result.score == Float(stage.distribution[0].probability) && result.answer?.answer == "at most one")
    }

    @Test func theNormalisedScoresAreUsedOnDemand() throws {
        var spec = spec
        spec.score = .normalised
        let scored = [[-1, -2], [-0.25, -0.25, -0.25, -0.25], [-1.0]].map { generation("", $0) }
        let shares = try #require(try result(spec, [0: [scored]]).stages.first).distribution
        #expect(shares.map(\.answer) == ["at most one", "three", "two"])
        #expect(shares[0].probability > shares[1].probability, "-0.78 against -1")
    }

    /// Scores far below what exp can tell from nothing.
    @Test func unlikelyOptionsHaveSharesToo() throws {
        let scored = [-2000, -2000, -2001].map { generation("", [$0]) }
        let shares = try #require(try result(spec, [0: [scored]]).stages.first).distribution
        #expect(
            abs(shares.map(\.probability).reduce(0, +) - 1) < 1e-12 && abs(shares[0].probability - 0.422_319) < 1e-6)
    }

    @Test func everyOptionMustBeScored() {
        let expected = NoResult(code: "no_answer", reason: "the model has not scored each of the options")
        #expect(throws: expected) { try result(spec, [:]) }
        #expect(throws: expected) { try result(spec, [0: [[generation("two", [-1])]]]) }
    }

    @Test func tokenScoresAreKeptOnDemand() throws {
        var spec = spec
        spec.settings.tokenScores = true
        let scored = [[-1, -2], [-0.5], [-0.25]].map { generation("", $0) }
        let kept = try #require(try result(spec, [0: [scored]]).stages.first).views[0].responses[0]
        #expect(kept.map(\.tokenScores) == [[-1, -2], [-0.5], [-0.25]])
        #expect(try result(self.spec, [0: [scored]]).best?.tokenScores == nil)
    }
}
