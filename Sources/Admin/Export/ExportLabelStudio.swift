import Annotation
import ArgumentParser

/// `glossctl export label-studio`
struct ExportLabelStudio: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label-studio",
        abstract: "Predictions for Label Studio, and the configuration of labels that fits them.",
        discussion: """
            tasks.json has a task an image, with a prediction a model: boxes, masks as brush strokes, captions and texts. \
            config.xml is the project's labeling interface. In the project's settings select the model version, else Label \
            Studio shows no prediction. Images of a local file, or with --images copy, are /data/local-files/?d=… URLs: \
            see LOCAL_FILES_DOCUMENT_ROOT in Label Studio's documentation.

            EXAMPLES
              glossctl export label-studio --batch photos
              glossctl export label-studio --task detect --task caption --where 'score > .3'

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var categories: CategoryFlags
    @OptionGroup var images: ImageFlags
    @OptionGroup var output: OutputFlags

    func validate() throws { try export().validate() }

    func run() async throws {
        let export = try export()
        try await export.run { context in
            try LabelStudioWriter(context, name: export.path, tasks: export.selection.tasks)
        }
    }

    private func export() throws -> ImageExport {
        ImageExport(
            database: database, format: "label-studio",
            selection: try selection.selection(of: TaskName.allCases.filter { $0.givesBoxes || $0.givesText }),
            output: output, images: images, categoriesFile: categories.categories, hasTexts: true)
    }
}
