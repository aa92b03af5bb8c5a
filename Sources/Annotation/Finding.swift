/// A rectangle. Coordinates are fractions of the image's height and width, 0...1.
public struct Box: Hashable, Sendable, Codable {
    /// Upper edge, left edge, lower edge, right edge.
    public var y1: Float, x1: Float, y2: Float, x2: Float

    public init(y1: Float, x1: Float, y2: Float, x2: Float) {
        self.y1 = y1
        self.x1 = x1
        self.y2 = y2
        self.x2 = x2
    }
}

/// Something that was found in an image: a row of `gloss.finding`.
public struct Finding: Hashable, Sendable {
    /// The image's index into the job's image URLs, from 0.
    public var imageIndex: Int
    /// What it is, as the model wrote it.
    public var label: String
    /// A probability, 0...1; findings are ranked by it. That of a box: `BoxScore`.
    public var score: Float
    /// The mean probability of the tokens that describe its shape, where the task has such tokens.
    public var tokenScore: Float?
    /// Where it is.
    public var box: Box?
    /// The codes of its outline, 16 numbers 0...127; nil: the response has none.
    public var codes: [Int]?
    /// Its pixels; nil: there are no codes, or nothing decodes them.
    public var mask: RunLengthMask?
    /// What makes it doubtful, as stable words separated by commas; nil: nothing.
    public var note: String?

    public init(
        imageIndex: Int = 0, label: String, score: Float, tokenScore: Float? = nil, box: Box? = nil,
        codes: [Int]? = nil, mask: RunLengthMask? = nil, note: String? = nil
    ) {
        self.imageIndex = imageIndex
        self.label = label
        self.score = score
        self.tokenScore = tokenScore
        self.box = box
        self.codes = codes
        self.mask = mask
        self.note = note
    }

    /// What may make a finding doubtful.
    enum Note: String {
        /// An earlier one has the same label and almost the same box.
        case duplicate
        /// The response was cut off within it.
        case unfinished
        /// It has fewer than 16 codes.
        case partialCodes = "partial_codes"
        /// There are codes, and nothing that decodes them.
        case noMaskDecoder = "no_mask_decoder"
        /// The box has no pixel of the image.
        case noPixels = "no_pixels"
    }

    /// Adds a note to those it has.
    mutating func add(note: Note) { self.note = [self.note, note.rawValue].compactMap { $0 }.joined(separator: ",") }
}
