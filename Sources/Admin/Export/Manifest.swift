import Foundation
import Queue

/// What an export is made of, and what did not come through: manifest.json. It holds no time, so that the same query gives
/// the same bytes.
struct Manifest: Encodable {
    /// Which results were asked for.
    struct Selection: Encodable {
        var batch: String?
        var tasks: [String]
        var model: String?
        var since: String?
        var `where`: String?
        /// `reviewed` or `all`: what reviewers say stands in the place of results.
        var truth: String?
    }

    /// What was left out, by the reason.
    struct Dropped: Encodable, Equatable {
        /// Boxes without an area within the image.
        var no_area = 0
        /// Things without a place.
        var no_box = 0
        /// Things that are none of the categories that were given.
        var other_label = 0
    }

    /// How much of everything.
    struct Counts: Encodable, Equatable {
        /// Finished jobs.
        var results = 0
        /// Images in the export.
        var images = 0
        /// Those of them in which nothing was found.
        var empty_images = 0
        /// Things with a box.
        var objects = 0
        /// Those of them with a mask.
        var masks = 0
        /// Jobs without a result, and why.
        var dead = 0
        var dead_by_code: [String: Int] = [:]
        /// Jobs that are neither done nor dead.
        var pending = 0
        /// Results with a response that was cut off at its most tokens.
        var truncated = 0
        /// Results with a response that was cut off at a repetition.
        var repeated = 0
        /// Parts of responses that could not be read.
        var not_understood = 0
        /// Boxes of which a part was outside of the image.
        var clipped = 0
        var dropped = Dropped()
        /// Images whose file carries an EXIF orientation.
        var turned = 0
        /// Images whose file is another one now.
        var changed_images = 0
        /// Images whose file could not be had.
        var missing_images = 0
        /// What this format alone counts.
        var format: [String: Int] = [:]
    }

    /// A kind of things.
    struct Category: Codable {
        var id: Int
        var name: String
        var count: Int
    }

    var gloss = glossVersion
    var format: String
    var kind: String?
    var selection: Selection
    var orientation: String
    var images: String
    var counts: Counts
    var categories: [Category]
    var models: [ExportCounts.Engine]
    /// The most frequent ones.
    var prompts: [ExportCounts.Count]
    /// Gloss knows none.
    var licences = "unknown"

    /// Writes it.
    func write(to folder: ExportFolder) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        let file = try folder.file(ExportFolder.manifestName)
        try file.write(String(decoding: try encoder.encode(self), as: UTF8.self) + "\n")
        try file.close()
    }

    /// Whether a folder is an export.
    static func isThere(in folder: String) -> Bool {
        struct Earlier: Decodable {
            var gloss: String
            var format: String
            var categories: [Category]
        }
        let data = FileManager.default.contents(atPath: "\(folder)/\(ExportFolder.manifestName)")
        return data.map { (try? JSONDecoder().decode(Earlier.self, from: $0)) != nil } ?? false
    }

    /// The categories of an export, in order; none where there is no export.
    static func categories(ofExportAt path: String) throws(CommandError) -> [String] {
        struct Earlier: Decodable {
            var categories: [Category]
        }
        let file = "\(path)/\(ExportFolder.manifestName)"
        guard let data = FileManager.default.contents(atPath: file) else { return [] }
        guard let earlier = try? JSONDecoder().decode(Earlier.self, from: data) else {
            throw CommandError(.badData, "\(file): is not a manifest of an export; remove it, or name another --output")
        }
        return earlier.categories.sorted { $0.id < $1.id }.map(\.name)
    }
}
