import Annotation
import ArgumentParser
import Storage

/// `glossctl export coco`
struct ExportCOCO: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coco",
        abstract: "Boxes, masks or captions as COCO's JSON.",
        discussion: """
            instances is a ground truth: images, annotations, categories; masks are run lengths with iscrowd 0, and score \
            is a field beside the others. results is the array that pycocotools' loadRes reads; with --gt the numbers of \
            images and categories are those of that file. captions is a ground truth of captions.

            EXAMPLES
              glossctl export coco --batch photos --images copy
              glossctl export coco --kind results --gt instances_val2017.json --batch val
              glossctl export coco --kind results --task caption --gt captions_val2017.json --batch val

            \(ExitStatus.help)
            """)

    /// What the file is.
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case instances, results, captions
    }

    @OptionGroup var database: DatabaseOptions
    @Option(help: "instances, results or captions.")
    var kind = Kind.instances
    @Option(
        help: ArgumentHelp(
            "With --kind results: the ground truth whose numbers of images (by file name or key) and categories (by "
                + "name) are to be used.", valueName: "file"), completion: .file(extensions: ["json"]))
    var gt: String?
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var categories: CategoryFlags
    @OptionGroup var images: ImageFlags
    @OptionGroup var output: OutputFlags

    func validate() throws {
        if gt != nil, kind != .results { throw ValidationError("--gt is for --kind results.") }
        if gt != nil, categories.categories != nil {
            throw ValidationError("--gt and --categories exclude each other.")
        }
        if kind == .captions, categories.categories != nil {
            throw ValidationError("--categories is not for --kind captions.")
        }
        try export().validate()
    }

    func run() async throws {
        let export = try export()
        let truth = try gt.map(COCOTruth.init)
        var copy = export
        copy.givenCategories = truth?.categories
        try await copy.run { context in
            try COCOWriter(context, hasCaptions: hasCaptions, isResults: kind == .results, truth: truth)
        }
    }

    /// Captions have a file of their own.
    private var hasCaptions: Bool {
        kind == .captions || kind == .results && !selection.task.isEmpty && selection.task.allSatisfy(\.givesText)
    }

    private func export() throws -> ImageExport {
        let boxes = TaskName.allCases.filter(\.givesBoxes)
        let texts = TaskName.allCases.filter(\.givesText)
        let chosen =
            hasCaptions
            ? try selection.selection(of: texts, default: [.caption], view: .result)
            : try selection.selection(of: boxes)
        return ImageExport(
            database: database, format: "coco", kind: kind.rawValue, selection: chosen, output: output, images: images,
            categoriesFile: categories.categories, hasTexts: hasCaptions)
    }
}

extension TaskName {
    /// Whether it finds things in an image.
    var givesBoxes: Bool { definition.presentation == .boxes }

    /// Whether it gives one text about an image, without a question.
    var givesText: Bool { definition.presentation == .text }
}
