import Annotation
import Foundation

/// Lines of JSON, an image or a thing each.
struct JSONLWriter: ExportWriter {
    let imageFolder: String? = "images"
    private let name: String
    private let context: ImageExport.Context
    private let isNested: Bool
    private let file: OutputFile
    private var line = JSONBytes()
    private var lineCount = 0

    init(_ context: ImageExport.Context, isNested: Bool) throws {
        (self.context, self.isNested) = (context, isNested)
        name = isNested ? "images.jsonl" : "objects.jsonl"
        file = try context.folder.file(name)
    }

    mutating func write(_ item: ExportItem) throws {
        if isNested {
            line.raw("{")
            line.members(of: item)
            line.raw(",\"url\":")
            line.string(item.image.jobs.first?.url)
            line.raw(",\"results\":[")
            for (index, job) in item.image.jobs.enumerated() {
                line.raw(index == 0 ? "{\"job_id\":" : ",{\"job_id\":")
                line.members(of: job)
                line.raw(",\"prompt\":")
                line.string(job.prompt)
                line.raw(",\"text\":")
                line.string(job.text)
                line.raw("}")
            }
            line.raw("],\"objects\":[")
            for (index, thing) in item.things.enumerated() {
                line.raw(index == 0 ? "{" : ",{")
                line.members(of: thing)
                line.raw("}")
            }
            line.raw("]}\n")
            lineCount += 1
        } else {
            let jobs = Dictionary(item.image.jobs.map { ($0.id, $0) }) { first, _ in first }
            for thing in item.things {
                line.raw("{")
                line.members(of: thing)
                if let job = jobs[thing.job] {
                    line.raw(",\"key\":")
                    line.string(job.key)
                    line.raw(",\"task\":")
                    line.string(job.task)
                    line.raw(",\"model\":")
                    line.string(job.model)
                }
                line.raw(",")
                line.members(of: item)
                line.raw("}\n")
                lineCount += 1
            }
        }
        try file.write(bytes: line.bytes)
        line.clear()
    }

    mutating func finish() throws { try file.close() }

    func verify(_ counts: Manifest.Counts) throws {
        struct Thing: Decodable {
            var label: String
            var bbox: [Double]
            var score: Double
        }
        struct Image: Decodable {
            var image_id: Int
            var width: Int
            var height: Int
            var objects: [Thing]?
        }
        var (lines, things) = (0, 0)
        try LineReader(context.folder.place(name), name).each { number, line in
            lines = number
            let image = try line.decoded(Image.self)
            let found = try image.objects ?? [line.decoded(Thing.self)]
            things += found.count
            let isWithin = found.allSatisfy {
                $0.bbox.count == 4 && $0.bbox[2] > 0 && $0.bbox[3] > 0 && $0.bbox[0] >= 0 && $0.bbox[1] >= 0
                    && $0.bbox[0] + $0.bbox[2] < Double(image.width) + 0.005
                    && $0.bbox[1] + $0.bbox[3] < Double(image.height) + 0.005
            }
            try line.require(image.image_id > 0 && isWithin, "a box is not within the image")
        }
        guard lines == lineCount, things == counts.objects else {
            throw CommandError(
                .failed, "\(name): has \(lines) lines and \(things) objects, not \(lineCount) and \(counts.objects)")
        }
    }
}

extension JSONBytes {
    /// An image's own members, without braces.
    mutating func members(of item: ExportItem) {
        raw("\"image_id\":")
        number(item.image.id)
        raw(",\"file_name\":")
        string(item.name)
        raw(",\"width\":")
        number(item.width)
        raw(",\"height\":")
        number(item.height)
        raw(",\"orientation\":")
        number(item.image.orientation.number)
        raw(",\"format\":")
        string(item.image.format)
        raw(",\"byte_count\":")
        number(item.image.byteCount)
        raw(",\"sha256\":")
        string(item.image.sha256)
    }

    /// A thing's own members, without braces.
    mutating func members(of thing: ExportThing) {
        raw("\"label\":")
        string(thing.label)
        raw(",\"category_id\":")
        number(thing.category + 1)
        raw(",\"bbox\":")
        pixels(thing.box)
        raw(",\"score\":")
        real(thing.score)
        raw(",\"mask\":")
        if let mask = thing.mask {
            self.mask(mask)
        } else {
            raw("null")
        }
        raw(",\"note\":")
        string(thing.note)
        raw(",\"job_id\":")
        number(thing.job)
    }

    /// A job's number and the members that follow it.
    mutating func members(of job: ExportedJob) {
        number(job.id)
        raw(",\"task\":")
        string(job.task)
        raw(",\"key\":")
        string(job.key)
        raw(",\"model\":")
        string(job.model)
        raw(",\"score\":")
        real(job.score)
    }
}
