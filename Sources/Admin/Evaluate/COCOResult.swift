import Annotation
import Evaluation

/// A row of COCO's results, as the official tools' `loadRes` reads them. A mask has no box beside it: `loadRes` would take its area
/// from the box.
struct COCOResult: Encodable {
    /// A number, as COCO has them, or a name.
    enum ImageID: Encodable {
        case number(Int)
        case name(String)

        init(_ name: String) {
            let number = Int(name)
            self = if let number, String(number) == name { .number(number) } else { .name(name) }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .name(let name): try container.encode(name)
            }
        }
    }

    struct Mask: Encodable {
        let size: [Int]
        let counts: String
    }

    let image_id: ImageID
    var caption: String?
    var category_id: Int?
    var bbox: [Double]?
    var segmentation: Mask?
    var score: Double?
}

extension COCOResult {
    init(_ found: COCODetection) {
        image_id = .number(found.image)
        category_id = found.category
        score = found.score
        switch found.region {
        case .box(let box): bbox = [box.x, box.y, box.width, box.height]
        case .mask(let mask):
            let encoded = mask.encoded
            segmentation = Mask(size: [encoded.height, encoded.width], counts: encoded.counts)
        }
    }
}

extension Detections {
    /// Writes what was found, in the order in which it is scored.
    func write(coco file: PerItemFile) throws {
        try file.write { add in for one in found { try add(COCOResult(one)) } }
    }
}

extension TextEvaluation {
    /// Writes the captions that are scored, by the images' ids where the labels have some, else by their keys.
    func write(coco file: PerItemFile, _ results: TextResults) throws {
        try file.write { add in
            for label in items {
                guard let text = results.text(label) else { continue }
                try add(
                    COCOResult(image_id: COCOResult.ImageID(labels.images[label] ?? labels.key(label)), caption: text))
            }
        }
    }
}
