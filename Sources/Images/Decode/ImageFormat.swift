/// What a file is, by its first bytes. File names and content types are hearsay.
public enum ImageFormat: String, CaseIterable, Sendable {
    /// JPEG, baseline or progressive.
    case jpeg
    /// PNG.
    case png
    /// WebP, lossy or lossless; of an animation the first frame.
    case webp
    /// GIF; of an animation the first frame.
    case gif
    /// BMP of Windows and OS/2.
    case bmp
    /// AVIF; of a sequence the first image.
    case avif
    /// TIFF; the first page.
    case tiff
    /// HEIC: HEIF with HEVC; the primary image.
    case heic

    /// The formats that are read unless the configuration says otherwise: those that browsers show.
    public static let usual: Set<ImageFormat> = [.jpeg, .png, .webp, .gif, .bmp, .avif]

    /// As people write it.
    public var name: String {
        switch self {
        case .webp: "WebP"
        default: rawValue.uppercased()
        }
    }

    /// As HTTP and `data:` URLs write it: `image/jpeg`.
    public var mediaType: String { "image/\(rawValue)" }

    /// The format of `bytes`; throws ``ImageError`` (`unsupportedFormat`, `notAnImage`) for anything else.
    public init(sniffing bytes: [UInt8]) throws(ImageError) {
        guard let format = Self.format(of: bytes) else { throw Self.refusal(of: bytes) }
        self = format
    }

    private static func format(of bytes: [UInt8]) -> ImageFormat? {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
        if bytes.starts(with: "RIFF".utf8) && bytes.dropFirst(8).starts(with: "WEBP".utf8) { return .webp }
        if bytes.starts(with: "GIF87a".utf8) || bytes.starts(with: "GIF89a".utf8) { return .gif }
        if ["II*\0", "II+\0", "MM\0*", "MM\0+"].contains(where: { bytes.starts(with: $0.utf8) }) { return .tiff }
        // Two letters are little: text may begin so.
        if bytes.starts(with: "BM".utf8), textKind(of: bytes) == nil { return .bmp }
        return containerFormat(of: bytes)
    }

    /// By the brands of an ISO base media file: the major one, or what a file that is only called HEIF says to be compatible with.
    private static func containerFormat(of bytes: [UInt8]) -> ImageFormat? {
        let brands = Self.brands(of: bytes)
        guard let major = brands.first else { return nil }
        let avif: Set<String> = ["avif", "avis"]
        let heic: Set<String> = ["heic", "heix", "heim", "heis", "hevc", "hevx"]
        if avif.contains(major) { return .avif }
        if heic.contains(major) { return .heic }
        guard ["mif1", "msf1", "miaf"].contains(major) else { return nil }
        return brands.contains(where: avif.contains) ? .avif : brands.contains(where: heic.contains) ? .heic : nil
    }

    /// The major brand first; empty where the file has no such box.
    private static func brands(of bytes: [UInt8]) -> [String] {
        guard bytes.count >= 12, bytes.dropFirst(4).starts(with: "ftyp".utf8) else { return [] }
        let length = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        let places = [8] + Array(stride(from: 16, to: min(length, bytes.count, 1024) - 3, by: 4))
        return places.map { String(decoding: bytes[$0..<$0 + 4], as: UTF8.self) }
    }

    /// That a format is not read here, though it could be.
    static func refusal(of format: ImageFormat, reading formats: Set<ImageFormat>) -> ImageError {
        let read = allCases.filter(formats.contains).map(\.name).joined(separator: ", ")
        return ImageError(
            .unsupportedFormat, "\(format.name) is not read here; images.formats has \(read.isEmpty ? "none" : read)")
    }

    private static func refusal(of bytes: [UInt8]) -> ImageError {
        if bytes.isEmpty { return ImageError(.notAnImage, "not an image: the file is empty") }
        if let other = otherFormat(of: bytes) {
            return ImageError(
                .unsupportedFormat,
                "not an image that is read here: looks like \(other); use JPEG, PNG, WebP, GIF, BMP or AVIF")
        }
        if let text = textKind(of: bytes) { return ImageError(.notAnImage, "not an image: looks like \(text)") }
        return ImageError(.notAnImage, "not an image: the first bytes are \(hexadecimal(bytes.prefix(8)))")
    }

    /// An image format that exists but is not read.
    private static func otherFormat(of bytes: [UInt8]) -> String? {
        let signatures: [(String, name: String)] = [
            ("8BPS", "Photoshop"), ("gimp xcf", "GIMP"), ("qoif", "QOI"), ("DDS ", "DDS"),
            ("#?RADIANCE", "Radiance HDR"),
            ("SIMPLE  =", "FITS"), ("AT&TFORM", "DjVu"), ("FLIF", "FLIF"), ("IIRO", "a camera's raw file"),
            ("IIRS", "a camera's raw file"), ("IIU\0", "a camera's raw file"),
            ("FUJIFILMCCD-RAW", "a camera's raw file"),
            ("II\u{1A}\0", "a camera's raw file"), ("\0\0\0\u{0C}jP  ", "JPEG 2000"),
        ]
        if let known = signatures.first(where: { bytes.starts(with: $0.0.utf8) }) { return known.name }
        if bytes.starts(with: [0xFF, 0x0A]) || bytes.dropFirst(4).starts(with: "JXL ".utf8) { return "JPEG XL" }
        if bytes.starts(with: [0xFF, 0x4F, 0xFF, 0x51]) { return "JPEG 2000" }
        if bytes.starts(with: [0x76, 0x2F, 0x31, 0x01]) { return "OpenEXR" }
        if bytes.starts(with: [0x8A, 0x4D, 0x4E, 0x47]) { return "MNG" }
        if bytes.starts(with: [0x42, 0x50, 0x47, 0xFB]) { return "BPG" }
        if bytes.starts(with: [0xD7, 0xCD, 0xC6, 0x9A]) { return "WMF" }
        if bytes.starts(with: [0, 0, 1, 0]) || bytes.starts(with: [0, 0, 2, 0]) { return "an icon" }
        if bytes.starts(with: [0x49, 0x49, 0xBC]) { return "JPEG XR" }
        if let kind = bytes.dropFirst().first, bytes.first == 0x50, (0x31...0x37).contains(kind), bytes.count > 2,
            [0x09, 0x0A, 0x0D, 0x20].contains(bytes[2])
        {
            return "Netpbm"
        }
        guard let brand = brands(of: bytes).first else { return nil }
        if brand == "crx " { return "a camera's raw file" }
        return brand.hasPrefix("mi") || brand.hasPrefix("ms") || brand.hasPrefix("he")
            ? "HEIF of another codec than HEVC and AV1" : "an MP4 video"
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
