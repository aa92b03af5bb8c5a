import TestSupport
import Testing

@testable import Images

@Suite struct DamagedFileTests {
    private static let all = DecodeLimits(formats: Set(ImageFormat.allCases))

    /// A file that is cut is an error, or has every pixel: what it lacks is an end marker, or padding.
    @Test(arguments: Fixtures.names)
    func neverGivesAPartOfAnImage(_ name: String) throws {
        let file = try Fixtures.file(name)
        let whole = try ImageDecoder.decode(file, limits: Self.all)
        let near = (0..<20).map { file.count - 1 - $0 }
        var passed: [Int] = []
        for count in near + Array(stride(from: 12, to: file.count, by: max(1, file.count / 97))) {
            do {
                let image = try ImageDecoder.decode(Array(file.prefix(count)), limits: Self.all)
                // A small picture turns around where EXIF is cut off with it.
                #expect(image == whole, "\(count) of \(file.count) bytes passed for an image")
                passed.append(file.count - count)
            } catch {
                #expect(error.disposition == .permanent)
            }
        }
        // An animation's other frames may be missing.
        #expect(passed.allSatisfy { $0 <= 20 } || name == "animated.gif", "so much is missing: \(passed)")
    }

    /// Faults that Pillow bears too, and the web's files have: every row is there.
    @Test(arguments: ["photo.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg"])
    func readsJPEGsWhoseEndIsOdd(_ name: String) throws {
        let file = try Fixtures.file(name)
        let whole = try ImageDecoder.decode(file)
        let (scans, end) = (Array(file.dropLast(2)), [UInt8](file.suffix(2)))
        #expect(end == [0xFF, 0xD9])
        #expect(try ImageDecoder.decode(scans) == whole, "no end marker")
        #expect(try ImageDecoder.decode(scans + [1, 2, 3, 0, 5] + end) == whole, "stray bytes before it")
        #expect(try ImageDecoder.decode(scans + [UInt8](repeating: 7, count: 2230) + end) == whole)
        #expect(try ImageDecoder.decode(file + Array("SEFT trailer".utf8) + file) == whole, "a trailer behind it")
        #expect(try ImageDecoder.decode(scans + file.prefix(80)) == whole, "a trailer in its place")
        #expect(try ImageDecoder.decode(scans + [0xFF, 0xC0, 0, 17, 8, 1, 1]) == whole, "one that looks like a header")
        // Cut in its last row, with an end marker or without: what is missing would be grey.
        for lost in [3, 5, 9] {
            for file in [Array(scans.dropLast(lost)), scans.dropLast(lost) + end] {
                #expect(imageError { try ImageDecoder.decode(file) }?.code == .truncated, "\(lost) bytes less")
            }
        }
    }

    /// Between two scans nothing is cut off by halves, but the picture is coarser than it was.
    @Test func refusesAProgressiveJPEGWithoutItsLastScan() throws {
        let file = try Fixtures.file("progressive.jpg")
        let start = try #require((0..<file.count - 1).last { file[$0] == 0xFF && file[$0 + 1] == 0xDA })
        #expect(imageError { try ImageDecoder.decode(Array(file[..<start])) }?.code == .truncated)
        #expect(imageError { try ImageDecoder.decode(file[..<start] + [0xFF, 0xD9]) } == nil, "its writer's choice")
    }

    @Test func readsStrayBytesBeforeARestartMarker() throws {
        let file = try Fixtures.file("restart.jpg")
        let start = try #require((0..<file.count - 1).first { file[$0] == 0xFF && file[$0 + 1] == 0xDA })
        let marker = try #require(
            (start..<file.count - 1).first { file[$0] == 0xFF && (0xD0...0xD7).contains(file[$0 + 1]) })
        let odd = Array(file[..<marker]) + [9, 8, 7, 0, 1] + file[marker...]
        #expect(try ImageDecoder.decode(odd) == ImageDecoder.decode(file))
        // Without the marker, rows are lost.
        #expect(
            imageError { try ImageDecoder.decode(Array(file[..<marker] + file[(marker + 2)...])) }?.code == .corrupt)
    }

    @Test func readsPNGsWithoutTheirEnd() throws {
        for name in ["rgb.png", "interlaced.png", "palette_trns.png", "rgba16.png"] {
            let file = try Fixtures.file(name)
            let whole = try ImageDecoder.decode(file)
            for lost in 1...12 { #expect(try ImageDecoder.decode(Array(file.dropLast(lost))) == whole, "\(lost)") }
            #expect(try ImageDecoder.decode(file.dropLast(12) + Array("a trailer, no chunk".utf8)) == whole)
            // The checksum of the data, and the data.
            for lost in 13...24 {
                #expect(
                    imageError { try ImageDecoder.decode(Array(file.dropLast(lost))) }?.code == .truncated, "\(lost)")
            }
            var spoilt = Array(file.dropLast(12))
            spoilt[spoilt.count - 2] ^= 1
            #expect(imageError { try ImageDecoder.decode(spoilt) }?.code == .corrupt)
        }
    }

    @Test(arguments: [
        "photo.jpg", "progressive.jpg", "rgb.png", "lossy.webp", "lossless.webp", "interlaced.gif", "rgb.bmp",
        "lossy.avif", "lossy.heic",
    ])
    func saysThatAFileIsTruncated(_ name: String) throws {
        let file = try Fixtures.file(name)
        let error = imageError { try ImageDecoder.decode(Array(file.prefix(file.count * 2 / 3)), limits: Self.all) }
        #expect(error?.code == .truncated)
        #expect(error?.message.hasPrefix("truncated ") == true)
    }

    /// Damage may go unseen in a JPEG, but it never crashes, and every refusal is permanent.
    @Test(arguments: Fixtures.names)
    func survivesDamage(_ name: String) throws {
        let file = try Fixtures.file(name)
        var random = SplitMix(state: 7)
        for _ in 0..<120 {
            var damaged = file
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                damaged[Int.random(in: 0..<file.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            let error = imageError {
                try ImageDecoder.decode(
                    damaged, limits: DecodeLimits(maxPixels: 1_000_000, formats: Set(ImageFormat.allCases)))
            }
            #expect(error == nil || error?.disposition == .permanent)
        }
    }

    /// An overlay has a size of its own: here 16,656 × 45,148, which take 2 GB, in a file that says 48 × 32.
    @Test func nothingIsLargerThanTheFileSays() throws {
        let file = try Fixtures.file("../damaged/overlay.heic")
        #expect(try ImageDecoder.header(of: file, limits: Self.all).width == 48)
        #expect(imageError { try ImageDecoder.decode(file, limits: Self.all) }?.code == .corrupt)
    }

    /// libwebp 1.5 calls damaged alpha a want of memory.
    @Test(arguments: ["alpha.webp", "alpha_lossy.webp", "animated.webp"])
    func damagedAlphaIsNoWantOfMemory(_ name: String) throws {
        let file = try Fixtures.file(name)
        var refusals = 0
        for place in 30..<file.count {
            var damaged = file
            damaged[place] ^= 0x55
            guard let error = imageError({ try ImageDecoder.decode(damaged) }) else { continue }
            refusals += 1
            #expect(error.disposition == .permanent, "\(place): \(error)")
        }
        #expect(refusals > 20)
    }

    /// 80 scans of 50 million pixels are as much as a file may ask for: this one has 200 kB.
    @Test(arguments: [(10_000, 5_000, 81), (64, 64, 101)])
    func boundsTheScansOfAJPEG(_ width: Int, _ height: Int, _ scans: Int) throws {
        let most = ProgressiveJPEG(width: width, height: height, scans: scans - 1)
        if width < 1000 { #expect(try ImageDecoder.decode(most.bytes).width == width) }
        let error = imageError {
            try ImageDecoder.decode(ProgressiveJPEG(width: width, height: height, scans: scans).bytes)
        }
        #expect(error?.code == .corrupt)
        #expect(error?.message == "corrupt JPEG: more than \(scans - 1) scans of its pixels")
    }

    @Test func refusesADamagedChunk() throws {
        var file = try Fixtures.file("rgb.png")
        file[file.count - 20] ^= 0x40
        #expect(imageError { try ImageDecoder.decode(file) }?.code == .corrupt)
    }

    @Test func refusesGarbageInAScan() throws {
        var file = try Fixtures.file("photo.jpg")
        file.replaceSubrange(file.count / 2..<file.count / 2 + 400, with: repeatElement(0xFF, count: 400))
        let error = imageError { try ImageDecoder.decode(file) }
        #expect(error?.disposition == .permanent)
    }

    /// 30,000 × 30,000 would take 2.7 GB; the header is enough to refuse it.
    @Test func refusesHugeImagesUnread() {
        let png = PNGWriter(width: 30_000, height: 30_000, rows: [[0, 0, 0]])
        let error = imageError { try ImageDecoder.decode(png.bytes) }
        #expect(error?.code == .tooManyPixels)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains("30000 × 30000") == true)
    }

    @Test func countsPixelsAgainstTheLimit() throws {
        let file = try Fixtures.file("photo.jpg")
        #expect(imageError { try ImageDecoder.decode(file, limits: DecodeLimits(maxPixels: 131 * 77 - 1)) } != nil)
        #expect(imageError { try ImageDecoder.decode(file, limits: DecodeLimits(maxPixels: 131 * 77)) } == nil)
    }

    @Test(arguments: [
        ("", "empty"), ("<!DOCTYPE html><p>404", "HTML"), ("\n\n<html>", "HTML"), ("{\"error\": 1}", "JSON"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"), ("not found", "text"), ("%PDF-1.7", "PDF"),
    ])
    func saysWhatIsNoImage(_ content: String, _ kind: String) {
        let error = imageError { try ImageDecoder.decode(Array(content.utf8)) }
        #expect(error?.code == .notAnImage)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains(kind) == true)
    }

    @Test func showsTheFirstBytesOfAnythingElse() {
        let error = imageError { try ImageDecoder.decode([0, 1, 0xAB, 3]) }
        #expect(error?.code == .notAnImage)
        #expect(error?.message.hasSuffix("00 01 ab 03") == true)
    }
}

/// A generator with a seed (Steele, Lea and Flood, 2014).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
