import Annotation
import Foundation

/// Reads a file in COCO's format and checks what the readers of such files rely on.
struct COCOVerification {
    private struct Image: Decodable {
        var id: Int
        var file_name: String
        var width: Int
        var height: Int
    }

    private struct Annotation: Decodable {
        var id: Int?
        var image_id: Int
        var category_id: Int?
        var bbox: [Double]?
        var area: Double?
        var iscrowd: Int?
        var segmentation: Segmentation?
        var caption: String?
        var score: Double?
    }

    /// Run lengths, or an empty list.
    private struct Segmentation: Decodable {
        struct RunLengths: Decodable {
            var size: [Int]
            var counts: String
        }
        var runLengths: RunLengths?

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            runLengths = try? container.decode(RunLengths.self)
            if runLengths == nil { _ = try container.decode([Double].self) }
        }
    }

    private let path: String
    private let name: String

    /// - Parameter name: how messages call the file.
    init(_ path: String, _ name: String) { (self.path, self.name) = (path, name) }

    /// - Parameters:
    ///   - images: how many there must be; nil: the file is an array of results.
    ///   - annotations: how many there must be.
    ///   - categories: how many there must be; nil: captions.
    /// - Throws: `CommandError` that names the place and the fault.
    func run(images: Int?, annotations: Int, categories: Int?, truth: COCOTruth?) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        do {
            try data.withUnsafeBytes { bytes in
                var state = State(bytes, images == nil, categories, truth)
                try state.read()
                try state.compare("images", state.imageCount, images ?? 0)
                try state.compare("annotations", state.annotationCount, annotations)
                try state.compare("categories", state.categoryCount, images == nil ? 0 : categories ?? 0)
            }
        } catch let fault as JSONScanner.Fault {
            throw CommandError(.failed, "\(name), byte \(fault.place): \(fault.problem)")
        }
    }

    private struct State {
        let bytes: UnsafeRawBufferPointer
        let isResults: Bool
        let categories: Int?
        let truth: COCOTruth?
        private let decoder = JSONDecoder()
        private var sizes: [Int: (width: Int, height: Int)] = [:]
        private(set) var annotationCount = 0, categoryCount = 0
        private var place = 0

        var imageCount: Int { sizes.count }

        init(_ bytes: UnsafeRawBufferPointer, _ isResults: Bool, _ categories: Int?, _ truth: COCOTruth?) {
            (self.bytes, self.isResults, self.categories, self.truth) = (bytes, isResults, categories, truth)
        }

        mutating func read() throws {
            var scanner = JSONScanner(bytes)
            if isResults {
                try scanner.eachElement { try annotation(at: $0) }
                return
            }
            try scanner.eachMember { name, scanner in
                switch name {
                case "images": try scanner.eachElement { try image(at: $0) }
                case "annotations": try scanner.eachElement { try annotation(at: $0) }
                case "categories":
                    try scanner.eachElement { range in
                        place = range.lowerBound
                        let category: COCOTruth.Category = try decoded(range)
                        categoryCount += 1
                        try require(category.id == categoryCount, "the category's id is not \(categoryCount)")
                    }
                default: try scanner.skipValue()
                }
            }
        }

        private mutating func image(at range: Range<Int>) throws {
            place = range.lowerBound
            let image: Image = try decoded(range)
            try require(image.id > 0 && image.width > 0 && image.height > 0, "an image without an id or a size")
            try require(!image.file_name.isEmpty, "an image without a file name")
            let old = sizes.updateValue((image.width, image.height), forKey: image.id)
            try require(old == nil, "the image \(image.id) is there twice")
        }

        private mutating func annotation(at range: Range<Int>) throws {
            place = range.lowerBound
            let one: Annotation = try decoded(range)
            annotationCount += 1
            let size = sizes[one.image_id]
            if !isResults {
                try require(one.id == annotationCount, "the annotation's id is not \(annotationCount)")
                try require(size != nil, "there is no image \(one.image_id)")
            }
            guard let categories else { return try require(one.caption != nil, "a caption is missing") }
            let isKnown =
                truth.map { $0.categories.contains { $0.id == one.category_id } }
                ?? (1...max(1, categories)).contains(one.category_id ?? 0)
            try require(isKnown, "there is no category \(one.category_id ?? 0)")
            try require(one.score != nil, "the score is missing")
            if !isResults { try require(one.iscrowd == 0 && (one.area ?? 0) > 0, "iscrowd 0 or an area is missing") }
            if let runs = one.segmentation?.runLengths { try check(runs, one, size) }
            guard let box = one.bbox else {
                return try require(one.segmentation?.runLengths != nil, "there is neither a box nor a mask")
            }
            try require(box.count == 4 && box[2] > 0 && box[3] > 0 && box[0] >= 0 && box[1] >= 0, "the box has no area")
            if let size {
                let (right, bottom) = (box[0] + box[2], box[1] + box[3])
                let isWithin = right < Double(size.width) + 0.005 && bottom < Double(size.height) + 0.005
                try require(isWithin, "the box is not within the image")
            }
        }

        private func check(
            _ runs: Segmentation.RunLengths, _ one: Annotation, _ size: (width: Int, height: Int)?
        ) throws {
            try require(runs.size.count == 2, "the mask has no size")
            let mask = RunLengthMask(height: runs.size[0], width: runs.size[1], counts: runs.counts)
            try require(mask.area != nil, "the mask's run lengths are not those of its size")
            if let size { try require((mask.width, mask.height) == size, "the mask has another size than the image") }
            if !isResults, let area = mask.area { try require(one.area == Double(area), "the area is not the mask's") }
        }

        private func decoded<Value: Decodable>(_ range: Range<Int>) throws -> Value {
            guard let value = try? decoder.decode(Value.self, from: Data(bytes[range])) else {
                throw JSONScanner.Fault(place: range.lowerBound, problem: "an entry cannot be read")
            }
            return value
        }

        private func require(_ holds: Bool, _ problem: @autoclosure () -> String) throws {
            guard holds else { throw JSONScanner.Fault(place: place, problem: problem()) }
        }

        func compare(_ what: String, _ count: Int, _ expected: Int) throws {
            guard count == expected else {
                throw JSONScanner.Fault(place: bytes.count, problem: "there are \(count) \(what), not \(expected)")
            }
        }
    }
}
