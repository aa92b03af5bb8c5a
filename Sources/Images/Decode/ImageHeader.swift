/// What a file says about its image.
public struct ImageHeader: Hashable, Sendable {
    /// Pixels a row, as shown upright.
    public let width: Int
    /// Rows, as shown upright.
    public let height: Int
    /// The EXIF orientation that decoding applies, 1...8; 1: none.
    public let orientation: Int
    /// What the file is.
    public let format: ImageFormat
    /// The most bytes that decoding takes, beside the file.
    public let workingBytes: Int

    /// A header of any numbers.
    public init(width: Int, height: Int, orientation: Int, format: ImageFormat, workingBytes: Int) {
        self.width = width
        self.height = height
        self.orientation = orientation
        self.format = format
        self.workingBytes = workingBytes
    }

    /// Whether an image of these limits can have such a header: for one that a stranger states.
    public func isPossible(within limits: DecodeLimits) -> Bool {
        let sides = 1...limits.maxSide
        return sides.contains(width) && sides.contains(height) && width * height <= limits.maxPixels
            && (1...8).contains(orientation)
            && (1...limits.mostWorkingBytes).contains(workingBytes)
    }
}
