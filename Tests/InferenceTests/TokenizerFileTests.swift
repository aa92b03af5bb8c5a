import Foundation
import Testing

@testable import Inference

@Suite struct TokenizerFileTests {
    private let good: Data

    init() throws {
        good = try Data(contentsOf: Golden.fixtures.appending(path: "tiny/model/tokenizer.model"))
    }

    private func code(_ data: Data) -> InferenceError.Code? {
        do throws(InferenceError) {
            let tokenizer = try Tokenizer(data, path: "tokenizer.model")
            _ = try tokenizer.encode("caption en")
            return nil
        } catch {
            return error.code
        }
    }

    @Test func readsAnHonestFile() { #expect(code(good) == nil) }

    /// normalizer_spec (3) and denormalizer_spec (5) with a precompiled_charsmap (2), merged into the file's own. The
    /// table's trie points out of it: libsentencepiece follows it when it reads the first text.
    @Test(arguments: [3, 5] as [UInt8])
    func refusesATable(_ field: UInt8) {
        let table: [UInt8] = [8, 0, 0, 0] + [0xFF, 0xFF, 0xFF, 0x7F] + [0xFF, 0xFF, 0xFF, 0x7F] + [0]
        let spec = [UInt8(2 << 3 | 2), UInt8(table.count)] + table
        #expect(code(good + [field << 3 | 2, UInt8(spec.count)] + spec) == .unsupportedModel)
    }

    @Test(
        arguments: [
            [0x1A], [0x1A, 0x05, 0x12], [0x1A, 0x02, 0x12, 0x01], [0x0B],
            [0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            [0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0x80],
        ] as [[UInt8]])
    func refusesDamage(_ tail: [UInt8]) { #expect(code(good + tail) == .invalidModel) }
}
