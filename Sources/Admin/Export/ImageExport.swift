import Annotation
import ArgumentParser
import Console
import Foundation
import Images
import Queue
import Storage

/// An export of images with what was found in them: from the selection to the folder in its place.
struct ImageExport {
    /// What a format is made with.
    struct Context {
        let folder: ExportFolder
        let categories: Categories
        let counts: ExportCounts
        let files: ImageFiles
        let isStored: Bool
    }

    let database: DatabaseOptions
    let format: String
    var kind: String?
    let selection: ExportSelection
    let output: OutputFlags
    let images: ImageFlags
    /// Unless something else is asked for.
    var defaultFiles = ImageFiles.none
    var categoriesFile: String?
    /// Those of a ground truth, in place of a file's.
    var givenCategories: [COCOIdentifiers.Category]?
    /// Whether an image with things comes first: readers take the columns' types from the first rows.
    var putsThingsFirst = false
    /// Whether answers and prompts are written.
    var hasTexts = false

    /// The folder's path.
    var path: String { output.output ?? "gloss-\(format)" }

    /// What becomes of the images' files.
    var files: ImageFiles { images.images ?? defaultFiles }

    func validate() throws {
        guard files != .none || !images.fetching.areGiven else {
            throw ValidationError("--allow-network, --allow-port and --allow-files are for --images copy or link.")
        }
    }

    /// Writes the export.
    /// - Parameter make: makes the format's writer.
    func run(_ make: (Context) throws -> any ExportWriter) async throws {
        let given = try givenCategories?.map(\.name) ?? categoriesFile.map(Categories.read)
        let earlier = given == nil ? try Manifest.categories(ofExportAt: path) : []
        let administration = database.administration(statementTimeout: nil)
        if let batch = selection.batch { try await administration.batch(named: batch) }
        let columns = selection.condition == nil ? [] : try await administration.columns(of: selection.view)
        let folder = try ExportFolder(path)
        let interruption = folder.discardWhenInterrupted()
        defer { interruption.forEach { $0.cancel() } }
        do {
            let snapshot = try await administration.snapshot()
            try await selection.checkCondition(snapshot, columns: columns)
            let counts = try await ExportCounts(snapshot, selection, forReaders: putsThingsFirst)
            let categories = Categories(labels: counts.labels.map(\.what), given: given, earlier: earlier)
            let isStored = images.orientation == .stored
            let context = Context(
                folder: folder, categories: categories, counts: counts, files: files, isStored: isStored)
            var writer = try make(context)
            var maker = ItemMaker(categories, isStored: isStored, names: images.names)
            let reason = try await write(snapshot, &maker, &writer, context)
            try await snapshot.end()
            try writer.finish()
            let manifest = manifest(context, maker.counts, writer.counts)
            if output.verify { try writer.verify(manifest.counts) }
            try manifest.write(to: folder)
            try folder.finish()
            try say(manifest, writer.notes, reason)
        } catch {
            folder.discard()
            throw error
        }
    }

    /// - Returns: why the first of the images that are left out is so.
    private func write(
        _ snapshot: Snapshot, _ maker: inout ItemMaker, _ writer: inout any ExportWriter, _ context: Context
    ) async throws -> String? {
        let bar = ProgressBar("export")
        defer { bar.finish() }
        var reader = try await ExportReader(
            snapshot, selection, first: putsThingsFirst ? context.counts.firstImageWithFindings : nil,
            withSources: files != .none, withTexts: hasTexts)
        var collector =
            files == .none
            ? nil : try ImageCollector(context.folder, writer.imageFolder, files, images.fetching.policy)
        var (done, items) = (0, [ExportItem]())
        while true {
            let image = try await reader.next(selection)
            if let image {
                done += image.jobs.count
                items.append(maker.item(image))
            }
            if image == nil || items.count == ImageCollector.together {
                for item in try await collected(items, &collector, &maker) {
                    maker.count(item)
                    try writer.write(item)
                }
                items.removeAll(keepingCapacity: true)
                bar.show(Double(done) / Double(max(context.counts.imageUses, done, 1)), count: done)
            }
            if image == nil { break }
        }
        try collector?.finish()
        return collector?.firstReason
    }

    /// The items whose files are there, or all of them where files do not matter.
    private func collected(
        _ items: [ExportItem], _ collector: inout ImageCollector?, _ maker: inout ItemMaker
    ) async throws -> [ExportItem] {
        guard let outcomes = try await collector?.collect(items) else { return items }
        return outcomes.compactMap { item, outcome in
            switch outcome {
            case .changed: maker.countChanged()
            case .missing: maker.countMissing()
            case .file(let bytes, _, _):
                var item = item
                item.bytes = bytes
                return item
            }
            return nil
        }
    }

    private func manifest(
        _ context: Context, _ counted: Manifest.Counts, _ extra: [String: Int]
    ) -> Manifest {
        let counts = context.counts
        var all = counted
        all.results = counts.results
        all.dead = counts.dead.reduce(0) { $0 + $1.count }
        all.dead_by_code = Dictionary(uniqueKeysWithValues: counts.dead.map { ($0.what, $0.count) })
        (all.pending, all.truncated, all.repeated) = (counts.pending, counts.truncated, counts.repeated)
        all.not_understood = counts.notUnderstood
        all.format = extra
        let labels = Dictionary(
            counts.labels.map { (context.categories.place(of: $0.what) ?? -1, $0.count) }, uniquingKeysWith: +)
        return Manifest(
            format: format, kind: kind,
            selection: Manifest.Selection(
                batch: selection.batch, tasks: selection.tasks.map(\.rawValue), model: selection.model,
                since: selection.since, where: selection.condition, truth: selection.truth.name),
            orientation: images.orientation.rawValue, images: files.rawValue, counts: all,
            categories: context.categories.names.enumerated().map {
                Manifest.Category(
                    id: givenCategories?[$0.offset].id ?? $0.offset + 1, name: $0.element, count: labels[$0.offset] ?? 0
                )
            },
            models: counts.engines, prompts: counts.prompts)
    }

    /// What was written goes to standard output, and what a person should look at to standard error.
    private func say(_ manifest: Manifest, _ notes: [String], _ reason: String?) throws {
        let counts = manifest.counts
        if output.format.json {
            try JSONText.say(manifest)
        } else {
            Console.say(
                "\(path): \(Self.count(counts.images, "image")), \(Self.count(counts.objects, "object")), "
                    + "\(Self.count(counts.masks, "mask"))\(output.verify ? ", verified" : "")")
        }
        func note(_ number: Int, _ what: String) {
            if number > 0 { Console.note("\(Formats.count(number)) \(what)") }
        }
        note(
            counts.turned,
            "images carry an EXIF orientation: boxes are those of the image "
                + (manifest.orientation == "stored" ? "as its file has it" : "as it is shown"))
        note(counts.pending, "jobs are not done yet")
        note(counts.dead, "jobs are dead and have no result")
        note(counts.truncated, "results were cut off at their most tokens")
        note(counts.clipped, "boxes were clipped to the image")
        let dropped = counts.dropped
        note(dropped.no_area + dropped.no_box + dropped.other_label, "things were left out (dropped in the manifest)")
        note(
            counts.changed_images + counts.missing_images,
            "images were left out; the first: \(reason ?? "unknown") (\(ImageCollector.listName) has them all)")
        if manifest.models.count > 1, selection.model == nil {
            Console.note("the results are of \(manifest.models.count) models; --model chooses one")
        }
        for note in notes { Console.note(note) }
    }

    private static func count(_ number: Int, _ noun: String) -> String {
        "\(Formats.count(number)) \(noun)\(number == 1 ? "" : "s")"
    }
}
