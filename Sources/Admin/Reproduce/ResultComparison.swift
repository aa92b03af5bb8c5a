import Annotation
import Foundation
import Inference
import Storage

/// What differs, bit for bit, between a result as it is recorded and as it comes out here.
struct ResultComparison {
    /// Where a response parts from what is recorded.
    struct FirstToken: Encodable, Sendable {
        /// The response: all from 1.
        let stage, view, question, sample: Int
        /// The token's place in it, from 1.
        let token: Int
        /// As it is here; empty: the end.
        let text: String
    }

    /// A sentence each, in order; none: all is the same.
    private(set) var differences: [String] = []
    /// Of the log-probabilities, in nats; nil: none differs.
    private(set) var largestDifference: Double?
    /// The first token that is another one, or that has another log-probability; nil: not known.
    private(set) var firstToken: FirstToken?
    private let run: JobRun
    private let vocabulary: any Vocabulary

    /// - Parameters:
    ///   - recorded: what the database has.
    ///   - here: what it would have of the result that was computed here.
    ///   - run: the run that gave it, for its tokens.
    init(recorded: RecordedResult, here: RecordedResult, run: JobRun, vocabulary: any Vocabulary) {
        (self.run, self.vocabulary) = (run, vocabulary)
        if recorded.stages.count != here.stages.count { say("stages", recorded.stages.count, here.stages.count) }
        for (index, (old, new)) in zip(recorded.stages, here.stages).enumerated() {
            compare(old, new, stage: index + 1, of: recorded.stages.count)
        }
        if recorded.findings.count != here.findings.count {
            say("things found", recorded.findings.count, here.findings.count)
        }
        for (index, (old, new)) in zip(recorded.findings, here.findings).enumerated() {
            compare(old, new, "thing \(index + 1)")
        }
        if recorded.score != here.score { say("score", recorded.score, here.score) }
        if recorded.notUnderstoodCount != here.notUnderstoodCount {
            say("parts not understood", recorded.notUnderstoodCount, here.notUnderstoodCount)
        }
    }

    /// The first three differences, in one line; nil: there are none.
    var detail: String? {
        guard !differences.isEmpty else { return nil }
        let rest = differences.count - 3
        return differences.prefix(3).joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "")
    }

    // MARK: Responses

    private mutating func compare(_ old: RecordedResult.Stage, _ new: RecordedResult.Stage, stage: Int, of count: Int) {
        let prefix = count > 1 ? "stage \(stage), " : ""
        if old.prompts.count != new.prompts.count { say(prefix + "prompts", old.prompts.count, new.prompts.count) }
        for (index, (old, new)) in zip(old.prompts, new.prompts).enumerated() where !Self.same(old, new) {
            say("\(prefix)prompt \(index + 1)", old, new)
        }
        if old.responses.count != new.responses.count || old.samples != new.samples || old.questions != new.questions {
            let shapes = [old, new].map { "\($0.views) × \($0.questions) × \($0.samples)" }
            return say(prefix + "views × questions × samples", shapes[0], shapes[1])
        }
        for index in old.responses.indices {
            let (view, question, sample) = new.place(of: index)
            let parts = [
                new.views > 1 ? "view \(view + 1)" : nil, new.questions > 1 ? "question \(question + 1)" : nil,
                "response \(sample + 1)",
            ]
            let name = prefix + parts.compactMap(\.self).joined(separator: ", ")
            compare(old.responses[index], new.responses[index], name, (stage, view, question, sample))
        }
        compare(old.answers, new.answers, prefix)
    }

    private mutating func compare(
        _ old: ScoredText, _ new: ScoredText, _ name: String,
        _ place: (stage: Int, view: Int, question: Int, sample: Int)
    ) {
        let isSameText = Self.same(old.text, new.text)
        if !isSameText { say(name, old.text, new.text) }
        if old.tokenCount != new.tokenCount { say("\(name): tokens", old.tokenCount, new.tokenCount) }
        if old.finishReason != new.finishReason {
            say("\(name): it ended by", old.finishReason.rawValue, new.finishReason.rawValue)
        }
        let scores = Array(zip(old.tokenScores ?? [], new.tokenScores ?? []))
        if (old.tokenScores == nil) != (new.tokenScores == nil) {
            say("\(name): scores of tokens", old.tokenScores?.count, new.tokenScores?.count)
        }
        if old.sumLogprob != new.sumLogprob { say("\(name): log-probability", old.sumLogprob, new.sumLogprob) }
        if old.normLogprob != new.normLogprob {
            say("\(name): length-normalised log-probability", old.normLogprob, new.normLogprob)
        }
        let differing = scores.firstIndex { $0 != $1 }
        if let differing { say("\(name): score of token \(differing + 1)", scores[differing].0, scores[differing].1) }
        // Scores of two texts say nothing of each other.
        if isSameText {
            for (old, new) in scores + [(old.sumLogprob, new.sumLogprob)] where old != new {
                largestDifference = max(largestDifference ?? 0, abs(Double(old) - Double(new)))
            }
        }
        guard firstToken == nil, !isSameText || differing != nil else { return }
        let generation = run.generations(stage: place.stage, view: place.view, question: place.question)
            .first { Self.same($0.text, new.text) && Float($0.sumLogprob) == new.sumLogprob }
        guard let generation else { return }
        let index = isSameText ? differing! : parting(generation, from: old.text)
        let text = generation.tokens.indices.contains(index) ? vocabulary.decode([generation.tokens[index]]) : ""
        firstToken = FirstToken(
            stage: place.stage, view: place.view + 1, question: place.question + 1, sample: place.sample + 1,
            token: index + 1, text: text)
    }

    /// The index of the first token with which a response says something else than `text`.
    private func parting(_ generation: Generation, from text: String) -> Int {
        let bytes = Array(text.utf8)
        for count in 1...max(1, generation.tokens.count) {
            let beginning = vocabulary.decode(Array(generation.tokens.prefix(count)))
            if !bytes.starts(with: beginning.utf8) { return count - 1 }
        }
        return max(0, generation.tokens.count - 1)
    }

    private mutating func compare(_ old: [AggregatedAnswer], _ new: [AggregatedAnswer], _ prefix: String) {
        if old.count != new.count { say(prefix + "answers", old.count, new.count) }
        for (index, (old, new)) in zip(old, new).enumerated() {
            if !Self.same(old.answer, new.answer) { say("\(prefix)answer \(index + 1)", old.answer, new.answer) }
            if Float(old.probability) != Float(new.probability) {
                say("\(prefix)answer \(index + 1): probability", Float(old.probability), Float(new.probability))
            }
        }
    }

    // MARK: Things found

    private mutating func compare(_ old: Finding, _ new: Finding, _ name: String) {
        if !Self.same(old.label, new.label) { say("\(name): label", old.label, new.label) }
        if old.imageIndex != new.imageIndex { say("\(name): image", old.imageIndex + 1, new.imageIndex + 1) }
        if old.box != new.box { say("\(name): box", old.box.map(Self.edges), new.box.map(Self.edges)) }
        if old.score != new.score { say("\(name): score", old.score, new.score) }
        if old.tokenScore != new.tokenScore { say("\(name): score of the codes", old.tokenScore, new.tokenScore) }
        if old.codes != new.codes { say("\(name): codes", old.codes, new.codes) }
        if old.mask?.counts != new.mask?.counts { say("\(name): mask", old.mask?.counts, new.mask?.counts) }
        if old.note != new.note { say("\(name): note", old.note, new.note) }
    }

    private static func edges(_ box: Box) -> [Float] { [box.y1, box.x1, box.y2, box.x2] }

    // MARK: Words

    /// Strings are equal that differ in how they are composed; these are not.
    private static func same(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }

    private mutating func say<Value>(_ what: String, _ old: Value?, _ new: Value?) {
        differences.append("\(what) is \(Self.words(new)) here, \(Self.words(old)) is recorded")
    }

    private static func words<Value>(_ value: Value?) -> String {
        guard let value else { return "none" }
        guard let text = value as? String else { return "\(value)" }
        return "\"\(text.count > 60 ? text.prefix(60) + "…" : text[...])\"".singleLine
    }
}
