import Foundation
import Images

/// Tar files in which the members of a sample stand side by side.
struct WebDatasetWriter: ExportWriter {
    /// The bytes go into the archives.
    let imageFolder: String? = nil
    private let context: ImageExport.Context
    private let split: String
    private let shardSize: Int
    private var archive: TarFile?
    private var names: [String] = []
    private var inShard = 0

    init(_ context: ImageExport.Context, split: String, shardSize: Int) throws {
        (self.context, self.split, self.shardSize) = (context, split, shardSize)
    }

    mutating func write(_ item: ExportItem) throws {
        if archive == nil || inShard == shardSize { try begin() }
        inShard += 1
        let id = String(item.image.id)
        // Without a dot: what follows the first one in a name is what the member is.
        let key = String(repeating: "0", count: max(0, 12 - id.count)) + id
        var line = JSONBytes()
        line.raw("{")
        HuggingFaceRow.write(item, hasMasks: context.counts.masks > 0, to: &line)
        line.raw("}")
        let end = context.counts.format == "jpeg" ? "jpg" : context.counts.format
        try archive?.add("\(key).\(end)", item.bytes ?? [])
        try archive?.add("\(key).json", line.bytes)
    }

    private mutating func begin() throws {
        try archive?.close()
        let number = String(names.count)
        let name = "\(split)-\(String(repeating: "0", count: max(0, 6 - number.count)))\(number).tar"
        names.append(name)
        archive = TarFile(try context.folder.file(name))
        inShard = 0
    }

    mutating func finish() throws {
        // Of no image an archive without members: a dataset needs one.
        if archive == nil { try begin() }
        try archive?.close()
    }

    var counts: [String: Int] { ["shards": names.count] }

    func verify(_ counts: Manifest.Counts) throws {
        var (samples, objects) = (0, 0)
        for name in names {
            var image: (key: Substring, bytes: [UInt8])?
            try TarFile.each(context.folder.place(name), name) { member, bytes in
                let key = member.prefix { $0 != "." }
                guard member.hasSuffix(".json") else {
                    image = (key, bytes)
                    return
                }
                let row = try LineReader.Line(name: "\(name)/\(member)", number: 1, bytes: bytes)
                    .decoded(HuggingFaceRow.Written.self)
                let isWhole = image?.key == key && SHA256Digest.hex(image?.bytes ?? []) == row.sha256
                guard isWhole, row.problem == nil else {
                    throw CommandError(
                        .failed, "\(name)/\(member): \(row.problem ?? "the image before it is not that of its sha256")")
                }
                samples += 1
                objects += row.objects.bbox.count
            }
        }
        guard samples == counts.images, objects == counts.objects else {
            throw CommandError(
                .failed, "\(samples) samples with \(objects) objects, not \(counts.images) with \(counts.objects)")
        }
    }
}
