/// The tokenizer that a tokenizer.json of Gemma's kind describes: ids as Hugging Face's `tokenizers` gives them.
struct BytePairTokenizer: Sendable {
    /// A token beside the vocabulary's pieces.
    struct AddedToken {
        let id: Int
        let content: [UInt8]
        let isNormalized: Bool
        let isSpecial: Bool
    }

    let pieceCount: Int
    private let pairs: BytePairs
    /// Looked for in the text as it is.
    private var raw = AddedTokens()
    /// Looked for in the text with its blanks replaced.
    private var normalized = AddedTokens()
    private var pieces: [Int: Piece] = [:]
    /// Ids of the added tokens, and of what else the vocabulary has between < and >.
    private var ids: [[UInt8]: Int] = [:]

    private enum Piece {
        case text([UInt8])
        case byte(UInt8)
        case special
    }

    init(pairs: BytePairs, added: [AddedToken]) {
        self.pairs = pairs
        for (text, id) in pairs.vocabulary {
            pieces[Int(id)] = BytePiece.byte(text).map(Piece.byte) ?? .text(Self.denormalize(text))
        }
        for (text, id) in pairs.vocabulary where text.first == UInt8(ascii: "<") { ids[Array(text)] = Int(id) }
        for token in added {
            ids[token.content] = token.id
            pieces[token.id] = token.isSpecial ? .special : .text(Self.denormalize(token.content[...]))
            if token.isNormalized {
                normalized.add(Self.normalize(token.content[...]), id: token.id, isSpecial: token.isSpecial)
            } else {
                raw.add(token.content, id: token.id, isSpecial: token.isSpecial)
            }
        }
        let readable = pieces.filter { if case .special = $0.value { false } else { true } }
        pieceCount = (readable.keys.max() ?? -1) + 1
    }

    private static let blank: [UInt8] = Array("\u{2581}".utf8)

    /// In bytes: Swift's characters join a blank's sign with marks that follow it.
    private static func denormalize(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var (plain, at) = ([UInt8](), text.startIndex)
        while at < text.endIndex {
            let isBlank = text[at...].starts(with: blank)
            plain.append(isBlank ? 0x20 : text[at])
            at += isBlank ? blank.count : 1
        }
        return plain
    }

    private static func normalize(_ text: ArraySlice<UInt8>) -> [UInt8] {
        text.reduce(into: []) { $1 == 0x20 ? $0.append(contentsOf: blank) : $0.append($1) }
    }
}

extension BytePairTokenizer: TokenPieces {
    func encode(_ text: String) -> [Int]? {
        var ids: [Int] = []
        for part in raw.split(Array(text.utf8)[...]) {
            switch part {
            case .token(let id): ids.append(id)
            case .text(let text):
                for part in normalized.split(Self.normalize(text)[...]) {
                    switch part {
                    case .token(let id): ids.append(id)
                    case .text(let text): ids += pairs.encode(text)
                    }
                }
            }
        }
        return ids
    }

    func id(of piece: String) -> Int? { ids[Array(piece.utf8)] }

    func kind(of id: Int) -> TokenKind {
        switch pieces[id] {
        case .text: .text
        case .byte(let byte): .byte(byte)
        case .special: .control
        case nil: .none
        }
    }

    func text(of ids: [Int]) -> String {
        let bytes = ids.flatMap { id in if case .text(let text) = pieces[id] { text } else { [UInt8]() } }
        return String(decoding: bytes, as: UTF8.self)
    }
}
