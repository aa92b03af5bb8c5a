import CSentencePiece
import Foundation

/// A tokenizer.model, through libsentencepiece. Control tokens in text (`<eos>`, `<image>`) are plain text.
public final class Tokenizer: Sendable {
    // Encoding and decoding only read the model: libsentencepiece documents them as thread-safe.
    private nonisolated(unsafe) let handle: OpaquePointer
    /// Pieces, `<loc…>` and `<seg…>` included.
    public let pieceCount: Int

    /// Loads `tokenizer.model`.
    public convenience init(contentsOf url: URL) throws(InferenceError) {
        try self.init(mapFile(url), path: url.path)
    }

    /// A `tokenizer.model`'s bytes; `path` is named in errors.
    init(_ data: Data, path: String) throws(InferenceError) {
        try TokenizerFile.check(data, path: path)
        var message = [CChar](repeating: 0, count: 512)
        let loaded = data.withUnsafeBytes { gloss_sp_load($0.baseAddress, $0.count, &message, message.count) }
        guard let loaded else {
            let text = String(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            throw InferenceError(.invalidModel, "\(path): not a SentencePiece model: \(text)")
        }
        handle = loaded
        pieceCount = Int(gloss_sp_piece_count(loaded))
    }

    deinit { gloss_sp_free(handle) }

    /// Ids of `text`, with neither `<bos>` nor `<eos>`.
    public func encode(_ text: String) throws(InferenceError) -> [Int] {
        var text = text
        var ids: UnsafeMutablePointer<Int32>?
        let count = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { gloss_sp_encode(handle, $0.baseAddress, $0.count, &ids) }
        }
        defer { gloss_sp_free_ids(ids) }
        guard count >= 0, let ids else { throw InferenceError(.invalidRequest, "the tokenizer refused the text") }
        return UnsafeBufferPointer(start: ids, count: Int(count)).map(Int.init)
    }

    /// Text of `ids`, as Hugging Face decodes it. Control pieces and ids that no piece has (padding rows of the
    /// vocabulary, `<image>`) decode to nothing; of a run of byte pieces that is not UTF-8, each byte to U+FFFD.
    public func decode(_ ids: [Int]) -> String {
        var text = ""
        var bytes: [UInt8] = []
        var pieces: [Int32] = []
        for id in ids where (0..<pieceCount).contains(id) {
            let byte = Int(gloss_sp_byte(handle, Int32(id)))
            if byte == GLOSS_SP_NO_TEXT { continue }
            if byte == GLOSS_SP_TEXT {
                text += Self.takeBytes(&bytes)
                pieces.append(Int32(id))
            } else {
                text += takePieces(&pieces)
                bytes.append(UInt8(byte))
            }
        }
        return text + takePieces(&pieces) + Self.takeBytes(&bytes)
    }

    private func takePieces(_ ids: inout [Int32]) -> String {
        defer { ids = [] }
        var size = 0
        guard !ids.isEmpty, let text = gloss_sp_decode(handle, ids, ids.count, &size) else { return "" }
        defer { gloss_sp_free_text(text) }
        return String(decoding: UnsafeRawBufferPointer(start: text, count: size), as: UTF8.self)
    }

    private static func takeBytes(_ bytes: inout [UInt8]) -> String {
        defer { bytes = [] }
        return String(validating: bytes, as: UTF8.self) ?? String(repeating: "\u{FFFD}", count: bytes.count)
    }
}
