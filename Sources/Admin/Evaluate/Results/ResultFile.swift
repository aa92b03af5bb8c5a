import Annotation
import Evaluation
import Foundation
import Storage

/// Results in a file of the user's: what `glossctl results` writes, or rows of one's own.
struct ResultFile {
    let file: RowFile

    /// A text of a row.
    struct FoundText {
        /// The user's key; nil: it has none.
        var key: String?
        var text: String
        var finishReason: FinishReason
        var probability: Double?
        var seed: String?
        var distribution: [AggregatedAnswer]
    }

    /// A box of a row.
    struct FoundBox {
        var label: String
        var score: Double
        /// Fractions of the image; nil: the row has pixels.
        var box: Box?
        /// Pixels; nil: the row has fractions.
        var pixels: COCOBox?
        var mask: MaskRuns?
    }

    /// Hands over texts, one by one.
    func forEachText(_ body: (_ result: FoundText, _ line: Int) throws -> Void) throws {
        try forEachRow { row in
            guard let (name, value) = row.first(of: ["text", "answer", "caption"]) else {
                throw file.problem(
                    row.line, "no \"text\" (nor \"answer\", \"caption\"); it has \(LabelReader.list(row))")
            }
            guard let text = value.text else {
                throw file.problem(row.line, "\"\(name)\" must be a text, not \(value.kind)")
            }
            let shares = try row["distribution"]?.array?.map { node in
                guard let share = node.object, let answer = share["answer"]?.text, let p = share["p"]?.double else {
                    throw file.problem(row.line, "\"distribution\" must be an array of {\"answer\", \"p\"}")
                }
                return AggregatedAnswer(answer: answer, probability: p)
            }
            let score = row["score"]?.double.flatMap { 0...1 ~= $0 ? $0 : nil }
            try body(
                FoundText(
                    key: try key(row), text: text,
                    finishReason: row["finish_reason"]?.text.flatMap(FinishReason.init) ?? .eos,
                    probability: row["probability"]?.double ?? row["sum_logprob"]?.double.map(Self.probability)
                        ?? score,
                    seed: row["seed"]?.name, distribution: shares ?? []), row.line)
        }
    }

    /// Hands over the boxes of each row: of a row with `boxes`, or of one that is a box itself.
    func forEachFound(_ body: (_ key: String, _ boxes: [FoundBox], _ line: Int) throws -> Void) throws {
        try forEachRow { row in
            let nodes: [JSONFields]
            if let boxes = row["boxes"] {
                guard let array = boxes.array, array.allSatisfy({ $0.object != nil }) else {
                    throw file.problem(row.line, "\"boxes\" must be an array of objects")
                }
                nodes = array.compactMap(\.object)
            } else {
                nodes = row["label"] != nil || row["box"] != nil || row["bbox"] != nil ? [row] : []
            }
            let boxes = try nodes.map { try box($0, row.line) }
            guard let key = try key(row) else { throw file.problem(row.line, "no \"key\"") }
            try body(key, boxes, row.line)
        }
    }

    private func forEachRow(_ body: (JSONFields) throws -> Void) throws {
        guard let document = try file.document() else { return try file.forEachRow(body) }
        guard let rows = document.array else { throw CommandError(.badData, "\(file.name) has no rows of results") }
        for row in rows {
            guard let row = row.object else {
                throw CommandError(.badData, "\(file.name) holds \(row.kind), not objects alone")
            }
            try body(row)
        }
    }

    private func key(_ row: JSONFields) throws -> String? {
        guard let (name, value) = row.first(of: ["key", "question_id", "image_id"]) else { return nil }
        guard let key = value.name else {
            throw file.problem(row.line, "\"\(name)\" must be a text, not \(value.kind)")
        }
        return key
    }

    /// `{"label", "score", "box": [y1, x1, y2, x2]}` in fractions, or `"bbox": [x, y, w, h]` in pixels, or `y1` … `x2`.
    private func box(_ row: JSONFields, _ line: Int) throws -> FoundBox {
        let label = row["label"]?.text ?? ""
        var found = FoundBox(label: label, score: 1)
        if let score = row["score"] {
            guard let score = score.double else {
                throw file.problem(line, "\"score\" must be a number, not \(score.kind)")
            }
            found.score = score
        }
        if let edges = row["box"]?.doubles ?? Self.edges(row) {
            guard edges.count == 4 else { throw file.problem(line, "\"box\" must be four numbers: y1, x1, y2, x2") }
            found.box = Box(y1: Float(edges[0]), x1: Float(edges[1]), y2: Float(edges[2]), x2: Float(edges[3]))
        } else if let node = row["bbox"] {
            guard let box = COCOTruthFile.box(node) else {
                throw file.problem(line, "\"bbox\" must be four numbers: x, y, width, height")
            }
            found.pixels = box
        }
        if let node = row["mask"] ?? row["segmentation"] {
            if node.isNull { return found }
            guard let mask = COCOTruthFile.runs(node) else {
                throw file.problem(line, "\"mask\" must be run lengths: {\"size\": [height, width], \"counts\": …}")
            }
            found.mask = mask
        }
        return found
    }

    private static func edges(_ row: JSONFields) -> [Double]? {
        let edges = ["y1", "x1", "y2", "x2"].compactMap { row[$0]?.double }
        return edges.count == 4 ? edges : nil
    }

    private static func probability(_ logarithm: Double) -> Double { exp(logarithm) }
}
