import Annotation
import Foundation

/// The answer that a person makes of a result: what `gloss.review` holds.
struct ReviewAnswer: Encodable, Equatable {
    var text: String?
    var answer: String?
    var boxes: [Box]?

    /// A box; its edges are y1, x1, y2, x2 in fractions of the image.
    struct Box: Encodable, Equatable {
        var label: String
        /// From 1; nil: the first one.
        var image: Int?
        var box: [Double]
        var mask: Mask?
    }

    /// COCO's run lengths.
    struct Mask: Encodable, Equatable {
        /// Height and width.
        var size: [Int]
        var counts: String
    }

    /// Digits of an edge in the form: a pixel of a picture that is 10,000 wide.
    private static let digits = 4

    /// An edge as the form has it.
    static func shown(_ edge: Double) -> String { Formats.fixed(edge, digits) }

    /// What the form has made of a result. What it leaves as it was stays exactly so; a box that is moved loses its mask.
    /// - Throws: `BadField`, which names the box.
    init(_ form: URLQuery, of row: ResultRow) throws {
        switch row.presentation {
        case .text, .answer: text = try Self.text(form)
        case .distribution: answer = try Self.text(form)
        case .boxes: boxes = try Self.boxes(form, row)
        }
    }

    /// As `gloss.record_review` takes it.
    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    private static func text(_ form: URLQuery) throws -> String {
        // A form writes an end of a line as two characters.
        guard let text = form.all("text").first?.replacing("\r\n", with: "\n") else {
            throw BadField(message: "The form has no text.")
        }
        return text
    }

    private static func boxes(_ form: URLQuery, _ row: ResultRow) throws -> [Box] {
        let names = form.all("box")
        let columns = ["image", "box-label", "y1", "x1", "y2", "x2"].map { form.all($0) }
        guard columns.allSatisfy({ $0.count == names.count }) else {
            throw BadField(message: "The form's boxes are not whole.")
        }
        let gone = Set(form.all("gone"))
        let found = Dictionary(row.findings.map { ("\($0.n)", $0) }) { first, _ in first }
        return try names.indices.filter { !gone.contains(names[$0]) }.map { place in
            let values = columns.map { $0[place] }
            guard let image = Int(values[0]) else { throw BadField(message: "Box \(place + 1) names no image.") }
            var edges = try values[2...].map { try edge($0, place + 1) }
            var mask: Mask?
            if let before = found[names[place]], let y1 = before.y1, let x1 = before.x1, let y2 = before.y2,
                let x2 = before.x2, [y1, x1, y2, x2].map({ Double(shown($0)) }) == edges
            {
                edges = [y1, x1, y2, x2]
                mask = before.runLengths.map { Mask(size: [$0.height, $0.width], counts: $0.counts) }
            }
            guard edges[0] >= 0, edges[0] < edges[2], edges[2] <= 1, edges[1] >= 0, edges[1] < edges[3], edges[3] <= 1
            else {
                throw BadField(
                    message:
                        "Box \(place + 1): its top is above its bottom, its left before its right, all from 0 to 1.")
            }
            return Box(label: values[1], image: image == 1 ? nil : image, box: edges, mask: mask)
        }
    }

    private static func edge(_ text: String, _ number: Int) throws -> Double {
        guard let edge = Double(text), edge.isFinite else {
            throw BadField(
                message: "Box \(number): an edge is a number such as 0.25, not \"\(text.shortened(to: 60))\".")
        }
        return edge
    }
}
