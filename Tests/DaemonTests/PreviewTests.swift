import Decoding
import Foundation
import Images
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Daemon

/// Copies of annotated images for people to look at later.
@Suite(.timeLimit(.minutes(5))) struct PreviewTests {
    private static func file(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/\(name)")))
    }

    private static func folder() throws -> String {
        let path = NSTemporaryDirectory() + "gloss-previews-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    /// A daemon keeps one of each image and background, for its group; and where it cannot, jobs go on, and it says so once.
    @Test func aDaemonKeepsThem() async throws {
        let names = ["photo.jpg", "exif6.jpg", "alpha.webp"]
        let database = try await PrivatePostgres.shared.makeDatabase()
        var scripts: [String: LoopbackServer.Script] = [:]
        for name in names {
            let bytes = try Self.file(name)
            scripts["/\(name)"] = { $0.answer(200, bytes) }
        }
        let server = try LoopbackServer(scripts)
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func enqueue(_ name: String, _ key: String, _ background: String) async throws {
            try await database.query(
                "select gloss.enqueue_caption($1, key => $2, background => $3, max_tokens => 2)",
                [SQLValue(server.url("/\(name)")), SQLValue(key), SQLValue(background)])
        }
        for name in names { try await enqueue(name, name, "#102030") }
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_PREVIEWS"] = folder
        let daemon = try GlossdProcess(settings)
        try await eventually("select count(*) = 3 from gloss.result", in: database, [daemon])
        let cache = try PictureCache(existing: folder)
        for name in names {
            let file = try Self.file(name)
            let preview = PictureCache.Name(sha256: SHA256Digest.hex(file), size: 640, background: 0x102030)
            while !cache.has(preview) { try await Task.sleep(for: .milliseconds(10)) }
            let kept = try ImageDecoder.decode([UInt8](try #require(cache.read(preview))))
            let size = DecodedSize(of: try ImageDecoder.header(of: file), within: 640)
            #expect(kept.width == size.width && kept.height == size.height, "\(name)")
            let path = "\(folder)/\(try #require(preview.file))"
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o640)
        }

        try FileManager.default.removeItem(atPath: folder)
        try Data().write(to: URL(filePath: folder))
        for name in names { try await enqueue(name, "again \(name)", "#ff0000") }
        try await eventually("select count(*) = 6 from gloss.result", in: database, [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        let complaints = daemon.output.components(separatedBy: "no previews can be kept in \(folder)").count - 1
        #expect(complaints == 1, "\(daemon.output)")
    }

    /// What cannot be written is left out, said once, and said again after it went well.
    @Test func whatCannotBeWrittenIsLeftOut() async throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let complaints = Mutex<[String]>([])
        let cache = try PictureCache(path: folder, limit: 1 << 20, isForGroup: true)
        let previews = Previews(cache) { text in complaints.withLock { $0.append(text) } }
        let digits = (0..<10).map { String(repeating: "\($0)", count: 64) }
        let size = DecodedSize(width: 2, height: 1)
        func keep(_ digit: Int) { previews.keep([1, 2, 3, 4, 5, 6], size, sha256: digits[digit], background: nil) }
        func settled() async { await withCheckedContinuation { done in previews.whenIdle { done.resume() } } }
        #expect(previews.side(sha256: digits[0], background: nil) == 640)
        keep(0)
        await settled()
        #expect(previews.side(sha256: digits[0], background: nil) == nil)
        #expect(previews.side(sha256: digits[0], background: 0) == 640, "another background is another picture")
        try FileManager.default.removeItem(atPath: folder)
        for digit in 1...3 { keep(digit) }
        await settled()
        #expect(complaints.withLock { $0.count } == 1)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        keep(4)
        await settled()
        try FileManager.default.removeItem(atPath: folder)
        keep(5)
        await settled()
        #expect(complaints.withLock { $0.count } == 2)
    }
}
