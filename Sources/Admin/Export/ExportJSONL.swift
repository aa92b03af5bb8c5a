import Annotation
import ArgumentParser

/// `glossctl export jsonl`
struct ExportJSONL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jsonl",
        abstract: "A line of JSON a thing, or with --nested an image, with boxes in pixels.",
        discussion: """
            With --nested a line has an image, its size and SHA-256, all things in it, and what other jobs said of it. \
            Without, a line has a thing, and an image in which nothing was found has no line.

            EXAMPLES
              glossctl export jsonl --nested --batch photos
              glossctl export jsonl --where 'score > .3' --output found

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @Flag(help: "A line an image.")
    var nested = false
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var categories: CategoryFlags
    @OptionGroup var images: ImageFlags
    @OptionGroup var output: OutputFlags

    func validate() throws { try export().validate() }

    func run() async throws {
        try await export().run { try JSONLWriter($0, isNested: nested) }
    }

    private func export() throws -> ImageExport {
        // The views of an object are no images of their own.
        let tasks = TaskName.allCases.filter { nested ? !$0.definition.limits.imagesAreViews : $0.givesBoxes }
        return ImageExport(
            database: database, format: "jsonl", kind: nested ? "nested" : nil,
            selection: try selection.selection(of: tasks), output: output, images: images,
            categoriesFile: categories.categories, hasTexts: nested)
    }
}
