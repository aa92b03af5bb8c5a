import CImage

/// The blocks of a file that may say how to turn its image, where Pillow looks for them.
struct Metadata {
    /// A TIFF block, perhaps behind `Exif\0\0`.
    var exif: [UInt8]?
    /// XMP, whole or damaged.
    var xmp: [UInt8]?
    /// What the container itself says, EXIF's number; nil: nothing.
    var orientation: Int?

    /// Reads what `bytes` has; whatever is damaged counts as missing.
    init(of bytes: [UInt8], format: ImageFormat) {
        switch format {
        case .jpeg: readJPEG(ByteReader(bytes))
        case .png: readPNG(ByteReader(bytes))
        case .webp: readWebP(ByteReader(bytes))
        case .avif: readAVIF(bytes)
        case .tiff, .gif, .bmp, .heic: break
        }
    }

    /// APP1 segments before the first scan. EXIF may go on in a second one; of several XMPs the last one counts.
    private mutating func readJPEG(_ file: ByteReader) {
        let name = "http://ns.adobe.com/xap/1.0/\0"
        var at = 2
        while let byte = file.byte(at) {
            guard byte == 0xFF, let marker = file.byte(at + 1), marker != 0xFF else {
                at += 1
                continue
            }
            if marker == 0 || (0xD0...0xD9).contains(marker) {  // stuffing, and markers without a length
                at += 2
                continue
            }
            guard marker != 0xDA, let length = file.big16(at + 2).map(Int.init), length >= 2,
                let block = file.slice(at + 4, length - 2)
            else { return }
            if marker == 0xE1, block.starts(with: "Exif\0\0") {
                exif = exif.map { $0 + block.bytes.dropFirst(6) } ?? Array(block.bytes)
            } else if marker == 0xE1, block.starts(with: name) {
                xmp = Array(block.bytes.dropFirst(name.utf8.count))
            }
            at += 2 + length
        }
    }

    /// eXIf, and texts of four names, anywhere before the end chunk. The last one of a name counts.
    private mutating func readPNG(_ file: ByteReader) {
        var raw: [UInt8]?
        var at = 8
        while let length = file.big32(at).map(Int.init), let kind = file.slice(at + 4, 4),
            let content = file.slice(at + 8, length), !kind.starts(with: "IEND")
        {
            if kind.starts(with: "eXIf") {
                exif = Array(content.bytes)
            } else if let (keyword, text) = Self.text(kind, content) {
                switch keyword {
                case "exif" where kind.starts(with: "tEXt"): exif = text
                case "Raw profile type exif": raw = Self.unhexed(text)
                case "XML:com.adobe.xmp": xmp = text
                default: break
                }
            }
            at += 12 + length
        }
        exif = exif ?? raw
    }

    /// Keyword and text of tEXt, zTXt and iTXt.
    private static func text(_ kind: ByteReader, _ content: ByteReader) -> (String, [UInt8])? {
        guard ["tEXt", "zTXt", "iTXt"].contains(where: { kind.starts(with: $0) }), let end = content.index(of: 0)
        else { return nil }
        let keyword = String(decoding: content.bytes.prefix(end), as: UTF8.self)
        let names = ["exif", "Raw profile type exif", "XML:com.adobe.xmp"]
        guard names.contains(keyword) else { return nil }
        if kind.starts(with: "tEXt") { return (keyword, Array(content.bytes.dropFirst(end + 1))) }
        if kind.starts(with: "zTXt") {
            guard content.byte(end + 1) == 0, let rest = content.from(end + 2) else { return nil }
            return inflated(rest).map { (keyword, $0) }
        }
        // Flag, method, language, translated keyword, text.
        guard let flag = content.byte(end + 1), let method = content.byte(end + 2),
            let language = content.index(of: 0, from: end + 3),
            let translated = content.index(of: 0, from: language + 1),
            let rest = content.from(translated + 1)
        else { return nil }
        if flag == 0 { return (keyword, Array(rest.bytes)) }
        return method == 0 ? inflated(rest).map { (keyword, $0) } : nil
    }

    /// Texts are small: what is larger is none.
    private static func inflated(_ content: ByteReader) -> [UInt8]? {
        let limit = 1 << 20
        let text = [UInt8](unsafeUninitializedCapacity: limit) { target, count in
            count = content.bytes.withUnsafeBufferPointer {
                cimage_inflate($0.baseAddress, $0.count, target.baseAddress, limit)
            }
        }
        return text.isEmpty ? nil : text
    }

    /// What ImageMagick writes: a blank line, a name, a length, hexadecimal digits.
    private static func unhexed(_ text: [UInt8]) -> [UInt8]? {
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let digits = lines.dropFirst(3).joined().filter { ![9, 10, 11, 12, 13, 32].contains($0) }.map { byte in
            Character(UnicodeScalar(byte)).hexDigitValue
        }
        guard digits.count % 2 == 0, digits.allSatisfy({ $0 != nil }) else { return nil }
        let values = digits.compactMap { $0 }
        return stride(from: 0, to: values.count, by: 2).map { UInt8(values[$0] << 4 | values[$0 + 1]) }
    }

    /// The first chunk of each kind, in a file of the extended form whose flags announce it.
    private mutating func readWebP(_ file: ByteReader) {
        guard file.starts(with: "VP8X", at: 12), let flags = file.byte(20), let size = file.little32(4).map(Int.init)
        else {
            return
        }
        var at = 12
        while at < size + 8, let length = file.little32(at + 4).map(Int.init) {
            if let block = file.slice(at + 8, length) {
                if flags & 8 != 0, exif == nil, file.starts(with: "EXIF", at: at) { exif = Array(block.bytes) }
                if flags & 4 != 0, xmp == nil, file.starts(with: "XMP ", at: at) { xmp = Array(block.bytes) }
            }
            at += 8 + length + length & 1
        }
    }

    private mutating func readAVIF(_ bytes: [UInt8]) {
        var found = cimage_metadata()
        bytes.withUnsafeBufferPointer { cimage_avif_metadata($0.baseAddress, $0.count, &found) }
        defer { cimage_metadata_free(&found) }
        orientation = Int(found.orientation)
        exif = found.exif.map { Array(UnsafeBufferPointer(start: $0, count: found.exif_size)) }
        xmp = found.xmp.map { Array(UnsafeBufferPointer(start: $0, count: found.xmp_size)) }
    }
}
