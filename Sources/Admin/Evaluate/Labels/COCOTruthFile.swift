import Annotation
import Evaluation

/// An image of a ground truth.
struct COCOImage {
    let id: Int
    let fileName: String?
    let width: Int
    let height: Int

    /// A file's name without folder and ending.
    static func stem(_ name: String) -> String {
        let file = name.split(separator: "/").last.map(String.init) ?? name
        guard let dot = file.lastIndex(of: "."), dot > file.startIndex else { return file }
        return String(file[..<dot])
    }
}

/// A ground truth in COCO's format.
struct COCOTruthFile {
    private(set) var images: [COCOImage] = []
    /// The place of an image, by its file's name, its name without folder and ending, or its id.
    private(set) var keys = TextIndex()
    private(set) var places: [Int: Int] = [:]
    /// Names by id.
    private(set) var categories: [Int: String] = [:]
    private(set) var truths: [COCOTruth] = []
    /// Whether an annotation has the id 0, which pycocotools never finds.
    var hasZero: Bool { truths.contains { $0.id == 0 } }

    private let file: RowFile

    /// - Parameter areMasks: whether masks are compared; else boxes.
    /// - Throws: `CommandError` that names the file, the line and the reason.
    init(_ file: RowFile, areMasks: Bool) throws {
        self.file = file
        guard let root = try file.document()?.object else {
            throw CommandError(
                .badData,
                "\(file.name) is no ground truth of COCO: a JSON object with images, annotations and categories")
        }
        for image in try objects(root, "images") { try add(image: image) }
        for category in try objects(root, "categories") {
            let id = try int(category, "id", "category")
            guard let name = category["name"]?.text else {
                throw file.problem(category.line, "category \(id) has no name")
            }
            guard categories.updateValue(name, forKey: id) == nil else {
                throw file.problem(category.line, "the category's id \(id) is there twice")
            }
        }
        guard !images.isEmpty else { throw CommandError(.badData, "\(file.name): \"images\" is empty") }
        guard !categories.isEmpty else { throw CommandError(.badData, "\(file.name): \"categories\" is empty") }
        var ids: Set<Int> = []
        for annotation in try objects(root, "annotations") {
            let truth = try self.truth(annotation, areMasks: areMasks)
            guard ids.insert(truth.id).inserted else {
                throw file.problem(annotation.line, "the annotation's id \(truth.id) is there twice")
            }
            truths.append(truth)
        }
        // In the order of how exactly they name an image.
        for (place, image) in images.enumerated() where image.fileName != nil {
            keys.add(image.fileName ?? "", for: place)
        }
        for (place, image) in images.enumerated() { keys.add("\(image.id)", for: place) }
        for (place, image) in images.enumerated() {
            if let name = image.fileName { keys.add(COCOImage.stem(name), for: place) }
        }
    }

    private func objects(_ root: JSONFields, _ name: String) throws -> [JSONFields] {
        guard let value = root[name] else { throw CommandError(.badData, "\(file.name) has no \"\(name)\"") }
        guard let array = value.array else {
            throw CommandError(.badData, "\(file.name): \"\(name)\" is \(value.kind), not an array")
        }
        return try array.map { node in
            guard let object = node.object else {
                throw CommandError(.badData, "\(file.name): \"\(name)\" holds \(node.kind), not objects alone")
            }
            return object
        }
    }

    private mutating func add(image: JSONFields) throws {
        let id = try int(image, "id", "image")
        let (width, height) = (try int(image, "width", "image \(id)"), try int(image, "height", "image \(id)"))
        guard places.updateValue(images.count, forKey: id) == nil else {
            throw file.problem(image.line, "the image's id \(id) is there twice")
        }
        guard width > 0, height > 0 else {
            throw file.problem(image.line, "image \(id) has the size \(width) × \(height)")
        }
        images.append(COCOImage(id: id, fileName: image["file_name"]?.text, width: width, height: height))
    }

    private func truth(_ annotation: JSONFields, areMasks: Bool) throws -> COCOTruth {
        let id = try int(annotation, "id", "annotation")
        let what = "annotation \(id)"
        let (image, category) = (try int(annotation, "image_id", what), try int(annotation, "category_id", what))
        guard let place = places[image] else {
            throw file.problem(annotation.line, "\(what) is of image \(image), which is not in \"images\"")
        }
        guard categories[category] != nil else {
            throw file.problem(annotation.line, "\(what) is of category \(category), which is not in \"categories\"")
        }
        guard let area = annotation["area"]?.double else {
            throw file.problem(annotation.line, "\(what) has no area, by which it is small, medium or large")
        }
        let isCrowd = try annotation["iscrowd"].map { node in
            if case .bool(let truth) = node { return truth }
            guard let number = node.int, 0...1 ~= number else {
                throw file.problem(annotation.line, "\(what): iscrowd must be 0 or 1")
            }
            return number == 1
        }
        let region: COCORegion
        if areMasks {
            guard let mask = Self.mask(annotation["segmentation"], images[place]) else {
                throw file.problem(
                    annotation.line, "\(what) has no segmentation that is polygons or run lengths of its image's size")
            }
            region = .mask(mask)
        } else {
            guard let box = Self.box(annotation["bbox"]) else {
                throw file.problem(annotation.line, "\(what) has no bbox of four numbers: x, y, width, height")
            }
            region = .box(box)
        }
        return COCOTruth(
            image: image, category: category, id: id, region: region, area: area, isCrowd: isCrowd ?? false)
    }

    private func int(_ object: JSONFields, _ name: String, _ what: String) throws -> Int {
        guard let value = object[name] else { throw file.problem(object.line, "\(what) has no \(name)") }
        guard let number = value.int else {
            throw file.problem(object.line, "\(what): \(name) must be a whole number, not \(value.kind)")
        }
        return number
    }

    /// `[x, y, width, height]`; nil: it is none.
    static func box(_ node: JSONNode?) -> COCOBox? {
        guard let edges = node?.doubles, edges.count == 4 else { return nil }
        return COCOBox(x: edges[0], y: edges[1], width: edges[2], height: edges[3])
    }

    /// Polygons, or run lengths as numbers or characters; nil: it is none, or of another size.
    static func mask(_ node: JSONNode?, _ image: COCOImage) -> MaskRuns? {
        guard let node else { return nil }
        if let polygons = node.array {
            let corners = polygons.compactMap(\.doubles)
            guard corners.count == polygons.count else { return nil }
            return MaskRuns(polygons: corners, height: image.height, width: image.width)
        }
        guard let mask = runs(node), mask.height == image.height, mask.width == image.width else { return nil }
        return mask
    }

    /// `{"size": [height, width], "counts": …}`; nil: it is none.
    static func runs(_ node: JSONNode?) -> MaskRuns? {
        guard let fields = node?.object, let size = fields["size"]?.array?.compactMap(\.int), size.count == 2 else {
            return nil
        }
        if let counts = fields["counts"]?.text {
            return MaskRuns(RunLengthMask(height: size[0], width: size[1], counts: counts))
        }
        guard let runs = fields["counts"]?.array?.map(\.int), !runs.contains(nil) else { return nil }
        return MaskRuns(height: size[0], width: size[1], runs: runs.compactMap { $0 })
    }
}
