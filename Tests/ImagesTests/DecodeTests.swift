import TestSupport
import Testing

@testable import Images

@Suite struct DecodeTests {
    private static let all = DecodeLimits(formats: Set(ImageFormat.allCases))

    /// What is lossless must be Pillow's bit for bit; the others may differ with the library's version, HEIC in how it converts colours.
    @Test(arguments: Fixtures.names)
    func decodesAsPillowDoes(_ name: String) throws {
        let image = try ImageDecoder.decode(Fixtures.file(name), limits: Self.all)
        let difference = try #require(try largestDifference(image, Fixtures.decoded(name)), "the sizes differ")
        let isLossy =
            name.hasSuffix(".jpg") || name == "lossy.webp" || name == "alpha_lossy.webp" || name.hasSuffix(".avif")
        #expect(difference <= (name.hasSuffix(".heic") ? 8 : isLossy ? 1 : 0))
    }

    @Test(arguments: Fixtures.names)
    func saysWhatAFileIs(_ name: String) throws {
        let header = try ImageDecoder.header(of: Fixtures.file(name), limits: Self.all)
        let image = try Fixtures.decoded(name)
        #expect(header.width == image.width && header.height == image.height)
        let suffix = name.drop { $0 != "." }.dropFirst()
        #expect(header.format.rawValue == ["jpg": "jpeg", "tif": "tiff"][suffix, default: String(suffix)])
        #expect(
            (3 * image.width * image.height...24 * image.width * image.height + 100_000).contains(header.workingBytes))
        #expect(header.isPossible(within: DecodeLimits()))
    }

    @Test func hasEveryFixture() { #expect(Fixtures.names.count >= 38) }

    @Test func cutsSixteenBitsToEight() throws {
        let png = PNGWriter(
            width: 2, height: 1, depth: 16, colour: .grey, rows: [[0x00, 0xFF, 0x7F, 0xFF]])
        #expect(try ImageDecoder.decode(png.bytes).pixels == [0, 0, 0, 0x7F, 0x7F, 0x7F])
    }

    @Test(
        arguments: [
            (1, [0b1010_0000], [255, 0, 255]), (2, [0b0001_1011], [0, 85, 170]), (4, [0x0F, 0x80], [0, 255, 136]),
        ] as [(UInt8, [UInt8], [UInt8])])
    func widensSmallGreys(_ depth: UInt8, _ row: [UInt8], _ greys: [UInt8]) throws {
        let png = PNGWriter(width: 3, height: 1, depth: depth, colour: .grey, rows: [row])
        #expect(try ImageDecoder.decode(png.bytes).pixels == greys.flatMap { [$0, $0, $0] })
    }

    @Test func readsTransparentColours() throws {
        var png = PNGWriter(width: 2, height: 1, rows: [[1, 2, 3, 4, 5, 6]])
        png.chunks = [("tRNS", [0, 1, 0, 2, 0, 3])]
        #expect(try ImageDecoder.decode(png.bytes).pixels == [255, 255, 255, 4, 5, 6])
    }

    /// As in Pillow they count before the palette, and beyond it, where colours are black.
    @Test func readsTransparentEntriesInOddPlaces() throws {
        var png = PNGWriter(width: 3, height: 1, colour: .palette, rows: [[0, 1, 2]])
        png.chunks = [("tRNS", [255, 0, 102]), ("PLTE", [10, 20, 30, 40, 50, 60])]
        #expect(try ImageDecoder.decode(png.bytes).pixels == [10, 20, 30, 255, 255, 255, 153, 153, 153])
        png.chunks = [("PLTE", [10, 20, 30, 40, 50, 60])]
        #expect(try ImageDecoder.decode(png.bytes).pixels == [10, 20, 30, 40, 50, 60, 0, 0, 0])
    }

    @Test func readsTransparentPaletteEntries() throws {
        var png = PNGWriter(width: 2, height: 1, colour: .palette, rows: [[0, 1]])
        png.chunks = [("PLTE", [10, 20, 30, 40, 50, 60]), ("tRNS", [0])]
        #expect(try ImageDecoder.decode(png.bytes).pixels == [255, 255, 255, 40, 50, 60])
    }

    /// round((c · a + background · (255 − a)) / 255) for every alpha.
    @Test(arguments: [DecodeLimits.Colour.white, DecodeLimits.Colour(red: 0, green: 128, blue: 7)])
    func laysAlphaOnTheBackground(_ background: DecodeLimits.Colour) throws {
        let behind = [background.red, background.green, background.blue].map(Int.init)
        var row: [UInt8] = []
        var expected: [UInt8] = []
        for alpha in 0...255 {
            let colour = [200, 33, alpha ^ 0x5A]
            row += (colour + [alpha]).map(UInt8.init)
            expected += (0..<3).map { channel in
                let sum = colour[channel] * alpha + behind[channel] * (255 - alpha)
                return UInt8((Double(sum) / 255).rounded())
            }
        }
        let png = PNGWriter(width: 256, height: 1, colour: .rgba, rows: [row])
        let image = try ImageDecoder.decode(png.bytes, limits: DecodeLimits(background: background))
        #expect(image.pixels == expected)
    }
}
