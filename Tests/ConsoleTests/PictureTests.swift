import Foundation
import Images
import Storage
import TestSupport
import Testing

@testable import Console

/// The picture door: images by job and index, and nothing else.
@Suite struct PictureTests {
    private static func file(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: ConsoleWorld.root.appending(path: "Tests/Fixtures/images/\(name)")))
    }

    /// A world whose results are of a file that a server has.
    private func world(
        _ file: [UInt8], digest: String? = nil, previews: PictureCache? = nil, source: ImageSource = .copies
    ) async throws -> (ConsoleWorld, LoopbackServer, Int64) {
        let server = try LoopbackServer(["/a.jpg": { $0.answer(200, file) }])
        let database = try await ConsoleWorld.hostileQueue(server.url(""))
        try await ConsoleWorld.finish(database, server.url(""), sha256: digest ?? SHA256Digest.hex(file))
        let answer = try await database.query("select id from gloss.job where key = 'boxes'")
        let job = try #require(answer.scalar.flatMap { Int64($0) })
        let world = try await ConsoleWorld(database, images: server, previews: previews, source: source)
        return (world, server, job)
    }

    /// A picture is upright, of its own shape, no larger than asked for, and is fetched once.
    @Test(arguments: ["photo.jpg", "exif6.jpg", "alpha.webp", "rgba.png"])
    func picturesAreUprightAndSmall(name: String) async throws {
        let file = try Self.file(name)
        let (world, server, job) = try await world(file)
        let original = try ImageDecoder.header(of: file)
        for size in PictureSize.allCases {
            let answer = try await world.get("/picture/\(job)/1?w=\(size.rawValue)")
            #expect(
                answer.status == 200 && answer.headers["content-type"] == "image/jpeg", "\(answer.text.prefix(400))")
            let header = try ImageDecoder.header(of: [UInt8](answer.body))
            #expect(header.orientation == 1 && header.format == .jpeg)
            let scale = min(1, Double(size.rawValue) / Double(max(original.width, original.height)))
            #expect(header.width == max(1, Int((Double(original.width) * scale).rounded())))
            #expect(header.height == max(1, Int((Double(original.height) * scale).rounded())))
        }
        #expect(world.pictures.count == 2)
        let requests = server.requests.count
        let version = String(SHA256Digest.hex(file).prefix(16))
        let kept = try await world.get("/picture/\(job)/1?w=320&v=\(version)")
        #expect(kept.status == 200 && kept.headers["cache-control"]?.contains("immutable") == true)
        let other = try await world.get("/picture/\(job)/1?w=320&v=0000000000000000")
        #expect(other.headers["cache-control"] == "private, no-cache")
        #expect(server.requests.count == requests)
    }

    /// The pixels are those that the decoder gives, but for what JPEG loses.
    @Test func picturesShowTheImage() async throws {
        let file = try Self.file("rgb.png")
        let (world, _, job) = try await world(file)
        let picture = try await world.get("/picture/\(job)/1?w=1280")
        let (shown, original) = (try ImageDecoder.decode([UInt8](picture.body)), try ImageDecoder.decode(file))
        try #require(shown.width == original.width && shown.height == original.height)
        let error = zip(shown.pixels, original.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(Double(error) / Double(shown.pixels.count) < 12)
    }

    @Test func aChangedImageSaysSo() async throws {
        let (world, _, job) = try await world(try Self.file("photo.jpg"), digest: String(repeating: "b", count: 64))
        let answer = try await world.get("/picture/\(job)/1?w=320")
        #expect(answer.status == 409 && answer.text.contains("Another image is there now"))
        #expect(answer.headers["content-type"]?.hasPrefix("image/svg+xml") == true)
        #expect(world.pictures.isEmpty)
    }

    @Test func whatCannotBeDecodedSaysSo() async throws {
        let photo = try Self.file("photo.jpg")
        let (world, _, job) = try await world(Array(photo.prefix(photo.count / 2)))
        #expect(try await world.get("/picture/\(job)/1?w=320").status == 422)
        #expect(world.pictures.isEmpty)
    }

    /// What a daemon has kept is shown in place of what is not there any more.
    @Test func previewsStandInForWhatIsGone() async throws {
        let folder = NSTemporaryDirectory() + "gloss-previews-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(throws: (any Error).self) { try PictureCache(existing: folder) }
        let photo = try Self.file("photo.jpg")
        let gone = String(repeating: "b", count: 64)
        let kept = Data(try #require(JPEGFile.encode(RGBImage(width: 1, height: 1, pixels: [1, 2, 3]))))
        let own = try PictureCache(path: folder, limit: 1 << 20, isForGroup: true)
        try own.write(kept, PictureCache.Name(sha256: gone, size: PictureCache.previewSide, background: nil))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let mode = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(names[0])")[.posixPermissions] as? Int
        #expect(names.count == 1 && mode == 0o640)
        let (changed, _, job) = try await world(photo, digest: gone, previews: try PictureCache(existing: folder))
        for size in PictureSize.allCases {
            let answer = try await changed.get("/picture/\(job)/1?w=\(size.rawValue)")
            #expect(answer.status == 200 && answer.body == kept)
        }
        #expect(changed.pictures.isEmpty, "the image itself may come back")
        let (there, _, other) = try await world(photo, previews: try PictureCache(existing: folder))
        let answer = try await there.get("/picture/\(other)/1?w=320")
        #expect(answer.status == 200 && answer.body != kept)
    }

    /// Where links to the originals are wanted, a browser is sent to what was enqueued, and pages let it go there.
    @Test func imagesMayComeStraightFromWhereTheyAre() async throws {
        let (world, server, job) = try await world(try Self.file("photo.jpg"), source: .direct)
        let answer = try await world.get("/picture/\(job)/1?w=320")
        #expect(answer.status == 303 && answer.headers["location"] == server.url("/a.jpg"))
        #expect(server.requests.isEmpty)
        for target in ["/", "/results", "/picture/\(job)/1?w=320"] {
            let policy = try #require(try await world.get(target).headers["content-security-policy"])
            #expect(policy.contains("; img-src 'self' http: https:; "), "\(target)")
        }
        #expect(try await world.get("/picture/\(job)/2?w=320").status == 404)
    }

    /// A producer's URL does not make the console ask a network that the policy forbids.
    @Test func thePolicyHolds() async throws {
        let file = try Self.file("photo.jpg")
        let server = try LoopbackServer(["/a.jpg": { $0.answer(200, file) }])
        let database = try await ConsoleWorld.hostileQueue(server.url(""))
        try await ConsoleWorld.finish(database, server.url(""), sha256: SHA256Digest.hex(file))
        let job = try #require(try await database.query("select id from gloss.job where key = 'boxes'").scalar)
        let world = try await ConsoleWorld(database)
        let answer = try await world.get("/picture/\(job)/1?w=320")
        #expect(answer.status == 502 && answer.text.contains("cannot be fetched"))
        #expect(server.requests.isEmpty)
    }

    @Test func theDoorTakesNothingElse() async throws {
        let (world, server, job) = try await world(try Self.file("photo.jpg"))
        let waiting = try #require(
            try await world.database.query("select id from gloss.job where key = 'waiting'").scalar)
        for target in [
            "/picture/\(job)/2?w=320", "/picture/\(job)/0?w=320", "/picture/\(job)/1", "/picture/\(job)/1?w=321",
            "/picture/\(job)/1?w=1e3", "/picture/999999/1?w=320", "/picture/\(waiting)/1?w=320",
            "/picture/\(job)/99999?w=320",
            "/picture/\(job)/1/?w=320", "/picture/\(job)/1/../../../etc/passwd?w=320",
            "/picture/..%2f..%2fetc/passwd?w=320",
            "/picture/\(job)/%31?w=320", "/picture/http%3A%2F%2F127.0.0.1%2Fa.jpg/1?w=320",
            "/picture/\(job)/1?url=http://127.0.0.1:\(server.port)/a.jpg", "/picture/-1/1?w=320", "/picture//1?w=320",
            "/picture/18446744073709551616/1?w=320",
        ] {
            #expect(try await world.get(target).status == 404, "\(target)")
        }
        #expect(server.requests.isEmpty && world.pictures.isEmpty)
        #expect(try await world.ask("GET", "/picture/\(job)/1?w=320", ["Cookie": nil]).status == 401)
    }

    /// What was looked at longest ago goes; what is looked at stays.
    @Test func theCacheIsBounded() throws {
        let folder = NSTemporaryDirectory() + "gloss-console-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let cache = try PictureCache(path: folder, limit: 1000)
        func name(_ digit: Int) -> PictureCache.Name {
            PictureCache.Name(sha256: String(repeating: "\(digit)", count: 64), size: 320, background: nil)
        }
        for digit in 0..<4 {
            try cache.write(Data(repeating: UInt8(digit), count: 240), name(digit))
            let at = Date(timeIntervalSince1970: 1000 + Double(digit))
            try FileManager.default.setAttributes(
                [.modificationDate: at], ofItemAtPath: folder + "/" + (try #require(name(digit).file)))
        }
        #expect(cache.read(name(0)) == Data(repeating: 0, count: 240))
        try cache.write(Data(repeating: 9, count: 240), name(9))
        #expect(cache.read(name(0)) != nil && cache.read(name(9)) != nil && cache.read(name(1)) == nil)
        try cache.write(Data(repeating: 8, count: 1001), name(8))
        #expect(cache.read(name(8)) == nil)
        // It finds what is there when it starts again.
        #expect(try PictureCache(path: folder, limit: 1000).read(name(0)) != nil)
        #expect(PictureCache.Name(sha256: "../../etc/passwd", size: 320, background: nil).file == nil)
        #expect(name(1).file?.hasSuffix("-320-ffffff.jpg") == true)
    }

    @Test func jpegFilesHaveTheirPixels() throws {
        let image = RGBImage(width: 3, height: 2, pixels: [UInt8](repeating: 200, count: 18))
        let file = try #require(JPEGFile.encode(image))
        #expect(try ImageDecoder.decode(file) == image)
    }
}
