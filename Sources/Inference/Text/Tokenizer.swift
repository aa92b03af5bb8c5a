import Foundation

/// Text to ids and back, by a model's tokenizer.model or tokenizer.json. Control tokens in text (`<eos>`, `<image>`)
/// are plain text.
public final class Tokenizer: Sendable {
    private let pieces: any TokenPieces
    /// One more than the highest id of a piece that text can become, `<loc…>` and `<seg…>` included.
    public var pieceCount: Int { pieces.pieceCount }

    /// Loads a tokenizer.model or a tokenizer.json.
    public convenience init(contentsOf url: URL) throws(InferenceError) {
        try self.init(mapFile(url), path: url.path)
    }

    /// A tokenizer.model's bytes, or a tokenizer.json's where `path` ends so; `path` is named in errors.
    init(_ data: Data, path: String) throws(InferenceError) {
        pieces =
            path.hasSuffix(".json")
            ? try TokenizerJSON.read(data, path: path) : try SentencePieceModel(data, path: path)
    }

    /// Ids of `text`, with neither `<bos>` nor `<eos>`.
    public func encode(_ text: String) throws(InferenceError) -> [Int] {
        guard let ids = pieces.encode(text) else {
            throw InferenceError(.invalidRequest, "the tokenizer refused the text")
        }
        return ids
    }

    /// The id of a piece; nil where there is none.
    public func id(of piece: String) -> Int? { pieces.id(of: piece) }

    /// Whether there are pieces for locations, without which nothing can be detected.
    public var hasLocations: Bool { [Marks.locations.first!, Marks.locations.last!].allSatisfy { id(of: $0) != nil } }

    /// Whether every id stands for what it stands for in `other`, and no other piece is there.
    func hasPieces(of other: Tokenizer) -> Bool {
        guard pieceCount == other.pieceCount else { return false }
        return (0..<pieceCount).allSatisfy { id in
            let (kind, expected) = (pieces.kind(of: id), other.pieces.kind(of: id))
            if case .text = kind, case .text = expected {
                return pieces.text(of: [id]).utf8.elementsEqual(other.pieces.text(of: [id]).utf8)
            }
            return kind == expected
        }
    }

    /// Text of `ids`, as Hugging Face decodes it. Control pieces decode to nothing; an id that no piece has (a padding
    /// row of the vocabulary) to U+FFFD; of a run of byte pieces that is not UTF-8, each byte to U+FFFD.
    public func decode(_ ids: [Int]) -> String {
        var text = ""
        var bytes: [UInt8] = []
        var run: [Int] = []
        for id in ids {
            switch pieces.kind(of: id) {
            case .control: continue
            case .byte(let byte):
                text += takePieces(&run)
                bytes.append(byte)
            case .text:
                text += Self.takeBytes(&bytes)
                run.append(id)
            case .none: text += takePieces(&run) + Self.takeBytes(&bytes) + "\u{FFFD}"
            }
        }
        return text + takePieces(&run) + Self.takeBytes(&bytes)
    }

    private func takePieces(_ ids: inout [Int]) -> String {
        defer { ids = [] }
        return pieces.text(of: ids)
    }

    private static func takeBytes(_ bytes: inout [UInt8]) -> String {
        defer { bytes = [] }
        return String(validating: bytes, as: UTF8.self) ?? String(repeating: "\u{FFFD}", count: bytes.count)
    }
}

/// The pieces of a tokenizer, whatever file they are from.
protocol TokenPieces: Sendable {
    /// One more than the highest id of a piece that text can become.
    var pieceCount: Int { get }
    /// The id of a piece; nil where there is none.
    func id(of piece: String) -> Int?
    /// Ids of `text`; nil where it can't be encoded.
    func encode(_ text: String) -> [Int]?
    /// What an id stands for.
    func kind(of id: Int) -> TokenKind
    /// The text of ids that all are `.text`.
    func text(of ids: [Int]) -> String
}

/// What an id stands for.
enum TokenKind: Equatable {
    /// A piece of text.
    case text
    /// One byte of a character.
    case byte(UInt8)
    /// `<eos>` and the like, which no text has.
    case control
    /// No piece has this id.
    case none
}
