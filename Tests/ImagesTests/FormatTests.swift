import TestSupport
import Testing

@testable import Images

/// What a file is, which formats are read, and which images are wanted.
@Suite struct FormatTests {
    private static let all = DecodeLimits(formats: Set(ImageFormat.allCases))

    @Test(arguments: [
        ("\0\0\0\u{1C}ftypavif\0\0\0\0mif1avif", ImageFormat.avif), ("\0\0\0\u{1C}ftypmif1\0\0\0\0mif1avif", .avif),
        ("\0\0\0\u{18}ftypheic\0\0\0\0mif1", .heic), ("\0\0\0\u{1C}ftypmif1\0\0\0\0mif1heic", .heic),
        ("\0\0\0\u{18}ftypavis\0\0\0\0avis", .avif), ("II*\0", .tiff), ("MM\0+", .tiff), ("GIF87a\u{1}", .gif),
        ("BM6\0\0\0", .bmp),
    ])
    func knowsAFormatByItsFirstBytes(_ content: String, _ format: ImageFormat) throws {
        #expect(try ImageFormat(sniffing: Array(content.utf8)) == format)
    }

    @Test(arguments: [
        ("8BPS", "Photoshop"), ("\0\0\0\u{0C}jP  ", "JPEG 2000"), ("\0\0\0\u{0C}JXL ", "JPEG XL"),
        ("\0\0\u{1}\0", "icon"),
        ("P6 3 3 255\n", "Netpbm"), ("qoif", "QOI"), ("\0\0\0\u{18}ftypisom\0\0\0\0", "MP4"),
        ("\0\0\0\u{18}ftypmif1\0\0\0\0vvic", "HEIF"), ("\0\0\0\u{18}ftypcrx \0\0\0\0isom", "raw"),
    ])
    func namesFormatsThatAreNotRead(_ content: String, _ kind: String) {
        let error = imageError { try ImageDecoder.decode(Array(content.utf8), limits: Self.all) }
        #expect(error?.code == .unsupportedFormat)
        #expect(error?.message.contains(kind) == true, "\(String(describing: error))")
    }

    @Test func takesTextThatBeginsWithBMForText() {
        #expect(imageError { try ImageDecoder.decode(Array("BMW 2002".utf8)) }?.code == .notAnImage)
    }

    /// TIFF and HEIC are off unless they are asked for; each format can be.
    @Test(arguments: ["rgb.png", "lossy.avif", "animated.gif", "rgb.bmp", "lzw.tif", "lossy.heic"])
    func readsTheFormatsThatAreListed(_ name: String) throws {
        let file = try Fixtures.file(name)
        let format = try ImageFormat(sniffing: file)
        #expect((imageError { try ImageDecoder.decode(file) } == nil) == ImageFormat.usual.contains(format))
        #expect(imageError { try ImageDecoder.decode(file, limits: DecodeLimits(formats: [format])) } == nil)
        let error = imageError { try ImageDecoder.header(of: file, limits: DecodeLimits(formats: [.webp])) }
        #expect(error?.code == .unsupportedFormat)
        #expect(error?.message == "\(format.name) is not read here; images.formats has WebP")
    }

    @Test func wantsNoSmallImages() throws {
        let file = try Fixtures.file("photo.jpg")  // 131 × 77
        var limits = DecodeLimits()
        limits.minSide = 77
        #expect(imageError { try ImageDecoder.decode(file, limits: limits) } == nil)
        limits.minSide = 78
        let error = imageError { try ImageDecoder.header(of: file, limits: limits) }
        #expect(error?.code == .tooSmall && error?.disposition == .permanent && error?.blame == .url)
        #expect(error?.message == "image too small: 131 × 77; a side must have at least 78 pixels")
    }

    @Test func wantsNoNarrowImages() throws {
        let file = try Fixtures.file("exif6.jpg")  // 60 × 40 as stored
        var limits = DecodeLimits()
        limits.maxAspectRatio = 1.5
        #expect(imageError { try ImageDecoder.decode(file, limits: limits) } == nil)
        limits.maxAspectRatio = 1.49
        let error = imageError { try ImageDecoder.header(of: file, limits: limits) }
        #expect(error?.code == .aspectRatio && error?.disposition == .permanent)
        #expect(error?.message == "image too narrow: 60 × 40; its sides may be as 1.49 to 1")
    }

    /// A file may say that it is larger than any limit, whatever it is.
    @Test func refusesHugeImagesByTheirHeader() {
        let huge: [UInt8] = [0x30, 0x75, 0x30, 0x75]  // 30,000 × 30,000
        let gif = Array("GIF89a".utf8) + huge + [0, 0, 0, 0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2]
        let bmp =
            Array("BM".utf8) + [UInt8](repeating: 0, count: 8) + [
                54, 0, 0, 0, 40, 0, 0, 0, 0x30, 0x75, 0, 0, 0x30, 0x75, 0, 0,
            ]
            + [1, 0, 24, 0] + [UInt8](repeating: 0, count: 24)
        let endless = bmp[..<18] + [UInt8](repeating: 0xFE, count: 8) + bmp[26...]
        for file in [gif, bmp, Array(endless)] {
            let error = imageError { try ImageDecoder.header(of: file) }
            #expect(error?.code == .tooManyPixels, "\(String(describing: error))")
        }
    }
}
