import CImage

/// Files to pixels, as Pillow decodes them.
///
/// PNG, GIF, BMP, TIFF and lossless WebP come out bit for bit as in Pillow 13 on the background colour; the others within what two
/// versions of their libraries may differ by. docs/fetching.md has what the comparison found.
public enum ImageDecoder {
    /// Decodes a whole file into upright RGB.
    ///
    /// - Parameters:
    ///   - bytes: The file.
    ///   - limits: What may be decoded, checked by the header, and the colour behind transparency.
    /// - Throws: ``ImageError``: `notAnImage`, `unsupportedFormat`, `truncated`, `corrupt`, `tooManyPixels`, `tooSmall`, `aspectRatio`
    ///   (permanent), `outOfMemory` (fatal).
    public static func decode(
        _ bytes: [UInt8], limits: DecodeLimits = DecodeLimits()
    ) throws(ImageError) -> RGBImage {
        let codec = try codec(for: bytes, limits)
        let header = try codec.header(of: bytes)
        try check(header, limits)
        let stored = try codec.decode(bytes, header)
        return upright(stored, Orientation(of: bytes, format: codec.format))
    }

    /// The most bytes that decoding takes for each pixel, beside the file itself: an AVIF or HEIC of more than eight bits. Most files take
    /// an eighth of it.
    public static let workingBytes = 24

    /// Does what libraries do once for a process, with system calls of all kinds: before the process closes itself in.
    public static func prepare() { cimage_prepare() }

    /// What a file's header says, without decoding it.
    ///
    /// - Throws: ``ImageError``: what its header alone gives away; see `decode`.
    public static func header(
        of bytes: [UInt8], limits: DecodeLimits = DecodeLimits()
    ) throws(ImageError) -> ImageHeader {
        let codec = try codec(for: bytes, limits)
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

    private static func codec(for bytes: [UInt8], _ limits: DecodeLimits) throws(ImageError) -> Codec {
        let format = try ImageFormat(sniffing: bytes)
        guard limits.formats.contains(format) else {
            throw ImageFormat.refusal(of: format, reading: limits.formats)
        }
        return Codec(format: format, background: limits.background)
    }

    private static func check(_ header: cimage_header, _ limits: DecodeLimits) throws(ImageError) {
        guard header.width > 0, header.height > 0 else { throw ImageError(.corrupt, "corrupt image: it has no pixels") }
        let longest = max(Int(header.width), Int(header.height))
        guard longest <= limits.maxSide else {
            throw ImageError(
                .tooManyPixels,
                "image too large: \(header.width) × \(header.height); a side may have at most \(limits.maxSide) pixels")
        }
        let pixels = Int(header.width) * Int(header.height)
        guard pixels <= limits.maxPixels else {
            let size = "\(header.width) × \(header.height)"
            throw ImageError(
                .tooManyPixels,
                "image too large: \(size) is \(pixels) pixels; at most \(limits.maxPixels) are decoded")
        }
        // What is stored may be more than what is shown of it.
        guard Int(clamping: header.working) <= limits.mostWorkingBytes else {
            throw ImageError(
                .tooManyPixels,
                "image too large: decoding it takes \(header.working >> 20) MB, as \(limits.maxPixels) pixels do not")
        }
        let shortest = min(Int(header.width), Int(header.height))
        guard shortest >= limits.minSide else {
            throw ImageError(
                .tooSmall,
                "image too small: \(header.width) × \(header.height); a side must have at least \(limits.minSide) pixels"
            )
        }
        guard Double(longest) <= Double(shortest) * limits.maxAspectRatio else {
            throw ImageError(
                .aspectRatio,
                "image too narrow: \(header.width) × \(header.height); its sides may be as \(limits.maxAspectRatio) to 1"
            )
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
