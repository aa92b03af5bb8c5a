/// What the vision tower reads, [3, S, S] in −1…1: kept as bytes, a quarter of the numbers, and normalised where
/// patches are taken.
public struct PixelValues: Sendable, Equatable {
    /// Side S, pixels.
    public let size: Int
    /// Row, column, channel: [S, S, 3].
    public let bytes: [UInt8]

    /// Resizes an RGB image to S × S (aspect not kept).
    ///
    /// - Parameters:
    ///   - rgb: [height, width, 3] bytes.
    ///   - size: S.
    public init(rgb: [UInt8], width: Int, height: Int, size: Int, by resize: Resize = .bicubic) {
        self.init(resized: Self.resized(rgb: rgb, width: width, height: height, size: size, by: resize), size: size)
    }

    /// The first half: an RGB image [height, width, 3] as [S, S, 3] bytes.
    public static func resized(
        rgb: [UInt8], width: Int, height: Int, size: Int, by resize: Resize = .bicubic
    ) -> [UInt8] {
        precondition(width > 0 && height > 0 && rgb.count == width * height * 3)
        return resize.apply(rgb, width: width, height: height, size: size)
    }

    /// The second half: takes [S, S, 3] bytes.
    public init(resized: [UInt8], size: Int) {
        precondition(resized.count == size * size * 3)
        (self.size, bytes) = (size, resized)
    }

    /// Channel, row, column: x / 127.5 − 1, in the reference's rounding.
    public var values: [Float] { patch(row: 0, column: 0, size: size) }

    /// The values of one patch: channel, row, column.
    func patch(row: Int, column: Int, size patch: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: 3 * patch * patch) { buffer, count in
            for channel in 0..<3 {
                for y in 0..<patch {
                    let start = ((row * patch + y) * size + column * patch) * 3 + channel
                    for x in 0..<patch {
                        buffer[count] = normalised[Int(bytes[start + 3 * x])]
                        count += 1
                    }
                }
            }
        }
    }
}

/// Hugging Face's processor: × 1/255 in double, rounded to f32, then (x − 0.5) / 0.5.
private let normalised: [Float] = (0..<256).map { (Float(Double($0) * 0.00392156862745098) - 0.5) / 0.5 }
