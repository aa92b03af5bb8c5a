import Foundation
import Images
import Inference
import Testing

@testable import Decoding

/// Decodes a folder of files, here and in the sandbox, and writes what came of each: `reference/check_images.py` draws and judges them.
@Suite struct ImageCorpusTests {
    private static let folder = ProcessInfo.processInfo.environment["GLOSS_TEST_IMAGES"].map {
        URL(filePath: $0, directoryHint: .isDirectory)
    }

    /// A line of `decoded.jsonl`. The pixels are in `NAME.rgb`.
    private struct Row: Encodable {
        var name: String
        var width: Int?
        var height: Int?
        var code: String?
        var message: String?
        /// `same`, or what was otherwise in the sandbox.
        var sandbox = "same"
    }

    @Test(.enabled(if: folder != nil)) func decodesACorpus() async throws {
        let folder = try #require(Self.folder)
        let limits = DecodeLimits(maxPixels: 1_000_000, formats: Set(ImageFormat.allCases))
        let pool = DecoderPool(executable: GlossdProcess.binary.path, limits: .init(limits), count: 1)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { !$0.hasSuffix(".rgb") && !$0.hasSuffix(".jsonl") }.sorted()
        #expect(!names.isEmpty)
        var lines = Data()
        for name in names {
            let file = try [UInt8](Data(contentsOf: folder.appending(path: name)))
            var row = Row(name: name)
            let sandboxed = await pool.decode(
                file, sha256: SHA256Digest.hex(file), background: nil, size: 28, resize: .bicubic)
            do {
                let header = try ImageDecoder.header(of: file, limits: limits)
                let image = try ImageDecoder.decode(file, limits: limits)
                (row.width, row.height) = (image.width, image.height)
                try Data(image.pixels).write(to: folder.appending(path: "\(name).rgb"))
                let resized = PixelValues.resized(rgb: image.pixels, width: image.width, height: image.height, size: 28)
                if case .success(let decoded) = sandboxed {
                    if decoded.pixels != resized || decoded.header != header { row.sandbox = "other pixels" }
                } else {
                    row.sandbox = "\(sandboxed)"
                }
            } catch let error as ImageError {
                (row.code, row.message) = (error.code.word, error.message)
                if case .failure(error) = sandboxed {} else { row.sandbox = "\(sandboxed)".prefix(300).description }
            }
            lines += try JSONEncoder().encode(row) + Data("\n".utf8)
        }
        try lines.write(to: folder.appending(path: "decoded.jsonl"))
    }
}
