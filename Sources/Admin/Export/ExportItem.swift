import Annotation

/// An image as a format writes it: in the orientation and with the names that were chosen.
struct ExportItem {
    var image: ExportedImage
    /// Its file's name, which no other image has.
    var name: String
    /// In the orientation that was chosen.
    var width: Int, height: Int
    var things: [ExportThing]
    /// The file, where it was fetched and the format keeps it itself.
    var bytes: [UInt8]?
}

/// Something in an image that has a place there, and a name that is a category.
struct ExportThing {
    var job: Int
    /// The category's name.
    var label: String
    /// From 0.
    var category: Int
    /// As PostgreSQL writes it.
    var score: String
    var box: PixelBox
    /// At the size and in the orientation of the item.
    var mask: RunLengthMask?
    var note: String?
    var model: String
}

/// What is done with the images of an export. Each format is one.
protocol ExportWriter {
    /// The folder for the images' files; nil: the writer keeps the bytes itself.
    var imageFolder: String? { get }
    /// Writes the next image.
    mutating func write(_ item: ExportItem) throws
    /// Writes what comes last. Nothing is written afterwards.
    mutating func finish() throws
    /// What it counted beside what all formats count.
    var counts: [String: Int] { get }
    /// What a person should know.
    var notes: [String] { get }
    /// Reads what was written.
    /// - Throws: `CommandError` that names the file, the line and the fault.
    func verify(_ counts: Manifest.Counts) throws
}

extension ExportWriter {
    /// Nothing.
    var counts: [String: Int] { [:] }
    /// Nothing.
    var notes: [String] { [] }
}

/// Makes items of images, and counts what does not come through.
struct ItemMaker {
    let categories: Categories
    let isStored: Bool
    private var names: ImageNames
    private(set) var counts = Manifest.Counts()

    init(_ categories: Categories, isStored: Bool, names: NameSource) {
        (self.categories, self.isStored) = (categories, isStored)
        self.names = ImageNames(names)
    }

    mutating func item(_ image: ExportedImage) -> ExportItem {
        let (width, height) = image.size(stored: isStored)
        return ExportItem(
            image: image, name: names.name(of: image), width: width, height: height,
            things: image.findings.compactMap { thing($0, image) })
    }

    private mutating func thing(_ finding: ExportedFinding, _ image: ExportedImage) -> ExportThing? {
        guard let edges = finding.box else {
            counts.dropped.no_box += 1
            return nil
        }
        guard let category = categories.place(of: finding.label) else {
            counts.dropped.other_label += 1
            return nil
        }
        let orientation = isStored ? image.orientation : nil
        guard
            let box = PixelBox(
                y1: edges.y1, x1: edges.x1, y2: edges.y2, x2: edges.x2, width: image.width, height: image.height,
                storedAs: orientation)
        else {
            counts.dropped.no_area += 1
            return nil
        }
        if box.isClipped { counts.clipped += 1 }
        var mask = finding.mask.map { RunLengthMask(height: image.height, width: image.width, counts: $0) }
        if let orientation, let upright = mask { mask = upright.stored(as: orientation) }
        return ExportThing(
            job: finding.job, label: categories.names[category], category: category, score: finding.score,
            box: box, mask: mask, note: finding.note, model: finding.model)
    }

    /// Counts an item that is part of the export.
    mutating func count(_ item: ExportItem) {
        counts.images += 1
        if item.image.orientation.number != 1 { counts.turned += 1 }
        if item.things.isEmpty { counts.empty_images += 1 }
        counts.objects += item.things.count
        counts.masks += item.things.reduce(0) { $0 + ($1.mask == nil ? 0 : 1) }
    }

    /// Counts an image whose file is another one now.
    mutating func countChanged() { counts.changed_images += 1 }

    /// Counts an image whose file cannot be had.
    mutating func countMissing() { counts.missing_images += 1 }
}
