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
