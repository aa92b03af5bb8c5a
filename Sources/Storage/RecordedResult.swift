import Annotation
import Queue

/// What `gloss.record` keeps of a result, as it keeps it: log-probabilities and probabilities in f32, and no U+0000.
public struct RecordedResult: Sendable {
    /// What one stage asked and was answered.
    public struct Stage: Sendable {
        /// The prompts, one a question.
        public var prompts: [String]
        /// Views, questions a view, and responses a question.
        public var views: Int, questions: Int, samples: Int
        /// As [view][question][sample], flat.
        public var responses: [ScoredText]
        /// The aggregated answers, most probable first; empty: nothing is aggregated.
        public var answers: [AggregatedAnswer]

        /// The view, the question and the sample of a response, from 0.
        public func place(of response: Int) -> (view: Int, question: Int, sample: Int) {
            let questions = response / max(1, samples)
            return (questions / max(1, self.questions), questions % max(1, self.questions), response % max(1, samples))
        }
    }

    /// The stages, in order.
    public var stages: [Stage]
    /// What was found. Of a mask the run lengths count, not the size, which is the image's.
    public var findings: [Finding]
    /// One number to sort by; nil: nothing was found.
    public var score: Float?
    /// Parts of the responses that could not be read.
    public var notUnderstoodCount: Int

    /// What would be kept of a result.
    public init(_ result: AnnotationResult) {
        stages = result.stages.enumerated().map { Stage(RecordedStage(WireStage($1, number: $0 + 1))) }
        findings = result.findings.enumerated().map { RecordedFinding(WireFinding($1, number: $0 + 1)).finding }
        (score, notUnderstoodCount) = (result.score, result.notUnderstoodCount)
    }

    init(stages: [Stage], findings: [Finding], score: Float?, notUnderstoodCount: Int) {
        (self.stages, self.findings) = (stages, findings)
        (self.score, self.notUnderstoodCount) = (score, notUnderstoodCount)
    }
}

extension RecordedResult.Stage {
    init(_ stage: RecordedStage) {
        (prompts, views, questions, samples) = (stage.prompts, stage.views, stage.questions, stage.samples)
        let scores = stage.token_scores.map { Self.parts($0, stage.tokens) }
        let letters = Array(stage.finish)
        responses = stage.sums.indices.map { index in
            let place = stage.responses?[index] ?? index
            return ScoredText(
                text: stage.texts.indices.contains(place) ? stage.texts[place] : "", sumLogprob: stage.sums[index],
                normLogprob: stage.norms[index], tokenCount: stage.tokens[index],
                finishReason: letters[index] == "e" ? .eos : letters[index] == "l" ? .length : .repetition,
                tokenScores: scores?[index])
        }
        answers = zip(stage.answers ?? [], stage.probabilities ?? []).map {
            AggregatedAnswer(answer: $0, probability: Double($1))
        }
    }

    /// The scores of each response.
    private static func parts(_ scores: [Float], _ counts: [Int]) -> [[Float]] {
        var rest = scores[...]
        return counts.map { count in
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }
}

/// A row of `gloss.annotation` or `gloss.annotation_stage`.
struct RecordedStage: Decodable {
    var prompts: [String]
    var views, questions, samples: Int
    /// A letter a response: e eos, l length, r repetition.
    var finish: String
    var texts: [String]
    var responses: [Int]?
    var sums, norms: [Float]
    var tokens: [Int]
    var token_scores: [Float]?
    var answers: [String]?
    var probabilities: [Float]?

    /// What `gloss.record` makes of a stage.
    init(_ wire: WireStage) {
        prompts = wire.prompts.map(\.storable)
        (views, questions) = (wire.views ?? 1, wire.questions ?? 1)
        samples = wire.samples ?? wire.sums.count
        finish =
            wire.finish.map { $0.map { String($0.rawValue.prefix(1)) }.joined() }
            ?? String(repeating: "e", count: wire.sums.count)
        texts = wire.texts.map(\.storable)
        (responses, sums, norms, tokens) = (wire.responses, wire.sums, wire.norms, wire.tokens)
        (token_scores, answers, probabilities) = (wire.token_scores, wire.answers?.map(\.storable), wire.probabilities)
    }
}

/// A row of `gloss.finding`.
struct RecordedFinding: Decodable {
    /// From 1.
    var image: Int
    var label: String
    var score: Float
    var token_score: Float?
    var y1, x1, y2, x2: Float?
    var codes: [Int]?
    var mask: String?
    var note: String?

    init(_ wire: WireFinding) {
        (image, label, score, token_score) = (wire.image + 1, wire.label.storable, wire.score, wire.token_score)
        (y1, x1, y2, x2) = (wire.y1, wire.x1, wire.y2, wire.x2)
        (codes, mask, note) = (wire.codes, wire.mask, wire.note)
    }

    var finding: Finding {
        var box: Box?
        if let y1, let x1, let y2, let x2 { box = Box(y1: y1, x1: x1, y2: y2, x2: x2) }
        return Finding(
            imageIndex: image - 1, label: label, score: score, tokenScore: token_score, box: box, codes: codes,
            mask: mask.map { RunLengthMask(height: 0, width: 0, counts: $0) }, note: note)
    }
}

extension String {
    /// As it can be stored: see `JSON.encode`.
    fileprivate var storable: String { contains("\0") ? replacing("\0", with: "\u{FFFD}") : self }
}
