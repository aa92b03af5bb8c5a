import Annotation
import Evaluation
import Storage

/// What a model found in the images of a ground truth.
struct Detections {
    let truth: COCOTruthFile
    let areMasks: Bool
    private var names: CategoryNames
    private(set) var found: [COCODetection] = []
    /// The label of each, as the model wrote it.
    private(set) var labels: [String] = []
    /// The job or the line that gave an image its result, by the image's place.
    private var owners: [Int64?]
    /// Results of each engine.
    private(set) var engines: [Int64: Int] = [:]
    private(set) var withoutKey = 0, withoutImage = 0, truncated = 0, withoutMask = 0, otherSize = 0, notUnderstood = 0
    private(set) var strayKey: String?
    private var stray: Int64?

    init(_ truth: COCOTruthFile, areMasks: Bool, map: String?) throws {
        self.truth = truth
        self.areMasks = areMasks
        names = try CategoryNames(truth.categories, map: map)
        owners = Array(repeating: nil, count: truth.images.count)
    }

    /// Labels without a category, and how often each was found.
    var outside: [String: Int] { names.outside }

    func has(_ place: Int) -> Bool { owners[place] != nil }

    var count: Int { owners.count { $0 != nil } }

    /// Adds a row of the database.
    /// - Throws: `CommandError` if the image has the result of another job.
    mutating func add(_ row: ResultFinding) throws {
        guard let place = try claim(row.key, for: row.job, engine: row.engine, row) else { return }
        guard let finding = row.finding else { return }
        let image = truth.images[place]
        guard let box = finding.box else { return }
        var mask: MaskRuns?
        if areMasks { mask = finding.mask.flatMap { MaskRuns($0) } }
        let (width, height) = (Double(image.width), Double(image.height))
        let pixels = COCOBox(
            x: Double(box.x1) * width, y: Double(box.y1) * height, width: (Double(box.x2) - Double(box.x1)) * width,
            height: (Double(box.y2) - Double(box.y1)) * height)
        add(finding.label, category: names.id(of: finding.label), Double(finding.score), pixels, mask, image)
    }

    /// Adds the boxes of a line of a file. Lines of one key belong together.
    mutating func add(_ key: String, _ boxes: [ResultFile.FoundBox]) throws {
        guard let place = truth.keys.value(of: key) else {
            withoutImage += 1
            strayKey = strayKey ?? key
            return
        }
        owners[place] = 0
        let image = truth.images[place]
        for box in boxes {
            let pixels =
                box.pixels
                ?? box.box.map {
                    COCOBox(
                        x: Double($0.x1) * Double(image.width), y: Double($0.y1) * Double(image.height),
                        width: Double($0.x2 - $0.x1) * Double(image.width),
                        height: Double($0.y2 - $0.y1) * Double(image.height))
                }
            add(box.label, category: names.id(of: box.label), box.score, pixels, box.mask, image)
        }
    }

    /// Adds COCO's own results: `[{image_id, category_id, bbox or segmentation, score}]`.
    mutating func add(results rows: [JSONNode], _ file: RowFile) throws {
        for row in rows {
            guard let row = row.object else {
                throw CommandError(.badData, "\(file.name) holds \(row.kind), not objects alone")
            }
            guard let id = row["image_id"]?.int, let category = row["category_id"]?.int,
                let score = row["score"]?.double
            else {
                throw file.problem(
                    row.line, "a result needs image_id, category_id and score, numbers; it has \(LabelReader.list(row))"
                )
            }
            guard let place = truth.places[id] else {
                throw file.problem(row.line, "image \(id) is not in the ground truth")
            }
            guard let name = truth.categories[category] else {
                throw file.problem(row.line, "category \(category) is not in the ground truth")
            }
            owners[place] = 0
            let mask = areMasks ? COCOTruthFile.mask(row["segmentation"], truth.images[place]) : nil
            let box = COCOTruthFile.box(row["bbox"])
            guard areMasks ? mask != nil : box != nil else {
                throw file.problem(
                    row.line,
                    areMasks ? "no segmentation that is run lengths of its image's size" : "no bbox of four numbers")
            }
            add(name, category: category, score, box, mask, truth.images[place])
        }
    }

    private mutating func add(
        _ label: String, category: Int?, _ score: Double, _ box: COCOBox?, _ mask: MaskRuns?, _ image: COCOImage
    ) {
        guard let category else { return }
        let region: COCORegion
        if areMasks {
            guard let mask else {
                withoutMask += 1
                return
            }
            if mask.width != image.width || mask.height != image.height { otherSize += 1 }
            region = .mask(mask)
        } else {
            guard let box else { return }
            region = .box(box)
        }
        found.append(COCODetection(image: image.id, category: category, score: score, region: region))
        labels.append(label)
    }

    /// The image's place, if its result is that of this job.
    private mutating func claim(_ key: String?, for job: Int64, engine: Int64, _ row: ResultFinding) throws -> Int? {
        guard let key, let place = truth.keys.value(of: key) else {
            if stray != job {
                if key == nil { withoutKey += 1 } else { withoutImage += 1 }
                strayKey = strayKey ?? key
            }
            stray = job
            return nil
        }
        if owners[place] == job { return place }
        guard owners[place] == nil else {
            throw CommandError(
                .failed, "the image \"\(key)\" has two results: choose one with --task, --batch or --model")
        }
        owners[place] = job
        engines[engine, default: 0] += 1
        if row.finishReason != .eos { truncated += 1 }
        if row.notUnderstood > 0 { notUnderstood += 1 }
        return place
    }
}
