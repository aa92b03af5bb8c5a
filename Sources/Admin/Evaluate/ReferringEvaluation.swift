import Annotation
import Evaluation
import Storage

/// Labels of referring expressions: a box and a mask a key.
struct ReferringLabels {
    struct Label {
        let key: String
        /// Fractions of the image.
        let box: COCOBox?
        let mask: MaskRuns?
        let image: String
        let line: Int
    }

    private(set) var labels: [Label] = []
    private(set) var keys = TextIndex()

    /// - Throws: `CommandError` that names the file, the line and the reason.
    init(_ file: RowFile) throws {
        if let document = try file.document() {
            guard let rows = document.array ?? document.object?["annotations"]?.array else {
                throw CommandError(.badData, "\(file.name) has no rows of labels")
            }
            for row in rows {
                guard let row = row.object else {
                    throw CommandError(.badData, "\(file.name) holds \(row.kind), not objects alone")
                }
                try add(row, file)
            }
        } else {
            try file.forEachRow { try add($0, file) }
        }
        guard !labels.isEmpty else { throw CommandError(.badData, "\(file.name) is empty: it has no labels") }
    }

    private mutating func add(_ row: JSONFields, _ file: RowFile) throws {
        guard let key = row["key"]?.name else {
            throw file.problem(row.line, "no \"key\" that is a text; it has \(LabelReader.list(row))")
        }
        let size: (width: Int, height: Int)? =
            if let width = row["width"]?.int, let height = row["height"]?.int, width > 0, height > 0 {
                (width, height)
            } else { nil }
        var box: COCOBox?
        if let node = row["box"] {
            guard let edges = node.doubles, edges.count == 4 else {
                throw file.problem(row.line, "\"box\" must be four fractions: y1, x1, y2, x2")
            }
            box = COCOBox(x: edges[1], y: edges[0], width: edges[3] - edges[1], height: edges[2] - edges[0])
        } else if let node = row["bbox"] {
            guard let pixels = COCOTruthFile.box(node), let size else {
                throw file.problem(
                    row.line,
                    "\"bbox\" must be x, y, width, height, with the image's \"width\" and \"height\" beside it")
            }
            let (width, height) = (Double(size.width), Double(size.height))
            box = COCOBox(
                x: pixels.x / width, y: pixels.y / height, width: pixels.width / width, height: pixels.height / height)
        }
        var mask: MaskRuns?
        if let node = row["mask"] ?? row["segmentation"] {
            let image = size.map { COCOImage(id: 0, fileName: nil, width: $0.width, height: $0.height) }
            mask = image.flatMap { COCOTruthFile.mask(node, $0) } ?? COCOTruthFile.runs(node)
            guard mask != nil else {
                throw file.problem(
                    row.line, "\"mask\" must be run lengths, or polygons with \"width\" and \"height\" beside them")
            }
        }
        guard box != nil || mask != nil else { throw file.problem(row.line, "neither \"box\", \"bbox\" nor \"mask\"") }
        guard keys.add(key, for: labels.count) else {
            let other = keys.value(of: key).map { labels[$0].line } ?? 0
            throw file.problem(row.line, "the key \"\(key)\" is that of \(file.noun) \(other) already")
        }
        labels.append(
            Label(key: key, box: box, mask: mask, image: (row["image"] ?? row["image_id"])?.name ?? key, line: row.line)
        )
    }
}

/// The first box of each expression, as a model gave it.
struct ReferringResults {
    struct Found {
        var box: COCOBox?
        var mask: MaskRuns?
    }

    /// By label; nil: there is no result.
    private(set) var found: [Found?]
    private var owners: [Int64?]
    private(set) var engines: [Int64: Int] = [:]
    private(set) var withoutKey = 0, withoutLabel = 0, unparsable = 0, truncated = 0
    private(set) var strayKey: String?

    init(labelCount: Int) {
        found = Array(repeating: nil, count: labelCount)
        owners = Array(repeating: nil, count: labelCount)
    }

    var count: Int { found.count { $0 != nil } }

    /// Adds a row of the database; the first one of a job counts.
    mutating func add(_ row: ResultFinding, _ labels: ReferringLabels) throws {
        guard let key = row.key else {
            withoutKey += 1
            return
        }
        guard let label = labels.keys.value(of: key) else {
            withoutLabel += 1
            strayKey = strayKey ?? key
            return
        }
        if owners[label] == row.job { return }
        guard owners[label] == nil else {
            throw CommandError(
                .failed, "the key \"\(key)\" has two results: choose one with --task, --batch or --model")
        }
        owners[label] = row.job
        engines[row.engine, default: 0] += 1
        if row.finishReason != .eos { truncated += 1 }
        set(
            label,
            row.finding.map { finding in
                Found(
                    box: finding.box.map {
                        COCOBox(
                            x: Double($0.x1), y: Double($0.y1), width: Double($0.x2) - Double($0.x1),
                            height: Double($0.y2) - Double($0.y1))
                    }, mask: finding.mask.flatMap { MaskRuns($0) })
            })
    }

    /// Adds a line of a file; the first one of a key counts.
    mutating func add(
        _ key: String, _ boxes: [ResultFile.FoundBox], _ line: Int, _ labels: ReferringLabels, _ file: RowFile
    ) throws {
        guard let label = labels.keys.value(of: key) else {
            withoutLabel += 1
            strayKey = strayKey ?? key
            return
        }
        guard owners[label] == nil else { return }
        owners[label] = Int64(line)
        guard let first = boxes.first else { return set(label, nil) }
        guard let box = first.box else {
            throw file.problem(line, "a box in fractions is needed: \"box\": [y1, x1, y2, x2]")
        }
        let edges = COCOBox(
            x: Double(box.x1), y: Double(box.y1), width: Double(box.x2) - Double(box.x1),
            height: Double(box.y2) - Double(box.y1))
        set(label, Found(box: edges, mask: first.mask))
    }

    private mutating func set(_ label: Int, _ thing: Found?) {
        if thing?.box == nil { unparsable += 1 }
        found[label] = thing ?? Found()
    }
}

/// An evaluation of referring expressions.
struct ReferringEvaluation {
    let labels: ReferringLabels
    let bootstrap: Bootstrap
    /// The labels that are scored.
    let items: [Int]

    init(labels: ReferringLabels, results: [ReferringResults], missing: MissingPolicy, bootstrap: Bootstrap) {
        self.labels = labels
        self.bootstrap = bootstrap
        items = labels.labels.indices.filter { label in
            missing != .skip || results.allSatisfy { $0.found[label] != nil }
        }
    }

    func expressions(_ results: ReferringResults) -> [ReferringSegmentation.Expression] {
        items.map { item in
            let (label, found) = (labels.labels[item], results.found[item])
            return ReferringSegmentation.Expression(
                box: found?.box, mask: found?.mask, truthBox: label.box, truthMask: label.mask, image: label.image)
        }
    }

    func fill(
        _ report: inout EvaluationReport, _ expressions: [ReferringSegmentation.Expression],
        against others: [ReferringSegmentation.Expression]?
    ) {
        // Expressions of one image are drawn together.
        var (places, units) = ([String: Int](), [[Int]]())
        for (place, expression) in expressions.enumerated() {
            if let unit = places[expression.image] {
                units[unit].append(place)
            } else {
                places[expression.image] = units.count
                units.append([place])
            }
        }
        func weights(_ drawn: [Int]) -> [Int] {
            var weights = [Int](repeating: 0, count: expressions.count)
            for (unit, weight) in drawn.enumerated() { for place in units[unit] { weights[place] = weight } }
            return weights
        }
        let intervals = bootstrap.intervals(unitCount: units.count) {
            ReferringSegmentation.figures(expressions, weights: weights($0)).map(\.value)
        }
        let differences = others.map { others in
            bootstrap.intervals(unitCount: units.count) { drawn in
                let weights = weights(drawn)
                let pairs = zip(
                    ReferringSegmentation.figures(expressions, weights: weights),
                    ReferringSegmentation.figures(others, weights: weights))
                return pairs.map { if let value = $0.value, let against = $1.value { value - against } else { nil } }
            }
        }
        let against = others.map { ReferringSegmentation.figures($0) }
        report.count = items.count
        report.figures = ReferringSegmentation.figures(expressions).enumerated().map { place, figure in
            var line = EvaluationReport.Line(name: figure.name, value: figure.value, count: figure.count)
            if place < intervals.count { line.interval = intervals[place] }
            if let against {
                line.against = against[place].value
                if let value = line.value, let other = line.against { line.difference = value - other }
                if let differences, place < differences.count { line.differenceInterval = differences[place] }
            }
            return line
        }
    }

    /// Writes a row an expression.
    func write(_ file: PerItemFile, _ expressions: [ReferringSegmentation.Expression]) throws {
        try file.write { add in
            for (item, expression) in zip(items, expressions) {
                try add(
                    ReferringItem(
                        key: labels.labels[item].key, image: expression.image, boxOverlap: expression.boxOverlap,
                        maskOverlap: expression.maskOverlap))
            }
        }
    }
}

private struct ReferringItem: Encodable {
    let key: String
    let image: String
    let boxOverlap: Double
    let maskOverlap: Double?

    enum CodingKeys: String, CodingKey {
        case key, image
        case boxOverlap = "box_iou"
        case maskOverlap = "mask_iou"
    }
}
