/// What a file is, by its first bytes. File names and content types are hearsay.
public enum ImageFormat: String, CaseIterable, Sendable {
    /// JPEG, baseline or progressive.
    case jpeg
    /// PNG.
    case png
    /// WebP, lossy or lossless; of an animation the first frame.
    case webp

    /// As people write it.
    var name: String {
        switch self {
        case .jpeg: "JPEG"
        case .png: "PNG"
        case .webp: "WebP"
        }
    }

    /// The format of `bytes`; throws ``ImageError`` (`unsupportedFormat`, `notAnImage`) for anything else.
    init(sniffing bytes: [UInt8]) throws(ImageError) {
        switch bytes {
        case _ where bytes.starts(with: [0xFF, 0xD8, 0xFF]): self = .jpeg
        case _ where bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]): self = .png
        case _ where bytes.starts(with: "RIFF".utf8) && bytes.dropFirst(8).starts(with: "WEBP".utf8): self = .webp
        default: throw Self.refusal(of: bytes)
        }
    }

    private static func refusal(of bytes: [UInt8]) -> ImageError {
        if bytes.isEmpty { return ImageError(.notAnImage, "not an image: the file is empty") }
        if let other = otherFormat(of: bytes) {
            return ImageError(
                .unsupportedFormat, "not an image that is read here: looks like \(other); use JPEG, PNG or WebP")
        }
        if let text = textKind(of: bytes) { return ImageError(.notAnImage, "not an image: looks like \(text)") }
        return ImageError(.notAnImage, "not an image: the first bytes are \(hexadecimal(bytes.prefix(8)))")
    }

    /// An image format that exists but is not read.
    private static func otherFormat(of bytes: [UInt8]) -> String? {
        let signatures: [(String, name: String)] = [
            ("GIF87a", "GIF"), ("GIF89a", "GIF"), ("BM", "BMP"), ("II*\0", "TIFF"), ("MM\0*", "TIFF"),
            ("8BPS", "Photoshop"),
        ]
        if let known = signatures.first(where: { bytes.starts(with: $0.0.utf8) }) { return known.name }
        if bytes.starts(with: [0xFF, 0x0A]) || bytes.dropFirst(4).starts(with: "JXL ".utf8) { return "JPEG XL" }
        if bytes.starts(with: [0, 0, 1, 0]) { return "an icon" }
        guard bytes.dropFirst(4).starts(with: "ftyp".utf8) else { return nil }
        let brand = String(decoding: bytes.dropFirst(8).prefix(4), as: UTF8.self)
        return brand.hasPrefix("avi")
            ? "AVIF" : brand.hasPrefix("he") || brand.hasPrefix("mi") ? "HEIC" : "an MP4 video"
    }

    private static func textKind(of bytes: [UInt8]) -> String? {
        if bytes.starts(with: "%PDF".utf8) { return "PDF" }
        let start = bytes.prefix(512)
        guard start.allSatisfy({ $0 >= 0x20 || [0x09, 0x0A, 0x0C, 0x0D].contains($0) }) else { return nil }
        let text = String(decoding: start, as: UTF8.self).lowercased()
        if text.contains("<html") || text.contains("<!doctype html") || text.contains("<head") { return "HTML" }
        if text.contains("<svg") { return "SVG" }
        guard let first = text.first(where: { !$0.isWhitespace && $0 != "\u{FEFF}" }) else { return "blank text" }
        return first == "<" ? "XML" : first == "{" || first == "[" ? "JSON" : "text"
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    }
}
