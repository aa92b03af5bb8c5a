import Annotation
import ArgumentParser
import Foundation
import Storage

/// Which way up boxes, masks and sizes are.
enum ExportOrientation: String, ExpressibleByArgument, CaseIterable {
    /// As the image is shown.
    case upright
    /// As the file's rows and columns lie, before its EXIF orientation is applied.
    case stored
}

/// What becomes of the images' files.
enum ImageFiles: String, ExpressibleByArgument, CaseIterable {
    /// Fetched, compared and written.
    case copy
    /// As `copy`, but local files are linked to.
    case link
    /// Left where they are.
    case none
}

/// Which results a command exports; the same for every format.
struct SelectionFlags: ParsableArguments {
    @Option(help: "Only results of this batch. Default: all.")
    var batch: String?
    @Option(help: "Only results of this task; may be repeated. Default: those that the format has a place for.")
    var task: [TaskName] = []
    @Option(help: "Only results of this model, by its name or digest. Default: of all.")
    var model: String?
    @Option(help: "Only results finished at or after this time. Default: all.")
    var since: String?
    @Option(
        name: .customLong("where"),
        help: ArgumentHelp(
            "Only what this condition in SQL holds of, such as 'score > .3'. Default: everything.",
            valueName: "condition"))
    var condition: String?
    @Flag(help: "What reviewers accepted or edited, in place of the results: docs/review.md.")
    var truth = false
    @Flag(help: "With --truth: the other results too, as they are, but for those that were rejected.")
    var unreviewed = false

    func validate() throws {
        if unreviewed, !truth { throw ValidationError("--unreviewed is for --truth.") }
    }

    /// - Throws: `ValidationError` for a task that the format has no place for.
    func selection(
        of allowed: [TaskName], default usual: [TaskName]? = nil, view: ResultView = .found
    ) throws -> ExportSelection {
        if let other = task.first(where: { !allowed.contains($0) }) {
            throw ValidationError(
                "--task \(other) has no place in this format: it takes "
                    + allowed.map(\.rawValue).joined(separator: ", ") + ".")
        }
        return ExportSelection(
            batch: batch, tasks: task.isEmpty ? usual ?? allowed : task, model: model, since: since,
            condition: condition, view: view, truth: truth ? unreviewed ? .all : .reviewed : .none)
    }
}

/// Where an export goes; the same for every format.
struct OutputFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder to write. An earlier export there is replaced when the new one is whole. Default: gloss-FORMAT.",
            valueName: "dir"), completion: .directory)
    var output: String?
    @Flag(help: "Read what was written, and check it, before it comes into its place.")
    var verify = false
    @OptionGroup var format: FormatOptions
}

/// How images stand in an export.
struct ImageFlags: ParsableArguments {
    @Option(help: "Boxes, masks and sizes of the image as it is shown (upright) or as its file has it (stored).")
    var orientation = ExportOrientation.upright
    @Option(help: ArgumentHelp("Where the images' file names come from: url, key or sha256."))
    var names = NameSource.url
    @Option(
        help: ArgumentHelp(
            """
            copy: the images are fetched, and written if they are the files that were annotated. link: local files are \
            linked to. none. Default: none; copy where the format is made of image files.
            """))
    var images: ImageFiles?
    @OptionGroup var fetching: FetchOptions

    func validate() throws {
        guard images != ImageFiles.none || !fetching.areGiven else {
            throw ValidationError("--allow-network, --allow-port and --allow-files are for --images copy or link.")
        }
    }
}

/// Names of things and their order.
struct CategoryFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A file with a category a line, in order; other things are left out. Default: the order of the earlier "
                + "export in the folder, new ones behind it, else by name.", valueName: "file"),
        completion: .file())
    var categories: String?
}
