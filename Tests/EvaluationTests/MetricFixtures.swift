import Evaluation
import Foundation

/// Items, and what the official tools say of them: written by reference/check_metrics.py.
struct MetricFixture: Decodable {
    struct Item: Decodable {
        var key: String
        var text: String?
        var answers: [String]
        var answerType: String?
        var questionType: String?
        var group: String?

        enum CodingKeys: String, CodingKey {
            case key, text, answers, group
            case answerType = "answer_type"
            case questionType = "question_type"
        }

        var evaluated: EvaluatedItem {
            EvaluatedItem(
                key: key, text: text, answers: answers, answerType: answerType, questionType: questionType,
                group: group)
        }
    }

    var metric: String
    var items: [Item]
    var scores: [Double?]
    var figures: [String: Double?]

    static func all() throws -> [MetricFixture] { try rows("cases.jsonl") }

    /// The rows of a file of Tests/Fixtures/metrics.
    static func rows<Row: Decodable>(_ name: String) throws -> [Row] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try rows(folder.appending(path: "Fixtures/metrics/\(name)"))
    }

    static func rows<Row: Decodable>(_ file: URL) throws -> [Row] {
        try Data(contentsOf: file).split(separator: UInt8(ascii: "\n"))
            .map { try JSONDecoder().decode(Row.self, from: Data($0)) }
    }
}
