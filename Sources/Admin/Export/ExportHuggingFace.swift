import Annotation
import ArgumentParser

/// `glossctl export imagefolder`
struct ExportImageFolder: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "imagefolder",
        abstract: "A folder of images with metadata.jsonl, for load_dataset(\"imagefolder\") of Hugging Face.",
        discussion: """
            Each line of metadata.jsonl has all fields, also where they are empty, and the first one has objects if any \
            has: readers take the types from there. The images are fetched, since without them there is no dataset.

            EXAMPLES
              glossctl export imagefolder --batch photos
              glossctl export imagefolder --task caption --images link --allow-files /srv/images

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @Option(help: "The name of the split: its folder.")
    var split = "train"
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var categories: CategoryFlags
    @OptionGroup var images: ImageFlags
    @OptionGroup var output: OutputFlags

    func validate() throws {
        try SplitName.validate(split)
        try export().validate()
    }

    func run() async throws {
        try await export().run { try ImageFolderWriter($0, split: split) }
    }

    private func export() throws -> ImageExport {
        try HuggingFaceRow.export("imagefolder", database, selection, categories, images, output)
    }
}

/// `glossctl export webdataset`
struct ExportWebDataset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "webdataset",
        abstract: "Tar files with an image and its JSON side by side, for webdataset and Hugging Face.",
        discussion: """
            A sample is NUMBER.jpg and NUMBER.json; the number is the image's. All images have the extension of the \
            format that most of them have, since readers want the same members in each sample; they look at the bytes.

            EXAMPLES
              glossctl export webdataset --batch photos
              glossctl export webdataset --shard 1000 --where 'score > .3'

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @Option(help: "The name of the split: how the files' names begin.")
    var split = "train"
    @Option(help: "The most images of a tar file.")
    var shard = 5000
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var categories: CategoryFlags
    @OptionGroup var images: ImageFlags
    @OptionGroup var output: OutputFlags

    func validate() throws {
        try SplitName.validate(split)
        if shard < 1 { throw ValidationError("--shard must be 1 at least.") }
        if let files = images.images, files != .copy {
            throw ValidationError("--images must be copy: a tar file holds its images.")
        }
        try export().validate()
    }

    func run() async throws {
        try await export().run { try WebDatasetWriter($0, split: split, shardSize: shard) }
    }

    private func export() throws -> ImageExport {
        try HuggingFaceRow.export("webdataset", database, selection, categories, images, output)
    }
}

/// What both formats of Hugging Face say of an image.
enum HuggingFaceRow {
    fileprivate static func export(
        _ format: String, _ database: DatabaseOptions, _ selection: SelectionFlags, _ categories: CategoryFlags,
        _ images: ImageFlags, _ output: OutputFlags
    ) throws -> ImageExport {
        ImageExport(
            database: database, format: format,
            selection: try selection.selection(
                of: TaskName.allCases.filter { $0.givesBoxes || $0.givesText },
                default: TaskName.allCases.filter { $0.givesBoxes || $0.rawValue == "caption" }),
            output: output, images: images, defaultFiles: .copy, categoriesFile: categories.categories,
            putsThingsFirst: true, hasTexts: true)
    }

    /// The members of a row, without braces and without the image. All rows have all members, of the same types.
    static func write(_ item: ExportItem, hasMasks: Bool, to line: inout JSONBytes) {
        line.raw("\"image_id\":")
        line.number(item.image.id)
        line.raw(",\"width\":")
        line.number(item.width)
        line.raw(",\"height\":")
        line.number(item.height)
        line.raw(",\"orientation\":")
        line.number(item.image.orientation.number)
        line.raw(",\"sha256\":")
        line.string(item.image.sha256)
        line.raw(",\"key\":")
        line.string(item.image.jobs.lazy.compactMap(\.key).first ?? "")
        line.raw(",\"text\":")
        line.string(item.image.jobs.first { TaskName(rawValue: $0.task)?.givesText ?? false }?.text ?? "")
        line.raw(",\"objects\":{\"bbox\":")
        list(item, to: &line) { $1.pixels($0.box) }
        line.raw(",\"categories\":")
        list(item, to: &line) { $1.string($0.label) }
        line.raw(",\"category_ids\":")
        list(item, to: &line) { $1.number($0.category + 1) }
        line.raw(",\"scores\":")
        list(item, to: &line) { $1.real($0.score) }
        if hasMasks {
            line.raw(",\"masks\":")
            list(item, to: &line) { $1.string($0.mask?.counts ?? "") }
        }
        line.raw("}")
    }

    private static func list(
        _ item: ExportItem, to line: inout JSONBytes, _ write: (ExportThing, inout JSONBytes) -> Void
    ) {
        line.raw("[")
        for (index, thing) in item.things.enumerated() {
            if index > 0 { line.raw(",") }
            write(thing, &line)
        }
        line.raw("]")
    }

    /// What is read again to check it.
    struct Written: Decodable {
        struct Objects: Decodable {
            var bbox: [[Double]]
            var categories: [String]
            var category_ids: [Int]
            var scores: [Double]
            var masks: [String]?
        }
        var file_name: String?
        var image_id: Int
        var width: Int
        var height: Int
        var sha256: String
        var objects: Objects

        /// What is wrong with it; nil: nothing.
        var problem: String? {
            let count = objects.bbox.count
            guard objects.categories.count == count, objects.category_ids.count == count,
                objects.scores.count == count, objects.masks.map({ $0.count == count }) ?? true
            else { return "the lists of the objects differ in length" }
            let areWithin = objects.bbox.allSatisfy {
                $0.count == 4 && $0[2] > 0 && $0[3] > 0 && $0[0] >= 0 && $0[1] >= 0
                    && $0[0] + $0[2] < Double(width) + 0.005 && $0[1] + $0[3] < Double(height) + 0.005
            }
            return areWithin ? nil : "a box is not within the image"
        }
    }
}
