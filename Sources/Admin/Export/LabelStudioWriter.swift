import Annotation
import Foundation

/// Tasks with predictions as Label Studio imports them, and its labeling configuration.
struct LabelStudioWriter: ExportWriter {
    let imageFolder: String? = "images"
    private static let name = "tasks.json"
    private let context: ImageExport.Context
    private let folderName: String
    private let textTasks: [TaskName]
    private let file: OutputFile
    private var line = JSONBytes()
    private var taskCount = 0
    private var regionCount = 0

    /// - Parameter name: the export's folder.
    init(_ context: ImageExport.Context, name: String, tasks: [TaskName]) throws {
        self.context = context
        folderName = URL(fileURLWithPath: name).lastPathComponent
        textTasks = tasks.filter(\.givesText)
        file = try context.folder.file(Self.name)
        try file.write("[")
    }

    mutating func write(_ item: ExportItem) throws {
        line.raw(taskCount == 0 ? "\n{\"data\":{\"image\":" : ",\n{\"data\":{\"image\":")
        taskCount += 1
        line.string(address(item))
        line.raw(",\"key\":")
        line.string(item.image.jobs.first?.key)
        line.raw(",\"image_id\":")
        line.number(item.image.id)
        line.raw(",\"sha256\":")
        line.string(item.image.sha256)
        line.raw("},\"predictions\":[")
        // All that a model says of an image is one prediction: Label Studio shows one at a time.
        for (index, model) in models(item).enumerated() { writePrediction(model, item, isFirst: index == 0) }
        line.raw("]}")
        try file.write(bytes: line.bytes)
        line.clear()
    }

    private func models(_ item: ExportItem) -> [String] {
        item.image.jobs.reduce(into: []) { if !$0.contains($1.model) { $0.append($1.model) } }
    }

    private mutating func writePrediction(_ model: String, _ item: ExportItem, isFirst: Bool) {
        let things = item.things.enumerated().filter { $0.element.model == model }
        let texts = item.image.jobs.filter { job in
            job.model == model && textTasks.contains { $0.rawValue == job.task }
        }
        line.raw(isFirst ? "{\"model_version\":" : ",{\"model_version\":")
        line.string(model)
        line.raw(",\"score\":")
        // That of the best box, as gloss.result has it.
        let best = things.map(\.element.score).max { (Double($0) ?? 0) < (Double($1) ?? 0) }
        line.real(best ?? "0")
        line.raw(",\"result\":[")
        var isFirstRegion = true
        for (index, thing) in things {
            beginRegion("g\(item.image.id)-\(index + 1)", item, &isFirstRegion)
            if let mask = thing.mask, let packed = BrushMask.pack(mask) {
                line.raw("\"type\":\"brushlabels\",\"from_name\":\"mask\",\"value\":{\"format\":\"rle\",\"rle\":[")
                for (place, byte) in packed.enumerated() {
                    if place > 0 { line.raw(",") }
                    line.number(Int(byte))
                }
                line.raw("],\"brushlabels\":[")
            } else {
                line.raw("\"type\":\"rectanglelabels\",\"from_name\":\"box\",\"value\":{")
                writePercent(thing.box)
                line.raw(",\"rotation\":0,\"rectanglelabels\":[")
            }
            line.string(thing.label)
            line.raw("]},\"score\":")
            line.real(thing.score)
            line.raw("}")
        }
        for job in texts {
            beginRegion("j\(job.id)", item, &isFirstRegion)
            line.raw("\"type\":\"textarea\",\"from_name\":\"\(job.task)\",\"value\":{\"text\":[")
            line.string(job.text)
            line.raw("]}}")
        }
        line.raw("]}")
    }

    private mutating func beginRegion(_ id: String, _ item: ExportItem, _ isFirst: inout Bool) {
        line.raw(isFirst ? "{\"id\":" : ",{\"id\":")
        isFirst = false
        regionCount += 1
        line.string(id)
        line.raw(",\"to_name\":\"image\",\"original_width\":")
        line.number(item.width)
        line.raw(",\"original_height\":")
        line.number(item.height)
        line.raw(",\"image_rotation\":0,")
    }

    /// In hundredths of the sides.
    private mutating func writePercent(_ box: PixelBox) {
        for (index, (name, part, side)) in [
            ("x", box.left, box.imageWidth), ("y", box.top, box.imageHeight), ("width", box.width, box.imageWidth),
            ("height", box.height, box.imageHeight),
        ].enumerated() {
            line.raw(index == 0 ? "\"\(name)\":" : ",\"\(name)\":")
            // Hundredths of a pixel, so that 100 percent are the side's pixels.
            line.percent(part, of: side * 100)
        }
    }

    /// Where Label Studio finds the image.
    private func address(_ item: ExportItem) -> String {
        if context.files != .none { return Self.local("\(folderName)/images/\(item.name)") }
        let url = item.image.jobs.first?.url ?? ""
        guard url.prefix(7).lowercased() == "file://" else { return url }
        let path = URL(string: url)?.path(percentEncoded: false) ?? String(url.dropFirst(7))
        return Self.local(String(path.drop { $0 == "/" }))
    }

    private static func local(_ path: String) -> String {
        var allowed = CharacterSet.urlPathAllowed
        allowed.remove(charactersIn: "&+=?;")
        return "/data/local-files/?d=" + (path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path)
    }

    mutating func finish() throws {
        try file.write("\n]\n")
        try file.close()
        let xml = try context.folder.file("config.xml")
        try xml.write(configuration)
        try xml.close()
    }

    private var configuration: String {
        let labels = context.categories.names.map { "    <Label value=\"\(Self.escaped($0))\"/>\n" }.joined()
        var xml = "<View>\n  <Image name=\"image\" value=\"$image\" zoom=\"true\"/>\n"
        if !labels.isEmpty {
            xml += "  <RectangleLabels name=\"box\" toName=\"image\">\n\(labels)  </RectangleLabels>\n"
            if context.counts.masks > 0 {
                xml += "  <BrushLabels name=\"mask\" toName=\"image\">\n\(labels)  </BrushLabels>\n"
            }
        }
        for task in textTasks {
            xml += "  <TextArea name=\"\(task)\" toName=\"image\" editable=\"true\" maxSubmissions=\"1\"/>\n"
        }
        return xml + "</View>\n"
    }

    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            case _ where scalar.value < 0x20: " "
            default: String(scalar)
            }
        }.joined()
    }

    var counts: [String: Int] { ["regions": regionCount] }

    var notes: [String] {
        ["select the model version in the project's settings, else Label Studio shows no prediction"]
    }

    func verify(_ counts: Manifest.Counts) throws {
        struct Task: Decodable {
            struct Region: Decodable {
                struct Value: Decodable {
                    var x: Double?, y: Double?, width: Double?, height: Double?
                }
                var id: String
                var type: String
                var value: Value
            }
            struct Prediction: Decodable {
                var model_version: String
                var result: [Region]
            }
            var data: [String: Content]
            var predictions: [Prediction]
        }
        /// A text, a number or null.
        struct Content: Decodable {
            init(from decoder: any Decoder) throws {}
        }
        let data = try Data(
            contentsOf: URL(fileURLWithPath: context.folder.place(Self.name)), options: .mappedIfSafe)
        var (tasks, regions) = (0, 0)
        func fault(_ place: Int, _ problem: String) -> JSONScanner.Fault { .init(place: place, problem: problem) }
        do {
            try data.withUnsafeBytes { bytes in
                var scanner = JSONScanner(bytes)
                try scanner.eachElement { range in
                    guard let task = try? JSONDecoder().decode(Task.self, from: Data(bytes[range])) else {
                        throw fault(range.lowerBound, "a task cannot be read")
                    }
                    tasks += 1
                    for region in task.predictions.flatMap(\.result) {
                        regions += 1
                        guard region.type == "rectanglelabels" else { continue }
                        let value = region.value
                        guard let x = value.x, let y = value.y, let width = value.width, let height = value.height,
                            x >= 0, y >= 0, width > 0, height > 0, x + width < 100.0001, y + height < 100.0001
                        else { throw fault(range.lowerBound, "a box is not within the image") }
                    }
                }
            }
        } catch let fault as JSONScanner.Fault {
            throw CommandError(.failed, "\(Self.name), byte \(fault.place): \(fault.problem)")
        }
        guard tasks == counts.images, regions == regionCount else {
            throw CommandError(
                .failed,
                "\(Self.name): \(tasks) tasks with \(regions) regions, not \(counts.images) with \(regionCount)")
        }
    }
}
