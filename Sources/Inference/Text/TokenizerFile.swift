import Foundation

/// A tokenizer.model as a protocol buffer (sentencepiece_model.proto), as far as it is judged before libsentencepiece
/// reads it.
enum TokenizerFile {
    /// Refuses what libsentencepiece must not read: a normalisation table is a trie that it walks wherever its numbers
    /// point, out of the file too. PaliGemma's tokenizer normalises nothing.
    ///
    /// - Throws: `invalidModel` for what is no such file, `unsupportedModel` for one with a table.
    static func check(_ data: Data, path: String) throws(InferenceError) {
        for spec in try fields([normalizerSpec, denormalizerSpec], of: data, path) {
            guard try fields([precompiledCharsmap], of: spec, path).allSatisfy(\.isEmpty) else {
                throw InferenceError(
                    .unsupportedModel, "\(path): the tokenizer normalises text by a table; PaliGemma's does not")
            }
        }
    }

    private static let normalizerSpec: UInt64 = 3
    private static let denormalizerSpec: UInt64 = 5
    private static let precompiledCharsmap: UInt64 = 2

    /// The contents of those fields of a message that are messages, texts or bytes and have one of these numbers.
    private static func fields(
        _ numbers: Set<UInt64>, of message: Data, _ path: String
    ) throws(InferenceError) -> [Data] {
        var found: [Data] = []
        var at = message.startIndex
        func skip(_ count: UInt64?) throws(InferenceError) -> Range<Int> {
            guard let count, count <= UInt64(message.endIndex - at) else {
                throw InferenceError(.invalidModel, "\(path): not a SentencePiece model, or truncated")
            }
            defer { at += Int(count) }
            return at..<at + Int(count)
        }
        while at < message.endIndex {
            let tag = varint(message, &at)
            switch tag.map({ $0 & 7 }) {
            case 0: _ = try skip(varint(message, &at).map { _ in 0 })
            case 1: _ = try skip(8)
            case 2:
                let content = try skip(varint(message, &at))
                if let tag, numbers.contains(tag >> 3) { found.append(message[content]) }
            case 5: _ = try skip(4)
            default: _ = try skip(nil)  // groups: no version of the format has any
            }
        }
        return found
    }

    /// Seven bits a byte, the lowest first; nil at the end of the bytes and for more than 63 bits, which no length
    /// needs.
    private static func varint(_ bytes: Data, _ at: inout Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0, to: 63, by: 7) where at < bytes.endIndex {
            let byte = bytes[at]
            at += 1
            value |= UInt64(byte & 0x7F) << UInt64(shift)
            if byte < 0x80 { return value }
        }
        return nil
    }
}
