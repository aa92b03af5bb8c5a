import Annotation
import Console
import Foundation
import Queue

/// COCO's JSON, an entry a line.
struct COCOWriter: ExportWriter {
    let imageFolder: String? = "images"
    private let context: ImageExport.Context
    private let truth: COCOIdentifiers?
    private let hasCaptions: Bool
    private let isResults: Bool
    private let file: OutputFile
    /// Annotations, until all images are written: both come in one reading.
    private let annotations: OutputFile?
    private var line = JSONBytes()
    private var imageCount = 0
    private var annotationCount = 0
    /// Numbers of images of the ground truth that have a caption.
    private var captioned: Set<Int> = []
    private var seen: Set<Int> = []
    private var unknownImages = 0
    private var unknownExamples: [String] = []
    private var otherSizes = 0
    private var moreCaptions = 0

    private static let annotationsName = "annotations.part"

    /// - Parameters:
    ///   - hasCaptions: captions in place of boxes and masks.
    ///   - isResults: an array of results in place of a ground truth.
    ///   - truth: whose numbers are used.
    init(_ context: ImageExport.Context, hasCaptions: Bool, isResults: Bool, truth: COCOIdentifiers?) throws {
        (self.context, self.hasCaptions, self.isResults, self.truth) = (context, hasCaptions, isResults, truth)
        file = try context.folder.file(Self.name(isResults, hasCaptions))
        annotations = isResults ? nil : try context.folder.file(Self.annotationsName)
        try isResults ? file.write("[") : writeHead()
    }

    private static func name(_ isResults: Bool, _ hasCaptions: Bool) -> String {
        isResults ? "results.json" : hasCaptions ? "captions.json" : "instances.json"
    }

    private mutating func writeHead() throws {
        line.raw("{\"info\":{\"description\":\"Exported by glossctl \(glossVersion)\"},\"licenses\":[],\n")
        if hasCaptions {
            line.raw("\"type\":\"captions\",\n")
        } else {
            line.raw("\"categories\":[")
            for (index, name) in context.categories.names.enumerated() {
                line.raw(index == 0 ? "\n{\"id\":" : ",\n{\"id\":")
                line.number(index + 1)
                line.raw(",\"name\":")
                line.string(name)
                line.raw(",\"supercategory\":\"\"}")
            }
            line.raw("\n],\n")
        }
        line.raw("\"images\":[")
        try flush(to: file)
    }

    mutating func write(_ item: ExportItem) throws {
        if isResults {
            try hasCaptions ? writeCaptionResult(item) : writeResults(item)
            return
        }
        try writeImage(item)
        guard let annotations else { return }
        if hasCaptions {
            for job in item.image.jobs {
                beginAnnotation()
                line.raw("{\"id\":")
                line.number(annotationCount)
                line.raw(",\"image_id\":")
                line.number(item.image.id)
                line.raw(",\"caption\":")
                line.string(job.text)
                line.raw(",\"score\":")
                line.real(job.score)
                line.raw("}")
            }
        } else {
            for thing in item.things { writeAnnotation(thing, item) }
        }
        try flush(to: annotations)
    }

    private mutating func writeImage(_ item: ExportItem) throws {
        beginImage()
        line.raw("{\"id\":")
        line.number(item.image.id)
        line.raw(",\"file_name\":")
        line.string(item.name)
        line.raw(",\"width\":")
        line.number(item.width)
        line.raw(",\"height\":")
        line.number(item.height)
        if let url = item.image.jobs.first?.url, url.prefix(4).lowercased() == "http" {
            line.raw(",\"coco_url\":")
            line.string(url)
        }
        line.raw(",\"sha256\":")
        line.string(item.image.sha256)
        line.raw("}")
        try flush(to: file)
    }

    private mutating func writeAnnotation(_ thing: ExportThing, _ item: ExportItem) {
        beginAnnotation()
        line.raw("{\"id\":")
        line.number(annotationCount)
        line.raw(",\"image_id\":")
        line.number(item.image.id)
        line.raw(",\"category_id\":")
        line.number(thing.category + 1)
        line.raw(",\"bbox\":")
        line.pixels(thing.box)
        line.raw(",\"area\":")
        if let area = thing.mask?.area {
            line.number(area)
        } else {
            line.hundredths((thing.box.area + 50) / 100)
        }
        line.raw(",\"iscrowd\":0,\"segmentation\":")
        if let mask = thing.mask { line.mask(mask) } else { line.raw("[]") }
        line.raw(",\"score\":")
        line.real(thing.score)
        line.raw("}")
    }

    /// By job: two of them may be two images of the ground truth with one content.
    private mutating func writeResults(_ item: ExportItem) throws {
        var numbers: [Int: Int] = [:]
        for job in item.image.jobs { numbers[job.id] = imageNumber(of: job, item) }
        for thing in item.things {
            guard let number = numbers[thing.job] else { continue }
            beginAnnotation()
            line.raw("{\"image_id\":")
            line.number(number)
            line.raw(",\"category_id\":")
            line.number(truth?.categories[thing.category].id ?? thing.category + 1)
            if let mask = thing.mask {
                line.raw(",\"segmentation\":")
                line.mask(mask)
            } else {
                line.raw(",\"bbox\":")
                line.pixels(thing.box)
            }
            line.raw(",\"score\":")
            line.real(thing.score)
            line.raw("}")
        }
        try flush(to: file)
    }

    /// One an image, as the official evaluation wants it: that of the first job.
    private mutating func writeCaptionResult(_ item: ExportItem) throws {
        for job in item.image.jobs {
            guard let number = imageNumber(of: job, item) else { continue }
            guard captioned.insert(number).inserted else {
                moreCaptions += 1
                continue
            }
            beginAnnotation()
            line.raw("{\"image_id\":")
            line.number(number)
            line.raw(",\"caption\":")
            line.string(job.text)
            line.raw("}")
        }
        try flush(to: file)
    }

    private mutating func imageNumber(of job: ExportedJob, _ item: ExportItem) -> Int? {
        guard let truth else { return item.image.id }
        guard let image = truth.image(of: job) else {
            unknownImages += 1
            if unknownExamples.count < 3 { unknownExamples.append(job.key ?? job.url) }
            return nil
        }
        seen.insert(image.id)
        if let width = image.width, let height = image.height, (width, height) != (item.width, item.height) {
            otherSizes += 1
        }
        return image.id
    }

    private mutating func beginImage() {
        line.raw(imageCount == 0 ? "\n" : ",\n")
        imageCount += 1
    }

    private mutating func beginAnnotation() {
        line.raw(annotationCount == 0 ? "\n" : ",\n")
        annotationCount += 1
    }

    private mutating func flush(to file: OutputFile) throws {
        try file.write(bytes: line.bytes)
        line.clear()
    }

    mutating func finish() throws {
        guard let annotations else {
            try file.write("\n]\n")
            try file.close()
            return
        }
        try annotations.close()
        try file.write("\n],\n\"annotations\":[")
        let part = context.folder.place(Self.annotationsName)
        try file.append(part)
        unlink(part)
        try file.write("\n]}\n")
        try file.close()
    }

    func verify(_ counts: Manifest.Counts) throws {
        let name = Self.name(isResults, hasCaptions)
        try COCOVerification(context.folder.place(name), name).run(
            images: isResults ? nil : counts.images, annotations: annotationCount,
            categories: hasCaptions ? nil : context.categories.names.count, truth: truth)
    }

    var counts: [String: Int] {
        var counts = ["annotations": annotationCount]
        if let truth {
            counts["not_in_gt"] = unknownImages
            counts["gt_images_without_result"] = truth.imageCount - seen.count
            counts["other_size_than_gt"] = otherSizes
        }
        if isResults && hasCaptions { counts["further_captions"] = moreCaptions }
        return counts
    }

    var notes: [String] {
        var notes: [String] = []
        if unknownImages > 0 {
            notes.append(
                "\(Formats.count(unknownImages)) results are about no image of --gt, by key or file name: "
                    + unknownExamples.map { "\"\($0.singleLine)\"" }.joined(separator: ", ") + ", …")
        }
        if let truth, truth.imageCount > seen.count {
            notes.append("\(Formats.count(truth.imageCount - seen.count)) images of --gt have no result")
        }
        if otherSizes > 0 {
            notes.append(
                "\(Formats.count(otherSizes)) images have another size in --gt: is it made of files as they are stored? "
                    + "Then use --orientation stored")
        }
        if isResults && annotationCount == 0 {
            notes.append("there is no result, and pycocotools' loadRes fails on none")
        }
        return notes
    }
}
