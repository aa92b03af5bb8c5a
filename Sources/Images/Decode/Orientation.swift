/// How the stored rows and columns of a file are to be turned (EXIF 2.3, tag 0x0112), wherever Pillow's `exif_transpose` finds it.
///
/// Whatever is damaged or missing there means "as stored", never an error.
enum Orientation: Int, CaseIterable {
    case upright = 1
    case mirrored, turned180, flipped, transposed, turned90, transversed, turned270

    private static let tag: UInt16 = 0x0112
    private static let xmpTag: UInt16 = 700

    /// Whether width and height change places.
    var swapsSides: Bool { rawValue >= Orientation.transposed.rawValue }

    init(of bytes: [UInt8], format: ImageFormat) {
        self = Self.number(bytes, format).flatMap(Orientation.init(rawValue:)) ?? .upright
    }

    /// The container's own word comes first. XMP counts only where EXIF says nothing.
    private static func number(_ bytes: [UInt8], _ format: ImageFormat) -> Int? {
        if format == .tiff {
            guard let directory = TIFFDirectory(ByteReader(bytes), isFile: true) else { return nil }
            return directory.entry(tag).map(number) ?? directory.bytes(xmpTag).flatMap(number(inXMP:))
        }
        let metadata = Metadata(of: bytes, format: format)
        if let stated = metadata.orientation, stated != upright.rawValue { return stated }
        if let entry = metadata.exif.flatMap({ TIFFDirectory(block(in: $0)) })?.entry(tag) {
            // AVIF's own properties are the truth, whatever EXIF says beside them.
            return metadata.orientation ?? number(entry)
        }
        return metadata.xmp.flatMap(number(inXMP:))
    }

    private static func number(_ entry: TIFFDirectory.Entry) -> Int? {
        if case .number(let value) = entry { value } else { nil }
    }

    /// Without the one or two names that may stand before it.
    private static func block(in exif: [UInt8]) -> ByteReader {
        var block = ByteReader(exif)
        for _ in 0..<2 where block.starts(with: "Exif\0\0") { block = block.from(6) ?? block }
        return block
    }

    /// The first `tiff:Orientation="6` or `tiff:Orientation>6`.
    private static func number(inXMP xmp: [UInt8]) -> Int? {
        let name = Array("tiff:Orientation".utf8)
        var rest = xmp[...]
        while let place = rest.firstRange(of: name) {
            rest = rest[place.upperBound...]
            var value = rest
            if value.starts(with: "=\"".utf8) {
                value = value.dropFirst(2)
            } else if value.first == UInt8(ascii: ">") {
                value = value.dropFirst()
            } else {
                continue
            }
            if let digit = value.first, (48..<58).contains(digit) { return Int(digit) - 48 }
        }
        return nil
    }
}
