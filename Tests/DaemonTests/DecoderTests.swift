import Foundation
import Glibc
import Images
import Inference
import Synchronization
import TestSupport
import Testing

@testable import Decoding

/// Decoding in a process of its own: the same pixels and errors as here, whatever becomes of that process.
@Suite(.timeLimit(.minutes(10))) struct DecoderTests {
    private static let folder = GlossdProcess.fixtures.appending(path: "images")
    private let size = 56

    private func pool(
        maxPixels: Int = 1_000_000, patience: Duration = .seconds(60), processorTime: Int = 30, count: Int = 2,
        executable: String = GlossdProcess.binary.path
    ) -> DecoderPool {
        DecoderPool(
            executable: executable,
            limits: DecoderPool.Limits(
                DecodeLimits(maxPixels: maxPixels, formats: Set(ImageFormat.allCases)), processorTime: processorTime,
                patience: patience),
            count: count)
    }

    private func decode(
        _ file: [UInt8], in pool: DecoderPool, background: DecodeLimits.Colour? = nil
    ) async -> Result<DecodedImage, ImageError> {
        await pool.decode(file, sha256: SHA256Digest.hex(file), background: background, size: size, resize: .bicubic)
    }

    private func file(_ name: String) throws -> [UInt8] {
        try Array(Data(contentsOf: Self.folder.appending(path: name)))
    }

    /// A shell script that can be started. A process of its own writes it: what this one writes may still be open in a child that
    /// another test starts meanwhile, and such a program is busy.
    private func program(_ script: String) async throws -> URL {
        let program = FileManager.default.temporaryDirectory.appending(path: "gloss-decoder-\(UUID()).sh")
        let write = #"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#
        let writer = try ChildProcess("/bin/sh", ["-c", write, "sh", program.path, script], environment: [:])
        try #require(await writer.wait() == 0)
        return program
    }

    private func all(_ background: DecodeLimits.Colour = .white) -> DecodeLimits {
        DecodeLimits(background: background, formats: Set(ImageFormat.allCases))
    }

    private func decoded(_ file: [UInt8], _ background: DecodeLimits.Colour = .white) throws -> [UInt8] {
        let image = try ImageDecoder.decode(file, limits: all(background))
        return PixelValues.resized(rgb: image.pixels, width: image.width, height: image.height, size: size)
    }

    @Test func givesThePixelsThatDecodingHereGives() async throws {
        let pool = pool()
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
            .filter { !$0.hasSuffix(".safetensors") }
        #expect(names.count > 35)
        for name in names {
            let file = try file(name)
            let red = DecodeLimits.Colour(red: 200, green: 10, blue: 3)
            let image = try await decode(file, in: pool, background: red).get()
            #expect(try image.pixels == decoded(file, red), "\(name)")
            #expect(try image.header == ImageDecoder.header(of: file, limits: all()), "\(name)")
        }
        #expect(pool.idlePIDs.count == 1)
    }

    /// Between the header and the pixels it is asked whether there is room.
    @Test func asksForRoom() async throws {
        let pool = pool(count: 1)
        let photo = try file("photo.jpg")
        let expected = try ImageDecoder.header(of: photo)
        let asked = Mutex<[Int]>([])
        let busy = ImageError(.outOfMemory, "no room")
        let refused = await pool.decode(photo, sha256: "a", background: nil, size: size, resize: .bicubic) { bytes in
            asked.withLock { $0.append(bytes) }
            return busy
        }
        #expect(refused.failure == busy)
        #expect(asked.withLock { $0 } == [expected.workingBytes])
        let decoder = pool.idlePIDs
        #expect(decoder.count == 1)
        #expect(try await decode(photo, in: pool).get().header == expected)
        #expect(pool.idlePIDs == decoder, "it was not given up")
        #expect(await decode(Array("8BPS".utf8), in: pool).failure?.code == .unsupportedFormat)
    }

    @Test func givesTheErrorsThatDecodingHereGives() async throws {
        let whole = try file("photo.jpg")
        let files = [
            [], Array("<html>".utf8), Array("8BPS".utf8), Array(whole.prefix(1000)), Array(whole.prefix(30)),
        ]
        let pool = pool()
        for file in files {
            let expected = #expect(throws: ImageError.self) { try decoded(file) }
            let found = await #expect(throws: ImageError.self) {
                try await decode(file, in: pool).get()
            }
            #expect(found == expected)
        }
        let small = await decode(whole, in: self.pool(maxPixels: 100))
        #expect(small.failure?.code == .tooManyPixels)
    }

    /// What is wanted goes with each file.
    @Test func decodesWhatIsWanted() async throws {
        let photo = try file("photo.jpg")  // 131 × 77
        func code(_ change: (inout DecodeLimits) -> Void, placeholders: Set<String> = []) async -> ImageError.Code? {
            var limits = DecodeLimits()
            change(&limits)
            let pool = DecoderPool(
                executable: GlossdProcess.binary.path, limits: .init(limits, placeholders: placeholders), count: 1)
            return await decode(photo, in: pool).failure?.code
        }
        #expect(await code { _ in } == nil)
        #expect(await code { $0.formats = [.png, .heic] } == .unsupportedFormat)
        #expect(await code { $0.minSide = 78 } == .tooSmall)
        #expect(await code { $0.maxAspectRatio = 1.7 } == .aspectRatio)
        #expect(await code({ _ in }, placeholders: [SHA256Digest.hex(photo)]) == .placeholder)
    }

    @Test func decodesSideBySide() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        let expected = try decoded(file)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<40 {
                group.addTask { (try? await decode(file, in: pool).get().pixels) == expected }
            }
            for await isRight in group { #expect(isRight) }
        }
        #expect((1...2).contains(pool.idlePIDs.count))
    }

    /// A child that hangs, as over a file that takes for ever.
    @Test func givesUpOnADecoderThatHangs() async throws {
        let pool = pool(patience: .seconds(10))
        let file = try file("photo.jpg")
        #expect(await decode(file, in: pool).failure == nil)
        let hanging = try #require(pool.idlePIDs.first)
        kill(hanging, SIGSTOP)
        let error = try #require(await decode(file, in: pool).failure)
        #expect(error.code == .decoderLate && error.blame == .ourselves)
        #expect(error.disposition == .release(after: nil))
        #expect(error.message == "the decoder was not done with this image after 10.0 seconds")
        #expect(kill(hanging, 0) == -1, "it is still there")
        #expect(await decode(file, in: pool).failure == nil)
        #expect(pool.idlePIDs != [hanging])
    }

    /// A child that is killed in the middle, as by a codec that writes astray. It is stopped before, so that the kill comes in time.
    @Test func saysHowADecoderDied() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        #expect(await decode(file, in: pool).failure == nil)
        let doomed = try #require(pool.idlePIDs.first)
        kill(doomed, SIGSTOP)
        async let result = decode(file, in: pool)
        while !pool.idlePIDs.isEmpty { await Task.yield() }
        kill(doomed, SIGSEGV)
        kill(doomed, SIGCONT)
        let error = try #require(await result.failure)
        #expect(error.code == .decoderFailed)
        #expect(error.message == "the decoder was killed by signal 11 over this image")
        #expect(await decode(file, in: pool).failure == nil)
    }

    /// One that died while it had nothing to do costs no image.
    @Test func replacesADecoderThatDiedIdle() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        #expect(await decode(file, in: pool).failure == nil)
        let dead = try #require(pool.idlePIDs.first)
        kill(dead, SIGKILL)
        var info = siginfo_t()
        waitid(P_PID, id_t(dead), &info, WEXITED | WNOWAIT)
        #expect(await decode(file, in: pool).failure == nil)
        #expect(pool.idlePIDs.count == 1 && pool.idlePIDs != [dead])
    }

    /// For people: the image's own shape, no larger than asked for.
    @Test(arguments: ["photo.jpg", "exif6.jpg"])
    func decodesToItsOwnShape(name: String) async throws {
        let file = try file(name)
        let whole = try ImageDecoder.decode(file)
        let longest = max(whole.width, whole.height)
        for side in [longest / 2, longest, 2 * longest] {
            let image = try await pool().decode(
                file, sha256: name, background: nil, resize: .bicubic, size: { DecodedSize(of: $0, within: side) }
            ).get()
            #expect(max(image.size.width, image.size.height) == min(side, longest))
            let expected = Resize.bicubic.apply(
                whole.pixels, width: whole.width, height: whole.height, toWidth: image.size.width,
                toHeight: image.size.height)
            #expect(image.pixels == expected)
        }
    }

    @Test func noSideIsNothing() {
        let flat = ImageHeader(width: 4000, height: 1, orientation: 1, format: .png, workingBytes: 1)
        #expect(DecodedSize(of: flat, within: 320) == DecodedSize(width: 320, height: 1))
    }

    /// systemd's stop and a terminal's Ctrl-C reach children too; the daemon still needs them to drain.
    @Test func outlivesTheSignalsThatAreForTheDaemon() async throws {
        let pool = pool()
        let file = try file("photo.jpg")
        #expect(await decode(file, in: pool).failure == nil)
        let pids = pool.idlePIDs
        for signal in [SIGTERM, SIGINT, SIGHUP] { kill(pids[0], signal) }
        #expect(await decode(file, in: pool).failure == nil)
        #expect(pool.idlePIDs == pids)
    }

    /// What the messages below answer.
    private var order: DecodeOrder {
        DecodeOrder(background: .white, size: DecodedSize(side: size), resize: .bicubic)
    }

    /// A decoder that a file took over may answer what it likes.
    @Test(
        arguments: [
            [0, 3 * 56 * 56 + 1], [0, 0], [0, .max], [8, 3], [.max, 0], [1, 2001], [1, .max],
        ] as [[UInt64]])
    func believesNoNonsense(_ head: [UInt64]) throws {
        #expect(
            try read(words(head)) { try DecodeReply.readPixels(from: $0, order, by: $1) } == nil
        )
    }

    /// Width, height, orientation, format, working bytes.
    @Test(
        arguments: [
            [0, 10, 1, 0, 300], [10, 0, 1, 0, 300], [1001, 1001, 1, 0, 300], [65_536, 1, 1, 0, 300],
            [.max, .max, 1, 0, 300],
            [10, 10, 0, 0, 300], [10, 10, 9, 0, 300], [10, 10, .max, 0, 300], [10, 10, 1, 8, 300],
            [10, 10, 1, .max, 300],
            [10, 10, 1, 0, 0], [10, 10, 1, 0, .max], [10, 10, 1, 0, 1 << 30],
        ] as [[UInt64]])
    func believesNoHeaderThatCannotBe(_ header: [UInt64]) throws {
        let limits = DecodeLimits(maxPixels: 1_000_000)
        let reply = words([0, 40] + header)
        #expect(try read(reply) { try DecodeReply.readHeader(from: $0, limits: limits, by: $1) } == nil)
    }

    @Test func believesAHeaderThatCanBe() throws {
        let limits = DecodeLimits(maxPixels: 1_000_000)
        let reply = words([0, 40, 1000, 1000, 8, 2, 12_000_000])
        let header = try read(reply) { try DecodeReply.readHeader(from: $0, limits: limits, by: $1) }
        let expected = ImageHeader(width: 1000, height: 1000, orientation: 8, format: .webp, workingBytes: 12_000_000)
        #expect(header == .success(expected))
    }

    @Test func makesMessagesOneLine() throws {
        let reply = words([4, 6]) + Array("a\nb\0c\r".utf8)
        let answer = try read(reply) { try DecodeReply.readPixels(from: $0, order, by: $1) }
        #expect(answer?.failure?.message == "abc")
    }

    private func read<Answer>(
        _ reply: [UInt8], _ body: (Decoding.Pipe, ContinuousClock.Instant) throws -> Answer
    ) throws -> Answer {
        let (mine, its) = try #require(Pipe.pair())
        defer {
            mine.close()
            its.close()
        }
        try its.write(reply, by: nil)
        return try body(mine, .now + .seconds(10))
    }

    /// Decoders that a file took over, and what becomes of the image: the first time, and when it happens again. Seconds of
    /// patience: who ends by itself has long, as where much else runs two seconds of a processor take long; who goes on gets
    /// all of them.
    @Test(
        arguments: [
            // It computes for ever, and may not want to hear that its time is up.
            ("while :; do :; done", 120, .decoderCPULimit, .permanent, .permanent),
            ("trap '' XCPU; while :; do :; done", 20, .decoderCPULimit, .permanent, .permanent),
            ("exec sleep 60", 1, .decoderLate, .release(after: nil), .release(after: nil)),
            // What only the kernel or a person can do.
            ("kill -KILL $$", 120, .decoderFailed, .release(after: .seconds(30)), .permanent),
            ("kill -SEGV $$", 120, .decoderFailed, .retry(after: nil), .permanent),
            ("kill -SYS $$", 120, .decoderFailed, .retry(after: nil), .permanent),
            ("exit 0", 120, .decoderFailed, .retry(after: nil), .permanent),
            ("exec <&-; exec sleep 60", 120, .decoderFailed, .retry(after: nil), .permanent),
            (
                "exec 3<&0; head -c 4000 /dev/zero | tr '\\0' x >&3; exec sleep 60", 120, .decoderFailed,
                .retry(after: nil),
                .permanent
            ),
        ] as [(String, Int, ImageError.Code, ImageError.Disposition, ImageError.Disposition)])
    func bearsWhateverADecoderDoes(
        _ script: String, _ patience: Int, _ code: ImageError.Code, _ first: ImageError.Disposition,
        _ second: ImageError.Disposition
    ) async throws {
        let program = try await program(script)
        defer { try? FileManager.default.removeItem(at: program) }
        let pool = pool(patience: .seconds(patience), processorTime: 1, executable: program.path)
        let file = try file("rgb.png")
        for disposition in [first, second] {
            let error = try #require(await decode(file, in: pool).failure)
            #expect(error.code == code, "\(error)")
            #expect(error.disposition == disposition, "\(error)")
        }
        #expect(pool.idlePIDs.isEmpty)
    }

    /// A file that hangs a decoder again and again is let go in the end.
    @Test func aFileThatAlwaysHangsIsLetGo() async throws {
        let program = try await program("exec sleep 60")
        defer { try? FileManager.default.removeItem(at: program) }
        let pool = pool(patience: .milliseconds(50), executable: program.path)
        let (hanging, other) = (try file("rgb.png"), try file("grey.png"))
        for _ in 1...4 { #expect(await decode(hanging, in: pool).failure?.disposition == .release(after: nil)) }
        #expect(await decode(hanging, in: pool).failure?.disposition == .permanent)
        #expect(await decode(other, in: pool).failure?.disposition == .release(after: nil))
    }

    @Test func remembersALimitedNumberOfFiles() {
        let offences = Offences()
        #expect(offences.add("first") == 1 && offences.add("first") == 2)
        for number in 0..<1024 { #expect(offences.add("\(number)") == 1) }
        #expect(offences.add("first") == 1)
        #expect(offences.add("1023") == 2)
    }

    /// Whoever gives up while all decoders are at work takes no place.
    @Test func waitsForAPlaceUntilItIsCancelled() async throws {
        let places = DecoderPlaces(1)
        #expect(await places.enter())
        let waiting = Task { await places.enter() }
        waiting.cancel()
        #expect(await waiting.value == false)
        let next = Task { await places.enter() }
        places.leave()
        #expect(await next.value)
    }

    @Test func saysThatNoneCanBeStarted() async {
        let pool = pool(executable: "/nowhere/glossd")
        let error = await decode([0xFF], in: pool).failure
        #expect(error?.code == .localFailure)
        #expect(error?.disposition == .fatal)
    }

    @Test func holdsNothing() async throws {
        let pool = pool()
        #expect(await decode(try file("rgb.png"), in: pool).failure == nil)
        let pid = try #require(pool.idlePIDs.first)
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        #expect(status.contains("Seccomp:\t2\n"))
        #expect(status.contains("NoNewPrivs:\t1\n"))
        #expect(status.contains("SigBlk:\t0000000000000000\n"), "a limit's signal arrives")
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
