import TestSupport
import Testing

@testable import Images

@Suite struct OrientationTests {
    /// Where EXIF says the stored pixel (x, y) of a width × height image is to be shown.
    private static func shown(_ orientation: Int, _ x: Int, _ y: Int, _ width: Int, _ height: Int) -> (Int, Int) {
        switch orientation {
        case 2: (width - 1 - x, y)
        case 3: (width - 1 - x, height - 1 - y)
        case 4: (x, height - 1 - y)
        case 5: (y, x)
        case 6: (height - 1 - y, x)
        case 7: (height - 1 - y, width - 1 - x)
        case 8: (y, width - 1 - x)
        default: (x, y)
        }
    }

    private static func turned(_ image: RGBImage, _ orientation: Int) -> RGBImage {
        let (width, height) = orientation >= 5 ? (image.height, image.width) : (image.width, image.height)
        var pixels = [UInt8](repeating: 0, count: image.pixels.count)
        for y in 0..<image.height {
            for x in 0..<image.width {
                let (toX, toY) = shown(orientation, x, y, image.width, image.height)
                for channel in 0..<3 {
                    pixels[(toY * width + toX) * 3 + channel] = image.pixels[(y * image.width + x) * 3 + channel]
                }
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// A TIFF block with one entry: the orientation.
    private static func exif(_ orientation: Int, isLittle: Bool = false) -> [UInt8] {
        let value = UInt8(orientation)
        return isLittle
            ? Array("II*\0".utf8) + [8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0]
            : Array("MM\0*".utf8) + [0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0]
    }

    private static func jpeg(_ file: [UInt8], with block: [UInt8]) -> [UInt8] {
        let content = Array("Exif\0\0".utf8) + block
        let length = content.count + 2
        return Array(file[..<2]) + [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 255)] + content + file[2...]
    }

    @Test(arguments: 1...8, [true, false])
    func turnsJPEGs(_ orientation: Int, _ isLittle: Bool) throws {
        let file = try Fixtures.file("photo.jpg")
        let turned = try ImageDecoder.decode(Self.jpeg(file, with: Self.exif(orientation, isLittle: isLittle)))
        #expect(try turned == Self.turned(ImageDecoder.decode(file), orientation))
    }

    /// Width and height are those of the image as it is shown.
    @Test(arguments: 1...8)
    func saysTheSizeUpright(_ orientation: Int) throws {
        let file = Self.jpeg(try Fixtures.file("photo.jpg"), with: Self.exif(orientation))
        let (header, image) = (try ImageDecoder.header(of: file), try ImageDecoder.decode(file))
        #expect(header.width == image.width && header.height == image.height)
        #expect(header.orientation == orientation && header.format == .jpeg)
        #expect((header.width, header.height) == (orientation >= 5 ? (77, 131) : (131, 77)))
    }

    @Test(arguments: 1...8)
    func turnsPNGs(_ orientation: Int) throws {
        var png = PNGWriter(width: 70, height: 3)
        png.rows = (0..<3).map { y in (0..<210).map { UInt8(truncatingIfNeeded: $0 * 7 + y * 91) } }
        let upright = try ImageDecoder.decode(png.bytes)
        png.chunks = [("eXIf", Self.exif(orientation))]
        #expect(try ImageDecoder.decode(png.bytes) == Self.turned(upright, orientation))
    }

    /// A TIFF block whose tag 0x0112 is of the given type.
    private static func exif(type: UInt8, count: UInt8 = 1, value: [UInt8], behind: [UInt8] = []) -> [UInt8] {
        Array("MM\0*".utf8) + [0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, type, 0, 0, 0, count] + value + [0, 0, 0, 0] + behind
    }

    /// Every type of number, as Pillow has it; a byte and a text are none.
    @Test(
        arguments: [
            (exif(type: 3, value: [0, 6, 0, 0]), 6), (exif(type: 4, value: [0, 0, 0, 6]), 6),
            (exif(type: 6, value: [6, 0, 0, 0]), 6), (exif(type: 8, value: [0, 6, 0, 0]), 6),
            (exif(type: 9, value: [0, 0, 0, 8]), 8), (exif(type: 13, value: [0, 0, 0, 3]), 3),
            (exif(type: 3, count: 2, value: [0, 5, 0, 7]), 5),
            (exif(type: 11, value: [0x40, 0xC0, 0, 0]), 6),  // 6.0
            (exif(type: 5, value: [0, 0, 0, 26], behind: [0, 0, 0, 12, 0, 0, 0, 2]), 6),
            (exif(type: 16, value: [0, 0, 0, 26], behind: [0, 0, 0, 0, 0, 0, 0, 4]), 4),
            (exif(type: 1, value: [6, 0, 0, 0]), 1), (exif(type: 2, value: [0x36, 0, 0, 0]), 1),
            (exif(type: 7, value: [6, 0, 0, 0]), 1), (exif(type: 9, value: [255, 255, 255, 250]), 1),
            (exif(type: 5, value: [0, 0, 0, 26], behind: [0, 0, 0, 13, 0, 0, 0, 2]), 1),
            (exif(type: 5, value: [0, 0, 0, 26], behind: [0, 0, 0, 12, 0, 0, 0, 0]), 1),
            (exif(type: 12, value: [0, 0, 0, 26], behind: [0x7F, 0xF0, 0, 0, 0, 0, 0, 0]), 1),  // infinity
            (exif(type: 4, count: 255, value: [0, 0, 0, 26]), 1), (exif(type: 99, value: [0, 6, 0, 0]), 1),
            (Array("Exif\0\0".utf8) + exif(6), 6), (Array("MM*\0".utf8) + exif(6).dropFirst(4), 6),
            (Array("II\0*".utf8) + exif(6, isLittle: true).dropFirst(4), 6),
        ] as [([UInt8], Int)])
    func readsEveryTypeOfNumber(_ block: [UInt8], _ orientation: Int) throws {
        let file = try Fixtures.file("photo.jpg")
        #expect(try ImageDecoder.header(of: Self.jpeg(file, with: block)).orientation == orientation)
    }

    private static func xmp(_ text: String) -> [UInt8] { Array("<x:xmpmeta>\(text)</x:xmpmeta>".utf8) }

    private static func jpeg(_ file: [UInt8], withXMP packet: [UInt8]) -> [UInt8] {
        let content = Array("http://ns.adobe.com/xap/1.0/\0".utf8) + packet
        let length = content.count + 2
        return Array(file[..<2]) + [0xFF, 0xE1, UInt8(length >> 8), UInt8(length & 255)] + content + file[2...]
    }

    /// XMP counts where EXIF says nothing.
    @Test func readsXMP() throws {
        let file = try Fixtures.file("photo.jpg")
        func orientation(_ bytes: [UInt8]) throws -> Int { try ImageDecoder.header(of: bytes).orientation }
        #expect(try orientation(Self.jpeg(file, withXMP: Self.xmp("<rdf tiff:Orientation=\"6\"/>"))) == 6)
        #expect(try orientation(Self.jpeg(file, withXMP: Self.xmp("<tiff:Orientation>8</tiff:Orientation>"))) == 8)
        #expect(try orientation(Self.jpeg(file, withXMP: Self.xmp("tiff:Orientation tiff:Orientation='3'"))) == 1)
        #expect(try orientation(Self.jpeg(file, withXMP: Self.xmp("<tiff:Orientation>9</tiff:Orientation>"))) == 1)
        let both = Self.jpeg(Self.jpeg(file, withXMP: Self.xmp("<rdf tiff:Orientation=\"6\"/>")), with: Self.exif(3))
        #expect(try orientation(both) == 3)
        let upright = Self.jpeg(Self.jpeg(file, withXMP: Self.xmp("<rdf tiff:Orientation=\"6\"/>")), with: Self.exif(1))
        #expect(try orientation(upright) == 1)
    }

    /// EXIF that is too long for one segment goes on in the next one.
    @Test func readsEXIFOfTwoSegments() throws {
        let (file, block) = (try Fixtures.file("photo.jpg"), Self.exif(8))
        let split = Self.jpeg(Self.jpeg(file, with: Array(block[12...])), with: Array(block[..<12]))
        #expect(try ImageDecoder.header(of: split).orientation == 8)
    }

    /// What ImageMagick writes, and PNG's other texts, before the data and behind it.
    @Test func readsPNGTexts() throws {
        var png = PNGWriter(width: 3, height: 2, rows: [[UInt8]](repeating: [UInt8](repeating: 9, count: 9), count: 2))
        let hexadecimal = (Array("Exif\0\0".utf8) + Self.exif(6)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        let raw = Array("\nexif\n      32\n".utf8) + Array(hexadecimal.joined().utf8)
        let texts: [(String, [UInt8], Int)] = [
            ("tEXt", Array("Raw profile type exif\0".utf8) + raw, 6),
            ("iTXt", Array("Raw profile type exif\0\0\0\0\0".utf8) + raw, 6),
            ("tEXt", Array("exif\0".utf8) + Self.exif(5), 5),
            ("iTXt", Array("XML:com.adobe.xmp\0\0\0\0\0".utf8) + Self.xmp("tiff:Orientation=\"8\""), 8),
            // A stream of zlib with one stored block, and one that is cut.
            ("zTXt", Array("XML:com.adobe.xmp\0\0".utf8) + Self.stored(Self.xmp("tiff:Orientation=\"7\"")), 7),
            (
                "zTXt",
                Array("XML:com.adobe.xmp\0\0".utf8) + Self.stored(Self.xmp("tiff:Orientation=\"7\"")).dropLast(5), 1
            ),
            ("tEXt", Array("Comment\0".utf8) + raw, 1),
        ]
        for (kind, content, orientation) in texts {
            png.chunks = [(kind, content)]
            #expect(try ImageDecoder.header(of: png.bytes).orientation == orientation, "\(kind) \(content.prefix(20))")
            png.chunks = []
            let late = png.bytes.dropLast(12) + PNGWriter.chunk(kind, content) + png.bytes.suffix(12)
            #expect(try ImageDecoder.header(of: Array(late)).orientation == orientation)
            let behind = png.bytes + PNGWriter.chunk(kind, content)
            #expect(try ImageDecoder.header(of: behind).orientation == 1)
        }
    }

    private static func stored(_ content: [UInt8]) -> [UInt8] {
        let count = UInt16(content.count)
        let (a, b) = content.reduce((1, 0)) { (($0.0 + Int($1)) % 65521, ($0.1 + $0.0 + Int($1)) % 65521) }
        let lengths = [UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
        return [0x78, 0x01, 0x01] + lengths + content + [UInt8(b >> 8), UInt8(b & 255), UInt8(a >> 8), UInt8(a & 255)]
    }

    /// A container's own properties come before its EXIF.
    @Test(arguments: [("turned.avif", 6), ("tiles.tif", 8), ("turned.heic", 1)])
    func readsContainers(_ name: String, _ orientation: Int) throws {
        let limits = DecodeLimits(formats: Set(ImageFormat.allCases))
        #expect(try ImageDecoder.header(of: Fixtures.file(name), limits: limits).orientation == orientation)
    }

    @Test(arguments: [0, 9, 255])
    func takesAnUnknownOrientationForUpright(_ orientation: Int) throws {
        let file = try Fixtures.file("photo.jpg")
        let image = try ImageDecoder.decode(Self.jpeg(file, with: Self.exif(orientation)))
        #expect(try image == ImageDecoder.decode(file))
    }

    @Test func survivesDamagedBlocks() throws {
        let file = try Fixtures.file("grey.jpg")
        let block = Self.exif(6)
        let upright = try ImageDecoder.decode(file)
        for count in 0..<18 {
            #expect(try ImageDecoder.decode(Self.jpeg(file, with: Array(block.prefix(count)))) == upright)
        }
        var astray = block
        astray.replaceSubrange(4..<8, with: [0xFF, 0xFF, 0xFF, 0xFF])
        #expect(try ImageDecoder.decode(Self.jpeg(file, with: astray)) == upright)
    }
}
