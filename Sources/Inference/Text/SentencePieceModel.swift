import CSentencePiece
import Foundation

/// A tokenizer.model, through libsentencepiece.
final class SentencePieceModel: Sendable {
    // Encoding and decoding only read the model: libsentencepiece documents them as thread-safe.
    private nonisolated(unsafe) let handle: OpaquePointer
    let pieceCount: Int

    /// The file's bytes; `path` is named in errors.
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
}

extension SentencePieceModel: TokenPieces {
    func encode(_ text: String) -> [Int]? {
        var text = text
        var ids: UnsafeMutablePointer<Int32>?
        let count = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { gloss_sp_encode(handle, $0.baseAddress, $0.count, &ids) }
        }
        defer { gloss_sp_free_ids(ids) }
        guard count >= 0, let ids else { return nil }
        return UnsafeBufferPointer(start: ids, count: Int(count)).map(Int.init)
    }

    func id(of piece: String) -> Int? {
        let id = Int(gloss_sp_id(handle, piece))
        return id < 0 ? nil : id
    }

    func kind(of id: Int) -> TokenKind {
        guard (0..<pieceCount).contains(id) else { return .none }
        let byte = Int(gloss_sp_byte(handle, Int32(id)))
        return byte == GLOSS_SP_NO_TEXT ? .control : byte == GLOSS_SP_TEXT ? .text : .byte(UInt8(byte))
    }

    func text(of ids: [Int]) -> String {
        var size = 0
        guard !ids.isEmpty, let text = gloss_sp_decode(handle, ids.map(Int32.init), ids.count, &size) else { return "" }
        defer { gloss_sp_free_text(text) }
        return String(decoding: UnsafeRawBufferPointer(start: text, count: size), as: UTF8.self)
    }
}
