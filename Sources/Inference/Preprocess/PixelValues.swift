import CKernels

/// What the vision tower reads: [3, S, S] in −1…1.
public struct PixelValues: Sendable, Equatable {
    /// Side S, pixels.
    public let size: Int
    /// Channel, row, column.
    public let values: [Float]

    /// Resizes an RGB image to S × S (bicubic, aspect not kept) and normalises: x / 127.5 − 1, in the reference's rounding.
    ///
    /// - Parameters:
    ///   - rgb: [height, width, 3] bytes.
    ///   - size: S.
    public init(rgb: [UInt8], width: Int, height: Int, size: Int) {
        self.init(resized: Self.resized(rgb: rgb, width: width, height: height, size: size), size: size)
    }

    /// The first half: an RGB image [height, width, 3] as [S, S, 3] bytes.
    public static func resized(rgb: [UInt8], width: Int, height: Int, size: Int) -> [UInt8] {
        precondition(width > 0 && height > 0 && rgb.count == width * height * 3)
        return resizeBicubic(rgb, width: width, height: height, toWidth: size, toHeight: size)
    }

    /// The second half: normalises [S, S, 3] bytes.
    public init(resized: [UInt8], size: Int) {
        precondition(resized.count == size * size * 3)
        let plane = size * size
        self.size = size
        values = [Float](unsafeUninitializedCapacity: 3 * plane) { buffer, count in
            for i in 0..<plane {
                for channel in 0..<3 { buffer[channel * plane + i] = normalised[Int(resized[i * 3 + channel])] }
            }
            count = 3 * plane
        }
    }

    /// The values of one patch: channel, row, column.
    func patch(row: Int, column: Int, size patch: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: 3 * patch * patch) { buffer, count in
            for channel in 0..<3 {
                for y in 0..<patch {
                    let start = (channel * size + row * patch + y) * size + column * patch
                    for x in 0..<patch {
                        buffer[count] = values[start + x]
                        count += 1
                    }
                }
            }
        }
    }
}

/// Hugging Face's processor: × 1/255 in double, rounded to f32, then (x − 0.5) / 0.5.
private let normalised: [Float] = (0..<256).map { (Float(Double($0) * 0.00392156862745098) - 0.5) / 0.5 }
