import ArgumentParser

/// `glossctl export`
struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes results in the formats of other tools, for training and for evaluation.",
        discussion: """
            Each format is a folder with a manifest.json that says what is in it and what did not come through. Images \
            have the numbers of gloss.image, so that two exports agree. An image in which nothing was found is in the \
            export too. docs/exports.md has an example of each format, and what it loses.

            EXAMPLES
              glossctl export coco --batch photos
              glossctl export coco --kind results --gt instances_val2017.json --batch val
              glossctl export yolo --segments --where 'score > .3' --images copy --output photos-yolo
              glossctl export objaverse --batch objects

            \(ExitStatus.help)
            """,
        subcommands: [
            ExportCOCO.self, ExportJSONL.self, ExportYOLO.self, ExportLabelStudio.self, ExportImageFolder.self,
            ExportWebDataset.self, ExportObjaverse.self,
        ])
}
