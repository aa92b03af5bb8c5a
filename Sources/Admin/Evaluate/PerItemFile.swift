import Evaluation
import Foundation

/// A file of an evaluation's items, a row each, written beside its place and renamed into it at the end.
struct PerItemFile {
    private let path: String
    private let file: OutputFile
    private let isArray: Bool

    private var beside: String { "\(path).\(ProcessInfo.processInfo.processIdentifier).part" }

    /// - Parameter isArray: whether the rows are those of one JSON array; else they are JSONL.
    init(_ path: String, isArray: Bool = false) throws(CommandError) {
        self.path = path
        self.isArray = isArray
        file = try OutputFile(path == "-" ? nil : "\(path).\(ProcessInfo.processInfo.processIdentifier).part")
    }

    /// Writes rows and puts the file in its place.
    func write(_ rows: (_ add: (any Encodable) throws -> Void) throws -> Void) throws {
        var isFirst = true
        try rows { row in
            let before = isArray ? isFirst ? "[\n" : ",\n" : ""
            isFirst = false
            try file.write(before + (try JSONText.encode(row)) + (isArray ? "" : "\n"))
        }
        if isArray { try file.write(isFirst ? "[]\n" : "\n]\n") }
        try file.close()
        guard path != "-", rename(beside, path) != 0 else { return }
        throw CommandError(.failed, "\(path) cannot be written: \(String(cString: strerror(errno)))")
    }

    /// Leaves nothing behind: what failed has no file.
    func discard() { if path != "-" { unlink(beside) } }
}

extension Evaluate {
    /// Opens the files of `--per-item` and `--write-coco`: that one cannot be written is known before anything is computed. If the
    /// evaluation fails, they leave nothing behind.
    func withFiles<Answer>(_ body: (_ perItem: PerItemFile?, _ coco: PerItemFile?) async throws -> Answer) async throws
        -> Answer
    {
        let items = try perItem.map { path throws(CommandError) in try PerItemFile(path) }
        do {
            let coco = try writeCoco.map { path throws(CommandError) in try PerItemFile(path, isArray: true) }
            do { return try await body(items, coco) } catch {
                coco?.discard()
                throw error
            }
        } catch {
            items?.discard()
            throw error
        }
    }
}

/// An item of an evaluation of texts.
struct TextItem: Encodable {
    struct Other: Encodable {
        let prediction: String?
        let score: Double?
        let finishReason: String?

        enum CodingKeys: String, CodingKey {
            case prediction, score
            case finishReason = "finish_reason"
        }
    }

    let key: String
    let prediction: String?
    let labels: [String]
    let score: Double?
    let probability: Double?
    let finishReason: String?
    let seed: String?
    let group: String?
    let against: Other?

    enum CodingKeys: String, CodingKey {
        case key, prediction, labels, score, probability, seed, group, against
        case finishReason = "finish_reason"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(key, forKey: .key)
        try container.encode(prediction, forKey: .prediction)
        try container.encode(labels, forKey: .labels)
        try container.encode(score, forKey: .score)
        try container.encodeIfPresent(probability, forKey: .probability)
        try container.encode(finishReason, forKey: .finishReason)
        try container.encodeIfPresent(seed.flatMap { UInt64($0) }, forKey: .seed)
        try container.encodeIfPresent(group, forKey: .group)
        try container.encodeIfPresent(against, forKey: .against)
    }
}

extension TextEvaluation {
    /// Writes a row an item, in the labels' order.
    func write(
        _ file: PerItemFile, _ results: TextResults, _ scores: MetricScores,
        against other: (results: TextResults, scores: MetricScores)?
    ) throws {
        try file.write { add in
            for (item, label) in items.enumerated() {
                let against = other.map {
                    TextItem.Other(
                        prediction: $0.results.text(label), score: $0.scores.items[item],
                        finishReason: $0.results.finishReason(label))
                }
                try add(
                    TextItem(
                        key: labels.key(label), prediction: results.text(label), labels: labels.answers(label),
                        score: scores.items[item], probability: results.probability(label),
                        finishReason: results.finishReason(label), seed: results.seed(label),
                        group: labels.groups[label],
                        against: against))
            }
        }
    }
}
