import Annotation
import Console
import Foundation

/// Text files as ultralytics reads them, one an image.
struct YOLOWriter: ExportWriter {
    let imageFolder: String?
    private let context: ImageExport.Context
    private let split: String
    private let hasSegments: Bool
    private let hasPredictions: Bool
    private let list: OutputFile
    private var repeated = 0
    private var masksWithHoles = 0
    private var boxesAsOutlines = 0
    private var lineCount = 0

    init(_ context: ImageExport.Context, split: String, hasSegments: Bool, hasPredictions: Bool) throws {
        (self.context, self.split) = (context, split)
        (self.hasSegments, self.hasPredictions) = (hasSegments, hasPredictions)
        imageFolder = "images/\(split)"
        try context.folder.makeFolder("labels/\(split)")
        if hasPredictions { try context.folder.makeFolder("predictions/\(split)") }
        list = try context.folder.file("\(split).txt")
    }

    mutating func write(_ item: ExportItem) throws {
        var labels = JSONBytes()
        var predictions = JSONBytes()
        var seen: Set<[UInt8]> = []
        for thing in item.things {
            let line = line(thing)
            // ultralytics drops the second one of two equal lines, and warns.
            guard seen.insert(line).inserted else {
                repeated += 1
                continue
            }
            lineCount += 1
            labels.raw(line)
            labels.raw("\n")
            guard hasPredictions else { continue }
            predictions.raw(line)
            predictions.raw(" ")
            predictions.real(thing.score)
            predictions.raw("\n")
        }
        let name = Self.labelName(item.name)
        try write(labels.bytes, "labels/\(split)/\(name)")
        if hasPredictions { try write(predictions.bytes, "predictions/\(split)/\(name)") }
        try list.write("./images/\(split)/\(item.name)\n")
    }

    private func write(_ bytes: [UInt8], _ name: String) throws {
        let file = try context.folder.file(name)
        try file.write(bytes: bytes)
        try file.close()
    }

    private static func labelName(_ name: String) -> String {
        String(name[..<(name.lastIndex(of: ".") ?? name.endIndex)]) + ".txt"
    }

    private mutating func line(_ thing: ExportThing) -> [UInt8] {
        var line = JSONBytes()
        let box = thing.box
        line.number(thing.category)
        guard hasSegments else {
            // In halves of hundredths, so that a middle is a whole number.
            let (width, height) = (box.imageWidth * 200, box.imageHeight * 200)
            for (part, whole) in [
                (box.left + box.right, width), (box.top + box.bottom, height), (2 * box.width, width),
                (2 * box.height, height),
            ] {
                line.raw(" ")
                line.fraction(part, of: whole)
            }
            return line.bytes
        }
        if let mask = thing.mask, let outline = ContourTracer(mask) {
            masksWithHoles += outline.hasHoles ? 1 : 0
            for point in outline.joined {
                line.raw(" ")
                line.fraction(point.x, of: mask.width)
                line.raw(" ")
                line.fraction(point.y, of: mask.height)
            }
        } else {
            boxesAsOutlines += 1
            let (width, height) = (box.imageWidth * 100, box.imageHeight * 100)
            for (x, y) in [
                (box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom),
            ] {
                line.raw(" ")
                line.fraction(x, of: width)
                line.raw(" ")
                line.fraction(y, of: height)
            }
        }
        return line.bytes
    }

    mutating func finish() throws {
        try list.close()
        var yaml = JSONBytes()
        // Without a path, ultralytics takes the folder of this file. Strings of JSON are strings of YAML.
        yaml.raw("train: images/\(split)\nval: images/\(split)\nnc: \(context.categories.names.count)\nnames:")
        yaml.raw(context.categories.names.isEmpty ? " {}\n" : "\n")
        for (index, name) in context.categories.names.enumerated() {
            yaml.raw("  \(index): ")
            yaml.string(name)
            yaml.raw("\n")
        }
        try write(yaml.bytes, "data.yaml")
    }

    var counts: [String: Int] {
        var counts = ["repeated_lines": repeated]
        if hasSegments { (counts["masks_with_holes"], counts["boxes_as_outlines"]) = (masksWithHoles, boxesAsOutlines) }
        return counts
    }

    var notes: [String] {
        masksWithHoles > 0 ? ["\(Formats.count(masksWithHoles)) masks have holes, which outlines lose"] : []
    }

    func verify(_ counts: Manifest.Counts) throws {
        var (images, lines) = (0, 0)
        let list = "\(split).txt"
        try LineReader(context.folder.place(list), list).each { number, line in
            images = number
            let image = String(decoding: line.bytes, as: UTF8.self)
            let labels = "labels/\(split)/" + Self.labelName(String(image.dropFirst("./images/\(split)/".count)))
            try LineReader(context.folder.place(labels), labels).each { _, line in
                lines += 1
                let numbers = String(decoding: line.bytes, as: UTF8.self).split(separator: " ").map { Double($0) ?? -1 }
                let isShaped = hasSegments ? numbers.count >= 7 && numbers.count % 2 == 1 : numbers.count == 5
                try line.require(isShaped, "has \(numbers.count) columns")
                let category = numbers.first.flatMap { Int(exactly: $0) } ?? -1
                let isKnown = context.categories.names.indices.contains(category)
                try line.require(isKnown, "there is no such category")
                try line.require(numbers.dropFirst().allSatisfy { 0...1 ~= $0 }, "a number is not within 0...1")
            }
        }
        guard images == counts.images, lines == lineCount else {
            throw CommandError(
                .failed, "labels: \(images) images and \(lines) lines, not \(counts.images) and \(lineCount)")
        }
    }
}
