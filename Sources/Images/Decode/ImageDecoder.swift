import CImage

/// Files to pixels: JPEG, PNG and WebP, as Pillow decodes them.
///
/// PNG and lossless WebP come out bit for bit as in Pillow 13 on the background colour; JPEG and lossy WebP within
/// one step a channel, which is what two versions of their libraries may differ by.
public enum ImageDecoder {
    /// Decodes a whole file into upright RGB.
    ///
    /// - Parameters:
    ///   - bytes: The file.
    ///   - limits: The most pixels, checked before any are decoded, and the colour behind transparency.
    /// - Throws: ``ImageError``: `notAnImage`, `unsupportedFormat`, `truncated`, `corrupt`, `tooManyPixels`
    ///   (permanent), `outOfMemory` (fatal).
    public static func decode(
        _ bytes: [UInt8], limits: DecodeLimits = DecodeLimits()
    ) throws(ImageError) -> RGBImage {
        let codec = Codec(format: try ImageFormat(sniffing: bytes), background: limits.background)
        let header = try codec.header(of: bytes)
        try check(header, limits)
        let stored = try codec.decode(bytes, header)
        return upright(stored, Orientation(of: bytes, format: codec.format))
    }

    /// The most bytes that decoding takes for each pixel, beside the file itself: a WebP with transparency. Most files take a third of it.
    public static let workingBytes = 12

    /// What a file's header says, without decoding it.
    ///
    /// - Throws: ``ImageError``: what its header alone gives away; see `decode`.
    public static func header(
        of bytes: [UInt8], limits: DecodeLimits = DecodeLimits()
    ) throws(ImageError) -> ImageHeader {
        let codec = Codec(format: try ImageFormat(sniffing: bytes), background: limits.background)
        let header = try codec.header(of: bytes)
        try check(header, limits)
        let (width, height) = (Int(header.width), Int(header.height))
        let orientation = Orientation(of: bytes, format: codec.format)
        // Turning an image takes another one of its size.
        let turning = orientation == .upright ? 0 : 2 * 3 * width * height
        return ImageHeader(
            width: orientation.swapsSides ? height : width, height: orientation.swapsSides ? width : height,
            orientation: orientation.rawValue, format: codec.format,
            workingBytes: max(Int(clamping: header.working), turning))
    }

    private static func check(_ header: cimage_header, _ limits: DecodeLimits) throws(ImageError) {
        let pixels = Int(header.width) * Int(header.height)
        guard pixels > 0 else { throw ImageError(.corrupt, "corrupt image: it has no pixels") }
        let longest = max(Int(header.width), Int(header.height))
        guard longest <= limits.maxSide else {
            throw ImageError(
                .tooManyPixels,
                "image too large: \(header.width) × \(header.height); a side may have at most \(limits.maxSide) pixels")
        }
        guard pixels <= limits.maxPixels else {
            let size = "\(header.width) × \(header.height)"
            throw ImageError(
                .tooManyPixels,
                "image too large: \(size) is \(pixels) pixels; at most \(limits.maxPixels) are decoded")
        }
    }

    private static func upright(_ image: RGBImage, _ orientation: Orientation) -> RGBImage {
        if orientation == .upright { return image }
        let pixels = [UInt8](unsafeUninitializedCapacity: image.pixels.count) { target, count in
            image.pixels.withUnsafeBufferPointer { source in
                cimage_orient(
                    source.baseAddress, image.width, image.height, Int32(orientation.rawValue), target.baseAddress)
            }
            count = image.pixels.count
        }
        let swaps = orientation.swapsSides
        return RGBImage(
            width: swaps ? image.height : image.width, height: swaps ? image.width : image.height, pixels: pixels)
    }
}
