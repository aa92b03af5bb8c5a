import Annotation
import Testing

/// Words and locations: ids below 1024 are locations, the others index into `words`.
struct FakeVocabulary: Vocabulary {
    let words = ["<eos>", ";", "cat", " cat", "dog", " "]
    let locations = Dictionary(uniqueKeysWithValues: (0..<1024).map { ($0, $0) })
    let separators: Set<Int> = [1025]

    func decode(_ ids: [Int]) -> String {
        ids.map { $0 < 1024 ? "<loc\($0)>" : words[$0 - 1024] }.joined()
    }

    static let (end, separator, cat, spacedCat, dog, blank) = (1024, 1025, 1026, 1027, 1028, 1029)
}

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

private func context(_ spec: JobSpec) -> TaskContext {
    let images = Dictionary(uniqueKeysWithValues: spec.imageURLs.indices.map { ($0, source($0)) })
    return TaskContext(spec: spec, images: images, vocabulary: FakeVocabulary(), modelDigest: "d")
}

private func result(
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

@Suite struct DetectionTests {
    private func response(_ tokens: [Int], _ logProbabilities: [Double]? = nil, _ reason: FinishReason = .eos)
        -> Generation
    {
        let all = reason == .eos ? tokens + [FakeVocabulary.end] : tokens
        return Generation(
            text: "raw", tokens: all, logProbabilities: logProbabilities ?? all.map { _ in -0.5 }, finishReason: reason,
            prefixTokenCount: 3)
    }

    private func parse(_ tokens: [Int], _ reason: FinishReason = .eos) -> DetectionParser.Parsed {
        DetectionParser(FakeVocabulary()).parse(response(tokens, nil, reason))
    }

    private func isEmpty(_ parsed: DetectionParser.Parsed) -> Bool {
        parsed.findings.isEmpty && parsed.notUnderstoodCount == 0
    }

    @Test func boxesAreFractionsOf1023InTheModelsOrder() {
        let parsed = parse([
            0, 341, 1023, 682, FakeVocabulary.spacedCat, FakeVocabulary.separator, 10, 20, 30, 40, FakeVocabulary.dog,
        ])
        #expect(parsed.findings.map(\.label) == ["cat", "dog"])
        #expect(parsed.findings[0].box == Box(y1: 0, x1: Float(341.0 / 1023), y2: 1, x2: Float(682.0 / 1023)))
        #expect(parsed.findings.allSatisfy { $0.imageIndex == 0 && $0.note == nil && $0.tokenScore == nil })
        #expect(parsed.notUnderstoodCount == 0)
    }

    /// √(geometric mean of the four locations × geometric mean of the label).
    @Test func theScoreIsTheProbabilityOfTheTokens() throws {
        let tokens = [1, 2, 3, 4, FakeVocabulary.cat, FakeVocabulary.cat]
        let generation = response(tokens, [-0.1, -0.2, -0.3, -0.4, -1, -2, -9])
        let found = try #require(DetectionParser(FakeVocabulary()).parse(generation).findings.first)
        #expect(found.label == "catcat")
        #expect(abs(Double(found.score) - 0.416_862) < 1e-5, "exp((-0.25 - 1.5) / 2)")
    }

    @Test func groupsThatSayNothingAreCounted() {
        let box = [1, 2, 3, 4]
        #expect(parse(box).notUnderstoodCount == 1, "no label")
        #expect(parse(box + [FakeVocabulary.blank]).notUnderstoodCount == 1, "a blank label")
        #expect(parse([3, 2, 1, 4, FakeVocabulary.cat]).notUnderstoodCount == 1, "upside down")
        #expect(parse([1, 2, 3, 2, FakeVocabulary.cat]).notUnderstoodCount == 1, "no width")
        let mixed = parse([3, 2, 1, 4, FakeVocabulary.cat, FakeVocabulary.separator] + box + [FakeVocabulary.dog])
        #expect(mixed.notUnderstoodCount == 1 && mixed.findings.map(\.label) == ["dog"])
    }

    @Test func fewerThanFourLocationsAreNoBox() {
        #expect(isEmpty(parse([1, 2, 3, FakeVocabulary.cat])))
        #expect(isEmpty(parse([FakeVocabulary.cat])))
        #expect(isEmpty(parse([], .length)))
    }

    /// The last label of a response that was cut off ends with its last token, not before it.
    @Test func aLabelThatWasCutOffIsWhole() {
        #expect(
            parse([1, 2, 3, 4, FakeVocabulary.cat, FakeVocabulary.dog], .length).findings.map(\.label) == ["catdog"])
    }

    @Test func theResultHasTheRawTextAndTheFindings() throws {
        let spec = JobSpec(task: .detect, imageURLs: ["a"], texts: ["cat"])
        let generation = response([1, 2, 3, 4, FakeVocabulary.cat, FakeVocabulary.separator, 9, 9, 9, 9])
        let found = try result(spec, [0: [[generation]]])
        #expect(found.best?.text == "raw")
        #expect(found.findings.map(\.label) == ["cat"])
        #expect(found.score == found.findings[0].score)
        #expect(found.notUnderstoodCount == 1)
    }

    /// A tokenizer that is not PaliGemma's has no locations: no answer would ever have a box.
    @Test func aModelWithoutLocationsIsRefused() throws {
        var context = context(JobSpec(task: .detect, imageURLs: ["a"], texts: ["cat"]))
        context.vocabulary = NoLocations()
        let error = #expect(throws: NoResult.self) {
            try TaskName.detect.definition.result([0: [[response([])]]], checkpoints: [], context: context)
        }
        #expect(error?.code == "no_locations")
    }

    private struct NoLocations: Vocabulary {
        let locations: [Int: Int] = [:]
        let separators: Set<Int> = []
        func decode(_ ids: [Int]) -> String { "" }
    }

    @Test func nothingFoundHasNoScore() throws {
        let spec = JobSpec(task: .detect, imageURLs: ["a"], texts: ["cat"])
        let found = try result(spec, [0: [[response([])]]])
        #expect(found.findings.isEmpty && found.score == nil && found.best?.text == "raw")
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

    @Test func responsesWithoutAWordAreNoResult() {
        let expected = NoResult(code: "no_answer", reason: "none of the 2 views' responses has a word")
        #expect(throws: expected) {
            try result(spec, [0: [[generation(" ", [-1])]], 1: [[generation("", [-1])]]])
        }
    }
}
