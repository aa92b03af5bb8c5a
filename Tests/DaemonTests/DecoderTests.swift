import Foundation
import Glibc
import Images
import Inference
import Testing

@testable import Daemon

/// Decoding in a process of its own: the same pixels and errors as here, whatever becomes of that process.
@Suite(.timeLimit(.minutes(1))) struct DecoderTests {
    private static let folder = GlossdProcess.fixtures.appending(path: "images")
    private let size = 56

    private func pool(maxPixels: Int = 1_000_000, patience: Duration = .seconds(60)) -> DecoderPool {
        DecoderPool(executable: GlossdProcess.binary.path, maxPixels: maxPixels, patience: patience)
    }

    private func file(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: Self.folder.appending(path: name)))
    }

    private func decoded(_ file: [UInt8], _ background: DecodeLimits.Colour = .white) throws -> [UInt8] {
        let image = try ImageDecoder.decode(file, limits: DecodeLimits(background: background))
        return PixelValues.resized(rgb: image.pixels, width: image.width, height: image.height, size: size)
    }

    @Test func givesThePixelsThatDecodingHereGives() async throws {
        let pool = pool()
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
            .filter { !$0.hasSuffix(".safetensors") }
        #expect(names.count > 20)
        for name in names {
            let file = try file(name)
            let red = DecodeLimits.Colour(red: 200, green: 10, blue: 3)
            #expect(try await pool.decode(file, background: red, size: size).get() == decoded(file, red), "\(name)")
        }
        #expect(pool.idlePIDs.count == 1)
    }

    @Test func saysWhatDecodingTakes() async throws {
        let pool = pool()
        let photo = try file("photo.jpg")
        let image = try ImageDecoder.decode(photo)
        #expect(try await pool.workingMemory(photo).get() == 9 * image.width * image.height)
        #expect(await pool.workingMemory(Array("GIF89a".utf8)).failure?.code == .unsupportedFormat)
    }

    @Test func givesTheErrorsThatDecodingHereGives() async throws {
        let whole = try file("photo.jpg")
        let files = [
            [], Array("<html>".utf8), Array("GIF89a".utf8), Array(whole.prefix(1000)), Array(whole.prefix(30)),
        ]
        let pool = pool()
        for file in files {
            let expected = #expect(throws: ImageError.self) { try decoded(file) }
            let found = await #expect(throws: ImageError.self) {
                try await pool.decode(file, background: nil, size: size).get()
            }
            #expect(found == expected)
        }
        let small = await self.pool(maxPixels: 100).decode(whole, background: nil, size: size)
        #expect(small.failure?.code == .tooManyPixels)
    }

    @Test func decodesSideBySide() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        let expected = try decoded(file)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<40 {
                group.addTask { (try? await pool.decode(file, background: nil, size: size).get()) == expected }
            }
            for await isRight in group { #expect(isRight) }
        }
        #expect((1...ProcessInfo.processInfo.activeProcessorCount).contains(pool.idlePIDs.count))
    }

    /// A child that hangs, as over a file that takes for ever.
    @Test func givesUpOnADecoderThatHangs() async throws {
        let pool = pool(patience: .seconds(2))
        let file = try file("photo.jpg")
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        let hanging = try #require(pool.idlePIDs.first)
        kill(hanging, SIGSTOP)
        let error = try #require(await pool.decode(file, background: nil, size: size).failure)
        #expect(error.code == .decoderFailed)
        #expect(error.disposition == .retry(after: nil))
        #expect(error.message == "the decoder was not done with this image after 2.0 seconds")
        #expect(kill(hanging, 0) == -1, "it is still there")
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        #expect(pool.idlePIDs != [hanging])
    }

    /// A child that is killed in the middle, as by a codec that writes astray. It is stopped before, so that the kill comes in time.
    @Test func saysHowADecoderDied() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        let doomed = try #require(pool.idlePIDs.first)
        kill(doomed, SIGSTOP)
        async let result = pool.decode(file, background: nil, size: size)
        while !pool.idlePIDs.isEmpty { await Task.yield() }
        kill(doomed, SIGSEGV)
        kill(doomed, SIGCONT)
        let error = try #require(await result.failure)
        #expect(error.code == .decoderFailed)
        #expect(error.message == "the decoder was killed by signal 11 over this image")
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
    }

    /// One that died while it had nothing to do costs no image.
    @Test func replacesADecoderThatDiedIdle() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        let dead = try #require(pool.idlePIDs.first)
        kill(dead, SIGKILL)
        var info = siginfo_t()
        waitid(P_PID, id_t(dead), &info, WEXITED | WNOWAIT)
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        #expect(pool.idlePIDs.count == 1 && pool.idlePIDs != [dead])
    }

    /// systemd's stop and a terminal's Ctrl-C reach children too; the daemon still needs them to drain.
    @Test func outlivesTheSignalsThatAreForTheDaemon() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        let pids = pool.idlePIDs
        for signal in [SIGTERM, SIGINT, SIGHUP] { kill(pids[0], signal) }
        #expect(await pool.decode(file, background: nil, size: size).failure == nil)
        #expect(pool.idlePIDs == pids)
    }

    /// A decoder that a file took over may answer what it likes.
    @Test(
        arguments: [
            [0, 3 * 56 * 56 + 1], [0, 0], [0, .max], [6, 3], [.max, 0], [1, 2001], [1, .max],
        ] as [[UInt64]])
    func believesNoNonsense(_ head: [UInt64]) throws {
        #expect(try read(head.flatMap { withUnsafeBytes(of: $0) { Array($0) } }) == nil)
    }

    @Test func makesMessagesOneLine() throws {
        let head: [UInt64] = [4, 6]
        let reply = head.flatMap { withUnsafeBytes(of: $0) { Array($0) } } + Array("a\nb\0c\r".utf8)
        #expect(try read(reply)?.failure?.message == "abc")
    }

    private func read(_ reply: [UInt8]) throws -> Result<[UInt8], ImageError>? {
        let (mine, its) = try #require(Pipe.pair())
        defer {
            mine.close()
            its.close()
        }
        try its.write(reply, by: nil)
        return try DecodeReply.read(from: mine, size: size, by: .now + .seconds(10))
    }

    @Test func saysThatNoneCanBeStarted() async {
        let pool = DecoderPool(executable: "/nowhere/glossd", maxPixels: 1)
        let error = await pool.decode([0xFF], background: nil, size: size).failure
        #expect(error?.code == .localFailure)
        #expect(error?.disposition == .fatal)
    }

    @Test func holdsNothing() async throws {
        let pool = pool()
        #expect(await pool.decode(try file("rgb.png"), background: nil, size: size).failure == nil)
        let pid = try #require(pool.idlePIDs.first)
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        #expect(status.contains("Seccomp:\t2\n"))
        #expect(status.contains("NoNewPrivs:\t1\n"))
        #expect(try Data(contentsOf: URL(filePath: "/proc/\(pid)/environ")).isEmpty)
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").sorted()
        #expect(open == ["0", "1", "2"])
        let targets = try open.map {
            try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")
        }
        #expect(targets[0].hasPrefix("socket:") && targets[1...] == ["/dev/null", "/dev/null"])
        #expect(try String(contentsOfFile: "/proc/\(pid)/oom_score_adj", encoding: .utf8) == "1000\n")
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
