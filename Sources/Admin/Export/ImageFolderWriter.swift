import Foundation
import Images

/// Images and metadata.jsonl in a folder.
struct ImageFolderWriter: ExportWriter {
    let imageFolder: String?
    private let name: String
    private let context: ImageExport.Context
    private let file: OutputFile

    init(_ context: ImageExport.Context, split: String) throws {
        self.context = context
        imageFolder = split
        name = "\(split)/metadata.jsonl"
        try context.folder.makeFolder(split)
        file = try context.folder.file(name)
    }

    mutating func write(_ item: ExportItem) throws {
        var line = JSONBytes()
        line.raw("{\"file_name\":")
        line.string(item.name)
        line.raw(",")
        HuggingFaceRow.write(item, hasMasks: context.counts.masks > 0, to: &line)
        line.raw("}\n")
        try file.write(bytes: line.bytes)
    }

    mutating func finish() throws { try file.close() }

    func verify(_ counts: Manifest.Counts) throws {
        var (lines, objects) = (0, 0)
        try LineReader(context.folder.place(name), name).each { number, line in
            lines = number
            let row = try line.decoded(HuggingFaceRow.Written.self)
            objects += row.objects.bbox.count
            try line.require(row.problem == nil, row.problem ?? "")
            guard context.files != .none, let folder = imageFolder, let image = row.file_name else { return }
            let bytes = FileManager.default.contents(atPath: context.folder.place("\(folder)/\(image)")) ?? Data()
            try line.require(SHA256Digest.hex([UInt8](bytes)) == row.sha256, "\(image) is not the file of its sha256")
        }
        guard lines == counts.images, objects == counts.objects else {
            throw CommandError(
                .failed,
                "\(name): has \(lines) lines and \(objects) objects, not \(counts.images) and \(counts.objects)")
        }
    }
}
