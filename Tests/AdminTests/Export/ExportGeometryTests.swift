import Annotation
import Foundation
import Testing

@testable import Admin

/// Boxes, masks and outlines, against slow twins that turn and fill pixels.
@Suite struct ExportGeometryTests {
    /// An upright picture made of the stored one, as EXIF says: rows of pixels.
    private static func upright(_ stored: [[Bool]], _ orientation: Int) -> [[Bool]] {
        let mirrored = { (rows: [[Bool]]) in rows.map { Array($0.reversed()) } }
        let flipped = { (rows: [[Bool]]) in Array(rows.reversed()) }
        let transposed = { (rows: [[Bool]]) in rows[0].indices.map { column in rows.map { $0[column] } } }
        switch orientation {
        case 2: return mirrored(stored)
        case 3: return mirrored(flipped(stored))
        case 4: return flipped(stored)
        case 5: return transposed(stored)
        // Turned by a quarter to the right; by a quarter to the left.
        case 6: return mirrored(transposed(stored))
        case 7: return mirrored(flipped(transposed(stored)))
        case 8: return flipped(transposed(stored))
        default: return stored
        }
    }

    private static func mask(_ rows: [[Bool]]) -> RunLengthMask {
        RunLengthMask(
            height: rows.count, width: rows[0].count, rows: 0..<rows.count, columns: 0..<rows[0].count,
            pixels: Array(rows.joined()))
    }

    @Test(arguments: 1...8)
    func masksAreTurnedBack(orientation: Int) throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20 {
            let (width, height) = (Int.random(in: 1...9, using: &random), Int.random(in: 1...9, using: &random))
            let stored = (0..<height).map { _ in (0..<width).map { _ in Bool.random(using: &random) } }
            let upright = Self.mask(Self.upright(stored, orientation))
            #expect(upright.stored(as: EXIFOrientation(orientation)) == Self.mask(stored))
        }
    }

    @Test(arguments: 1...8)
    func boxesAreTurnedBack(orientation: Int) throws {
        // A stored picture of 8 × 4 pixels with a box of pixels in it.
        let stored = (0..<4).map { y in (0..<8).map { x in 1...2 ~= y && 3...5 ~= x } }
        let upright = Self.upright(stored, orientation)
        let (width, height) = (upright[0].count, upright.count)
        let rows = upright.indices.filter { upright[$0].contains(true) }
        let columns = upright[0].indices.filter { x in upright.contains { $0[x] } }
        let box = PixelBox(
            y1: Double(rows[0]) / Double(height), x1: Double(columns[0]) / Double(width),
            y2: Double(rows.count + rows[0]) / Double(height), x2: Double(columns.count + columns[0]) / Double(width),
            width: width, height: height, storedAs: EXIFOrientation(orientation))
        let found = try #require(box)
        let edges: [Int] = [found.left, found.top, found.right, found.bottom]
        #expect(edges == [300, 100, 600, 300])
        #expect(found.imageWidth == 8 && found.imageHeight == 4)
    }

    @Test func boxesAreClippedAndDropped() throws {
        func box(_ y1: Double, _ x1: Double, _ y2: Double, _ x2: Double) -> PixelBox? {
            PixelBox(y1: y1, x1: x1, y2: y2, x2: x2, width: 100, height: 50, storedAs: nil)
        }
        let clipped = try #require(box(-0.5, 0.5, 1.5, 2))
        let edges: [Int] = [clipped.left, clipped.top, clipped.right, clipped.bottom]
        #expect(edges == [5000, 0, 10000, 5000])
        #expect(clipped.isClipped)
        #expect(try #require(box(0, 0, 1, 1)).isClipped == false)
        for none in [box(0, 0, 0, 1), box(0.5, 0.5, 0.4, 0.6), box(1.1, 0, 1.2, 1), box(.nan, 0, 1, 1)] {
            #expect(none == nil)
        }
    }

    /// Filled, the outlines are the mask with its holes filled, in any picture.
    @Test func outlinesEncloseTheirPixels() throws {
        var random = SystemRandomNumberGenerator()
        for round in 0..<120 {
            let (width, height) = (Int.random(in: 1...12, using: &random), Int.random(in: 1...12, using: &random))
            let share = Double(round % 10 + 1) / 10
            let rows = (0..<height).map { _ in
                (0..<width).map { _ in Double.random(in: 0..<1, using: &random) < share }
            }
            guard let outline = ContourTracer(Self.mask(rows)) else {
                #expect(!rows.joined().contains(true))
                continue
            }
            #expect(Self.filled([outline.joined], width, height) == Self.withoutHoles(rows))
            #expect(Self.filled(outline.borders, width, height) == Self.withoutHoles(rows))
        }
    }

    /// The pixels whose middle is inside by the number of edges to the left of it: even or odd.
    private static func filled(_ lines: [[ContourTracer.Point]], _ width: Int, _ height: Int) -> [[Bool]] {
        (0..<height).map { y in
            (0..<width).map { x in
                var crossings = 0
                for line in lines {
                    for index in line.indices {
                        let (a, b) = (line[index], line[(index + 1) % line.count])
                        let (low, high) = a.y < b.y ? (a, b) : (b, a)
                        let middle = Double(y) + 0.5
                        guard Double(low.y) < middle, middle < Double(high.y) else { continue }
                        let share = (middle - Double(low.y)) / Double(high.y - low.y)
                        if Double(low.x) + share * Double(high.x - low.x) < Double(x) + 0.5 { crossings += 1 }
                    }
                }
                return crossings % 2 == 1
            }
        }
    }

    /// What is outside is what can be reached from the border, across corners too.
    private static func withoutHoles(_ rows: [[Bool]]) -> [[Bool]] {
        let (width, height) = (rows[0].count, rows.count)
        var isOutside = Array(repeating: Array(repeating: false, count: width + 2), count: height + 2)
        var waiting = [(0, 0)]
        isOutside[0][0] = true
        while let (x, y) = waiting.popLast() {
            for (right, down) in [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)] {
                let (column, row) = (x + right, y + down)
                guard 0..<width + 2 ~= column, 0..<height + 2 ~= row, !isOutside[row][column] else { continue }
                let isInside = 1...width ~= column && 1...height ~= row && rows[row - 1][column - 1]
                guard !isInside else { continue }
                isOutside[row][column] = true
                waiting.append((column, row))
            }
        }
        return (0..<height).map { y in (0..<width).map { x in !isOutside[y + 1][x + 1] } }
    }

    @Test func brushStrokesUnpackToTheMask() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<30 {
            let (width, height) = (Int.random(in: 1...40, using: &random), Int.random(in: 1...40, using: &random))
            let rows = (0..<height).map { _ in
                (0..<width).map { _ in Double.random(in: 0..<1, using: &random) < 0.2 }
            }
            let packed = try #require(BrushMask.pack(Self.mask(rows)))
            #expect(Self.unpacked(packed) == rows.joined().flatMap { Array(repeating: $0 ? 255 : 0, count: 4) })
        }
        // A run longer than its length has bits for.
        let large = [[Bool]](repeating: Array(repeating: true, count: 300), count: 200)
        let packed = try #require(BrushMask.pack(Self.mask(large)))
        #expect(Self.unpacked(packed) == Array(repeating: 255, count: 240_000))
        #expect(packed.count < 30)
    }

    /// As label_studio_sdk.converter.brush.decode_rle reads it.
    private static func unpacked(_ bytes: [UInt8]) -> [Int] {
        var place = 0
        func read(_ count: Int) -> Int {
            (0..<count).reduce(0) { value, _ in
                defer { place += 1 }
                return value << 1 | Int(bytes[place / 8] >> UInt8(7 - place % 8) & 1)
            }
        }
        let count = read(32)
        let wordSize = read(5) + 1
        let sizes = (0..<4).map { _ in read(4) + 1 }
        var values: [Int] = []
        while values.count < count {
            let isRun = read(1) == 1
            let length = read(sizes[read(2)]) + 1
            if isRun {
                values += Array(repeating: read(wordSize), count: length)
            } else {
                values += (0..<length).map { _ in read(wordSize) }
            }
        }
        return values
    }

    // MARK: Text

    @Test func numbersHaveTheirDecimals() {
        var line = JSONBytes()
        for value in [0, 5, 150, 12345, -7] {
            line.hundredths(value)
            line.raw(" ")
        }
        line.fraction(1, of: 3)
        line.raw(" ")
        line.fraction(7, of: 7)
        line.raw(" ")
        line.percent(2, of: 3)
        for real in ["1", "0.5", "1e-05", "NaN", nil] {
            line.raw(" ")
            line.real(real)
        }
        #expect(
            String(decoding: line.bytes, as: UTF8.self)
                == "0.00 0.05 1.50 123.45 -0.07 0.333333 1.000000 66.666667 1.0 0.5 1e-05 null null")
    }

    @Test(arguments: [
        ("https://a.b/c/d.jpg?x=1#y", "jpeg", "d.jpg"), ("https://a.b/c/d.png", "jpeg", "d.jpg"),
        ("https://a.b/c/v1.2", "png", "v1.2.png"), ("https://a.b/", "webp", "image.webp"),
        ("https://a.b", "webp", "image.webp"), ("https://a.b/%2e%2e%2Fx%3A%22.JPEG", "jpeg", "_x__.JPEG"),
        ("https://a.b/%F0%9F%90%88.jpg", "jpeg", "🐈.jpg"),
        ("data:image/png;base64,AAAA", "png", "0f0f0f0f0f0f0f0f.png"),
    ])
    func imagesHaveSafeNames(url: String, format: String, name: String) {
        var names = ImageNames(.url)
        let image = Self.image(url, format)
        #expect(names.name(of: image) == name)
        let second = names.name(of: image)
        #expect(second.hasSuffix("-0f0f0f0f0f0f0f0f." + (name.split(separator: ".").last ?? "")), "\(second)")
    }

    @Test func plainNamesAreFoundAsTheOthers() {
        for url in ["https://a.b/c/d.jpg", "http://a.b/D-e_1.x.png", "http:/a/b/c"] {
            #expect(ImageNames.plainPart(of: url) == ImageNames.part(of: url))
            #expect(ImageNames.plainPart(of: url) != nil)
        }
        for url in [
            "https://a.b/", "https://a.b", "https://a.b/c?d/e.jpg", "https://a.b/.hidden", "https://a.b/end.",
            "https://a.b/c%20d.jpg", "https://a.b/c#/d.jpg", "a/b/c/d", "data:image/png,a/b/c", "https://a.b/ü.jpg",
        ] {
            #expect(ImageNames.plainPart(of: url) == nil, "\(url)")
        }
    }

    private static func image(_ url: String, _ format: String) -> ExportedImage {
        let job = ExportedJob(
            id: 1, task: "detect", key: "a/b", url: url, finalURL: url, source: nil, model: "m", prompt: "", text: "",
            score: nil)
        return ExportedImage(
            id: 1, sha256: String(repeating: "0f", count: 32), width: 1, height: 1, orientation: EXIFOrientation(1),
            format: format, byteCount: 1, jobs: [job])
    }

    @Test func damageIsFound() throws {
        let folder = try TemporaryFolder()
        let image = #"{"id":1,"file_name":"a","width":10,"height":10}"#
        let good =
            #"{"id":1,"image_id":1,"category_id":1,"bbox":[1.00,1.00,2.00,2.00],"area":4.00,"iscrowd":0,"#
            + #""segmentation":[],"score":0.5}"#
        for (annotation, words) in [
            (good, ""), (good.replacing("\"image_id\":1", with: "\"image_id\":2"), "there is no image 2"),
            (good.replacing("[1.00,", with: "[9.00,"), "not within the image"),
            (good.replacing("\"score\":0.5", with: "\"x\":1"), "the score is missing"),
            (good.replacing("\"category_id\":1", with: "\"category_id\":0"), "no category 0"),
            (good.replacing("[]", with: #"{"size":[10,10],"counts":"x"}"#), "run lengths"),
            (String(good.dropLast()), "an entry cannot be read"), ("", "not 1"),
        ] {
            let path = try folder.write(
                "a.json", #"{"categories":[{"id":1,"name":"a"}],"images":[\#(image)],"annotations":[\#(annotation)]}"#)
            func verify() throws {
                try COCOVerification(path, "a.json").run(images: 1, annotations: 1, categories: 1, truth: nil)
            }
            if words.isEmpty {
                try verify()
            } else {
                let error = #expect(throws: CommandError.self) { try verify() }
                #expect(
                    error?.message.hasPrefix("a.json, byte ") ?? false && error!.message.contains(words), "\(error!)")
            }
        }
    }
}
