import Annotation

/// An image that jobs were about, with all that they found.
struct ExportedImage {
    /// gloss.image's number: the same in every export.
    var id: Int
    /// In hexadecimal.
    var sha256: String
    /// As shown upright.
    var width: Int, height: Int
    var orientation: EXIFOrientation
    /// `jpeg`, `png`, `webp`, …: one of `ImageFormat`.
    var format: String
    var byteCount: Int
    /// Those that named it, by their numbers.
    var jobs: [ExportedJob]
    /// By job, in the model's order.
    var findings: [ExportedFinding] = []

    /// The size as exports have it.
    func size(stored: Bool) -> (width: Int, height: Int) {
        stored && orientation.swapsSides ? (height, width) : (width, height)
    }
}

/// A finished job that named an image.
struct ExportedJob {
    var id: Int
    var task: String
    var key: String?
    /// As views show it.
    var url: String
    /// Where it was found in the end.
    var finalURL: String
    /// The URL itself; nil where nobody asked for it.
    var source: String?
    var model: String
    /// The prompt of the first question.
    var prompt: String
    /// The best answer or text.
    var text: String
    /// As PostgreSQL writes it.
    var score: String?
}

/// Something that was found in an image.
struct ExportedFinding {
    var job: Int
    var label: String
    /// As PostgreSQL writes it.
    var score: String
    /// Top, left, bottom, right, in fractions of the upright image; nil: it has no place.
    var box: (y1: Double, x1: Double, y2: Double, x2: Double)?
    /// COCO's run lengths at the upright size.
    var mask: String?
    var note: String?
    var model: String
}
