import Annotation
import ArgumentParser

/// `glossctl export yolo`
struct ExportYOLO: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "yolo",
        abstract: "Boxes, or with --segments outlines, as ultralytics' text files.",
        discussion: """
            labels/SPLIT has a file an image, a line a thing: the category from 0, then the box's middle and size, or with \
            --segments the corners of its outline, in fractions. data.yaml names the categories. Labels for training have \
            no score; --conf writes predictions/SPLIT beside them, which do.

            EXAMPLES
              glossctl export yolo --batch photos --images copy
              glossctl export yolo --segments --where 'score > .3' --images link --allow-files /srv/images

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @Flag(help: "Outlines in place of boxes; what has no mask has the outline of its box.")
    var segments = false
    @Flag(help: "Also write predictions/, with scores.")
    var conf = false
    @Option(help: "The name of the split: its folders, and its line in data.yaml.")
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
        try await export().run { context in
            try YOLOWriter(context, split: split, hasSegments: segments, hasPredictions: conf)
        }
    }

    private func export() throws -> ImageExport {
        ImageExport(
            database: database, format: "yolo", kind: segments ? "segments" : nil,
            selection: try selection.selection(of: TaskName.allCases.filter(\.givesBoxes)), output: output,
            images: images, categoriesFile: categories.categories)
    }
}

/// Names of splits, which are names of folders.
enum SplitName {
    static func validate(_ name: String) throws {
        let isPlain = name.utf8.allSatisfy {
            48..<58 ~= $0 || 65..<91 ~= $0 || 97..<123 ~= $0 || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
        }
        guard isPlain, !name.isEmpty else {
            throw ValidationError("--split must be of letters, digits, - and _, not \"\(name)\".")
        }
    }
}
