import Annotation
import CKernels
import Foundation
import Testing

@testable import Inference

/// Packed files whose checksums are right and whose header is not.
@Suite struct LyingFileTests {
    private let golden: Golden
    private let folder: URL
    private let packed: URL

    init() throws {
        golden = try Golden(Golden.fixtures.appending(path: "tiny2"))
        folder = FileManager.default.temporaryDirectory.appending(path: "gloss-lying-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        packed = folder.appending(path: "model.gloss")
    }

    /// A packed file that was taken apart.
    struct Parts {
        var header: PackedFile.Header
        var bytes: Data

        init(_ url: URL) throws {
            header = try PackedFile(url).header
            bytes = try Data(contentsOf: url)
        }

        func index(_ name: String) -> Int { header.sections.firstIndex { $0.name.contains(name) }! }

        mutating func change(_ name: String, _ body: (inout PackedFile.Section) -> Void) {
            body(&header.sections[index(name)])
        }

        /// Puts other bytes into a section; they must fit into its pages.
        mutating func replace(_ name: String, with data: Data) {
            let offset = header.sections[index(name)].offset
            bytes.replaceSubrange(offset..<offset + data.count, with: data)
            change(name) { $0.byteCount = data.count }
        }

        /// Writes it with checksums that are right, of those sections that lie within the file.
        func write(to url: URL) throws {
            var (header, bytes) = (header, bytes)
            for (index, section) in header.sections.enumerated() {
                let (offset, count) = (section.offset, section.byteCount)
                guard offset >= 0, count >= 0, offset <= bytes.count, count <= bytes.count - offset else { continue }
                header.sections[index].crc32c = crc(bytes[offset..<offset + count])
            }
            let json = try JSONEncoder().encode(header)
            bytes.replaceSubrange(24..<24 + json.count, with: json)
            bytes.replaceSubrange(12..<16, with: withUnsafeBytes(of: crc(json).littleEndian) { Data($0) })
            bytes.replaceSubrange(16..<24, with: withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) })
            try bytes.write(to: url)
        }

        private func crc(_ data: Data) -> UInt32 { data.withUnsafeBytes { gloss_crc32c($0.baseAddress, $0.count) } }
    }

    struct Lie: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var packedAs = Precision.bf16
        let tell: @Sendable (inout Parts) throws -> Void
        let words: [String]

        init(
            _ testDescription: String, packedAs: Precision = .bf16, _ words: String...,
            tell: @escaping @Sendable (inout Parts) throws -> Void
        ) {
            (self.testDescription, self.packedAs, self.words, self.tell) = (testDescription, packedAs, words, tell)
        }
    }

    private static let (vector, matrix) = ("layers.0.input_layernorm", "layers.0.mlp.down_proj")

    static let lies = [
        Lie("a negative size", "does not lie within") { $0.change(matrix) { $0.byteCount = -4096 } },
        Lie("a negative place", "begins inside") { $0.change(matrix) { $0.offset = -4096 } },
        Lie("a place that overflows", "does not lie within") {
            $0.change(matrix) { ($0.offset, $0.byteCount) = (.max / 4096 * 4096, .max) }
        },
        Lie("beyond the end", "does not lie within") { $0.change(matrix) { $0.offset += 1 << 40 } },
        Lie("between pages", "does not lie within") { $0.change(matrix) { $0.offset += 4 } },
        Lie("over the header", "begins inside") { $0.change(matrix) { $0.offset = 0 } },
        Lie("over another section", "begins inside") { parts in
            let other = parts.header.sections[parts.index(matrix) - 1].offset
            parts.change(matrix) { $0.offset = other }
        },
        Lie("twice", "stands twice") { parts in
            let last = parts.header.sections.last!
            parts.change(vector) { $0.name = last.name }
        },
        Lie("of another name", "are missing") { $0.change(vector) { $0.name = "x" } },
        Lie("too short", "bytes by config.json") { $0.change(vector) { $0.byteCount -= 4 } },
        Lie("other sides", "another shape") { parts in
            parts.change(matrix) { ($0.matrix!.outputs, $0.matrix!.inputs) = ($0.matrix!.inputs, $0.matrix!.outputs) }
        },
        Lie("a gated pair that is none", "another shape") { $0.change(matrix) { $0.matrix!.isGated = true } },
        Lie("a vector that is a matrix", "another shape") { parts in
            let shape = parts.header.sections[parts.index(matrix)].matrix
            parts.change(vector) { $0.matrix = shape }
        },
        Lie("a matrix that is a vector", "are missing") { $0.change(matrix) { $0.matrix = nil } },
        Lie("an unknown type", "are missing") { $0.change(matrix) { $0.matrix!.type = "f16" } },
        Lie("bf16 as int8", "bf16", "int8") { $0.header.precision = .int8 },
        Lie("int8 as bf16", packedAs: .int8, "int8", "bf16") { $0.header.precision = .bf16 },
        Lie("int8 as f32", packedAs: .int8, "int8", "f32") { $0.header.precision = .f32 },
        Lie("f32 as bf16", packedAs: .f32, "bf16") { parts in
            parts.header.precision = .bf16
            for index in parts.header.sections.indices where parts.header.sections[index].matrix != nil {
                parts.header.sections[index].matrix!.type = "f32"
            }
        },
        Lie("sizes that overflow", "config.json", "is 1048576") { parts in
            let config = """
                {"model_type": "paligemma", "text_config": {},
                 "vision_config": {"patch_size": 1048576, "image_size": 1048576, "hidden_size": 1048576}}
                """
            parts.replace("config.json", with: Data(config.utf8))
        },
        Lie("weights of one layer more", "not part of the model") { parts in
            var extra = parts.header.sections[parts.index(vector)]
            (extra.name, extra.offset) = ("layers.99.norm", parts.bytes.count)
            parts.bytes.append(Data(count: extra.byteCount))
            parts.header.sections.append(extra)
        },
    ]

    @Test(arguments: lies) func isRefused(lie: Lie) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try PaliGemma.pack(folder: golden.folder.appending(path: "model"), precision: lie.packedAs, to: packed)
        var parts = try Parts(packed)
        try lie.tell(&parts)
        try parts.write(to: packed)
        let error = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: packed) }
        for word in ["model.gloss"] + lie.words {
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        }
    }
}
