import CImage
import Glibc

/// JPEG files of our own making, for people to look at.
public enum JPEGFile {
    /// Writes a picture.
    ///
    /// - Parameter quality: 1 to 100.
    /// - Returns: the file; nil: there is no memory, or a side has more than 65,500 pixels.
    public static func encode(_ image: RGBImage, quality: Int = 85) -> [UInt8]? {
        guard image.width <= 65_500, image.height <= 65_500 else { return nil }
        var file: UnsafeMutablePointer<UInt8>?
        let count = image.pixels.withUnsafeBufferPointer { pixels in
            cimage_jpeg_encode(pixels.baseAddress, UInt32(image.width), UInt32(image.height), Int32(quality), &file)
        }
        guard let file else { return nil }
        defer { free(file) }
        return Array(UnsafeBufferPointer(start: file, count: count))
    }
}
