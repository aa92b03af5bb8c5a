/// A decoded picture: eight bits a channel, upright, without transparency.
public struct RGBImage: Hashable, Sendable {
    /// Pixels a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// `height` × `width` × 3 bytes, row-major, red first.
    public let pixels: [UInt8]

    /// Wraps pixels; `pixels.count` must be `height` × `width` × 3.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "pixels do not match the size")
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}
