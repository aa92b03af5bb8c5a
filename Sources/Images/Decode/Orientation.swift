/// The EXIF orientation of a file: how its stored rows and columns are to be turned (EXIF 2.3, tag 0x0112).
///
/// Found by walking the container; whatever is damaged or missing there means "as stored", never an error.
enum Orientation: Int, CaseIterable {
    case upright = 1
    case mirrored, turned180, flipped, transposed, turned90, transversed, turned270

    /// Whether width and height change places.
    var swapsSides: Bool { rawValue >= Orientation.transposed.rawValue }

    init(of bytes: [UInt8], format: ImageFormat) {
        let exif =
            switch format {
            case .jpeg: Self.jpegBlock(bytes)
            case .png: Self.pngBlock(bytes)
            case .webp: Self.webpBlock(bytes)
            }
        self = exif.flatMap { Self.tag(in: $0) }.flatMap(Orientation.init(rawValue:)) ?? .upright
    }

    /// The TIFF block in the first APP1 segment that has one, before the first scan.
    private static func jpegBlock(_ bytes: [UInt8]) -> Reader? {
        let file = Reader(bytes[...])
        var at = 2
        while file.byte(at) == 0xFF, let marker = file.byte(at + 1) {
            if marker == 0xFF {  // fill byte
                at += 1
                continue
            }
            guard marker != 0xDA, marker != 0xD9, let length = file.big16(at + 2) else { return nil }
            let block = file.slice(at + 4, Int(length) - 2)
            if marker == 0xE1, let block, block.starts(with: "Exif\0\0") { return block.slice(6, block.count - 6) }
            at += 2 + Int(length)
        }
        return nil
    }

    private static func pngBlock(_ bytes: [UInt8]) -> Reader? {
        let file = Reader(bytes[...])
        var at = 8
        while let length = file.big32(at) {
            if file.starts(with: "eXIf", at: at + 4) { return file.slice(at + 8, Int(length)) }
            at += 12 + Int(length)
        }
        return nil
    }

    private static func webpBlock(_ bytes: [UInt8]) -> Reader? {
        let file = Reader(bytes[...])
        var at = 12
        while let length = file.little32(at + 4) {
            if file.starts(with: "EXIF", at: at), let block = file.slice(at + 8, Int(length)) {
                return block.starts(with: "Exif\0\0") ? block.slice(6, block.count - 6) : block
            }
            at += 8 + Int(length) + Int(length & 1)
        }
        return nil
    }

    /// Tag 0x0112 in the first directory of a TIFF block.
    private static func tag(in tiff: Reader) -> Int? {
        let isLittle = tiff.starts(with: "II*\0")
        guard isLittle || tiff.starts(with: "MM\0*") else { return nil }
        func short(_ at: Int) -> Int? { (isLittle ? tiff.little16(at) : tiff.big16(at)).map(Int.init) }
        guard let directory = (isLittle ? tiff.little32(4) : tiff.big32(4)).map(Int.init),
            let count = short(directory)
        else { return nil }
        for entry in 0..<count {
            let at = directory + 2 + 12 * entry
            if short(at) == 0x0112 { return short(at + 8) }
        }
        return nil
    }
}

/// Bounds-checked numbers out of untrusted bytes: past the end is nil.
private struct Reader {
    private let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    var count: Int { bytes.count }

    func slice(_ offset: Int, _ length: Int) -> Reader? {
        guard offset >= 0, length >= 0, offset <= count, length <= count - offset else { return nil }
        let start = bytes.startIndex + offset
        return Reader(bytes[start..<start + length])
    }

    func starts(with text: String, at offset: Int = 0) -> Bool {
        slice(offset, text.utf8.count)?.bytes.elementsEqual(text.utf8) ?? false
    }

    func byte(_ at: Int) -> UInt8? { at >= 0 && at < count ? bytes[bytes.startIndex + at] : nil }

    func big16(_ at: Int) -> UInt16? {
        guard let high = byte(at), let low = byte(at + 1) else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    func big32(_ at: Int) -> UInt32? {
        guard let high = big16(at), let low = big16(at + 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    func little16(_ at: Int) -> UInt16? { big16(at)?.byteSwapped }

    func little32(_ at: Int) -> UInt32? { big32(at)?.byteSwapped }
}
