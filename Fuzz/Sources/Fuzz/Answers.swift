import Annotation
import Foundation

@testable import Inference

/// What the model responds: boxes out of tokens, and a distribution out of texts.
enum Answers {
    private static let parser = DetectionParser(ModelVocabulary(Texts.shapes))

    @Sendable static func run(_ bytes: [UInt8]) {
        boxes(bytes)
        distribution(String(decoding: bytes, as: UTF8.self))
    }

    /// Two bytes a token; the odd ones also give log-probabilities.
    private static func boxes(_ bytes: [UInt8]) {
        let pairs = stride(from: 0, to: bytes.count - 1, by: 2).map { (Int(bytes[$0]), Int(bytes[$0 + 1])) }
        let response = Generation(
            text: "", tokens: pairs.map { ($0 << 8 | $1) % (Texts.shapes.pieceCount + 3) },
            logProbabilities: pairs.map { -Double($1) / 16 }, finishReason: bytes.count % 2 == 0 ? .eos : .length,
            prefixTokenCount: 0)
        for found in parser.parse(response).findings {
            precondition((0...1).contains(found.score))
            precondition(found.codes?.count ?? 16 == 16)
            guard let box = found.box else { preconditionFailure("a detection without a box") }
            precondition(0 <= box.y1 && box.y1 < box.y2 && box.y2 <= 1)
            precondition(0 <= box.x1 && box.x1 < box.x2 && box.x2 <= 1)
        }
    }

    /// A line a response, a blank line between queries.
    private static func distribution(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        for line in lines {
            let canonical = ScoreAgg.canonical(String(line))
            precondition(ScoreAgg.canonical(canonical) == canonical, canonical)
        }
        let queries = lines.split(separator: "").map { query in
            query.map { ScoreAgg.Response(text: String($0), score: -Double($0.utf8.count) / 3) }
        }
        let answers = ScoreAgg.aggregate(queries)
        precondition(answers.isEmpty || abs(answers.reduce(0) { $0 + $1.probability } - 1) < 1e-9)
    }
}
