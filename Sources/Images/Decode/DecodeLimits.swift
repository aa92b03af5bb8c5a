/// What decoding may cost, which images are wanted, and what stands behind transparent pixels.
public struct DecodeLimits: Hashable, Sendable {
    /// A colour, eight bits a channel.
    public struct Colour: Hashable, Sendable {
        /// The three channels, 0 to 255.
        public let red, green, blue: UInt8

        /// White: 255, 255, 255.
        public static let white = Colour(red: 255, green: 255, blue: 255)

        /// A colour of three channels, 0 to 255.
        public init(red: UInt8, green: UInt8, blue: UInt8) {
            self.red = red
            self.green = green
            self.blue = blue
        }

        /// A colour as 0xRRGGBB.
        public init(rgb: UInt32) {
            self.init(red: UInt8(rgb >> 16 & 255), green: UInt8(rgb >> 8 & 255), blue: UInt8(rgb & 255))
        }

        /// The colour as 0xRRGGBB.
        public var rgb: UInt32 { UInt32(red) << 16 | UInt32(green) << 8 | UInt32(blue) }
    }

    /// The most pixels (width × height, as stored in the file) that are decoded. Default: 100 million.
    ///
    /// An image takes 3 bytes a pixel, twice that while it is turned upright, and up to 24 while it is decoded (``ImageDecoder/workingBytes``):
    /// 2.4 GB at the default.
    public var maxPixels: Int
    /// The colour that transparent pixels are laid on. Default: white.
    public var background: Colour
    /// The longest side, in pixels: JPEG's own. What resizes a row needs memory by its length.
    public var maxSide = 65_535

    /// What is read; anything else is `unsupportedFormat`. Default: ``ImageFormat/usual``.
    public var formats: Set<ImageFormat>
    /// The shortest side that is wanted, in pixels. Default: 1.
    public var minSide = 1
    /// The largest ratio of the longer side to the shorter one that is wanted. Default: any.
    public var maxAspectRatio = Double.infinity

    /// Limits; every one has a default.
    public init(
        maxPixels: Int = 100_000_000, background: Colour = .white, formats: Set<ImageFormat> = ImageFormat.usual
    ) {
        self.maxPixels = maxPixels
        self.background = background
        self.formats = formats
    }

    /// The most bytes that decoding an image of these limits takes.
    var mostWorkingBytes: Int {
        // The coefficients of a JPEG's blocks beyond its edges, for each of four colours.
        let edges = 256 * (2 * maxSide + 32)
        return ImageDecoder.workingBytes * maxPixels + edges
    }
}
