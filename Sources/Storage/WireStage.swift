import Annotation

/// What one stage of a job asked and was answered.
struct WireStage: Encodable {
    /// From 1.
    var stage: Int
    var prompts: [String]
    /// One text a response; with several views or questions the distinct ones, each once.
    var texts: [String]
    /// With several views or questions: indices into `texts`, from 0, in the order [view][question][sample].
    var responses: [Int]?
    /// One a response, in the order [view][question][sample], as the next three.
    var sums: [Float]
    var norms: [Float]
    var tokens: [Int]
    /// The log-probability of each token of each response, one after the other; nil: not asked for.
    var token_scores: [Float]?
    /// Nil: all ended by themselves.
    var finish: [FinishReason]?
    /// Nil: one view, one question, and as many samples as responses.
    var views: Int?
    var questions: Int?
    var samples: Int?
    var answers: [String]?
    var probabilities: [Float]?

    init(_ result: StageResult, number: Int) {
        stage = number
        prompts = result.prompts
        let flat = result.views.flatMap { $0.responses.flatMap(\.self) }
        sums = flat.map(\.sumLogprob)
        norms = flat.map(\.normLogprob)
        tokens = flat.map(\.tokenCount)
        let scores = flat.compactMap(\.tokenScores)
        if !scores.isEmpty && scores.count == flat.count { token_scores = scores.flatMap(\.self) }
        if flat.contains(where: { $0.finishReason != .eos }) { finish = flat.map(\.finishReason) }
        let (viewCount, questionCount) = (result.views.count, result.views.first?.responses.count ?? 0)
        if viewCount * questionCount != 1 {
            (views, questions) = (viewCount, questionCount)
            samples = result.views.first?.responses.first?.count ?? 0
        }
        if viewCount * questionCount > 1 {
            let distinct = DistinctTexts(flat.map(\.text))
            (texts, responses) = (distinct.texts, distinct.indices)
        } else {
            texts = flat.map(\.text)
        }
        guard !result.distribution.isEmpty else { return }
        answers = result.distribution.map(\.answer)
        probabilities = result.distribution.map { Float($0.probability) }
    }
}

/// Texts of which each is kept once.
private struct DistinctTexts {
    var texts: [String] = []
    var indices: [Int] = []

    init(_ all: [String]) {
        // By their bytes: strings are equal that differ in how they are composed.
        var places: [[UInt8]: Int] = [:]
        for text in all {
            let place = places[Array(text.utf8), default: texts.count]
            if place == texts.count {
                places[Array(text.utf8)] = place
                texts.append(text)
            }
            indices.append(place)
        }
    }
}

/// Something that was found, as a row of `gloss.finding`.
struct WireFinding: Encodable {
    /// The image's index, from 0.
    var image: Int
    /// Among the findings of the job, from 1.
    var n: Int
    var label: String
    var score: Float
    var token_score: Float?
    var y1, x1, y2, x2: Float?
    var codes: [Int]?
    var mask: String?
    var note: String?

    init(_ finding: Finding, number: Int) {
        (image, n, label, score) = (finding.imageIndex, number, finding.label, finding.score)
        (token_score, note) = (finding.tokenScore, finding.note)
        (codes, mask) = (finding.codes, finding.mask?.counts)
        (y1, x1, y2, x2) = (finding.box?.y1, finding.box?.x1, finding.box?.y2, finding.box?.x2)
    }
}
