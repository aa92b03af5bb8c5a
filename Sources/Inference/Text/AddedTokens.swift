/// Tokens that are looked for in a text before anything else is done with it, as Hugging Face's `tokenizers` does:
/// where several begin, the longest.
///
/// A special one (`<eos>`, `<image>`) stays text, as with `encode_special_tokens`: a prompt can't speak for the engine.
struct AddedTokens {
    /// A piece of a split text.
    enum Part {
        case text(ArraySlice<UInt8>)
        case token(Int)
    }

    private var ids: [ArraySlice<UInt8>: (id: Int, isSpecial: Bool)] = [:]
    /// Lengths of the tokens, bytes, from the longest.
    private var lengths: [Int] = []

    mutating func add(_ content: [UInt8], id: Int, isSpecial: Bool) {
        ids[content[...]] = (id, isSpecial)
        guard !lengths.contains(content.count) else { return }
        lengths = (lengths + [content.count]).sorted(by: >)
    }

    /// The tokens of `text`, and what is between them.
    func split(_ text: ArraySlice<UInt8>) -> [Part] {
        var parts: [Part] = []
        var (at, start) = (text.startIndex, text.startIndex)
        while at < text.endIndex {
            guard let (length, token) = match(text[at...]) else {
                at += 1
                continue
            }
            if !token.isSpecial {
                if start < at { parts.append(.text(text[start..<at])) }
                parts.append(.token(token.id))
                start = at + length
            }
            at += length
        }
        if start < text.endIndex { parts.append(.text(text[start...])) }
        return parts
    }

    private func match(_ text: ArraySlice<UInt8>) -> (length: Int, token: (id: Int, isSpecial: Bool))? {
        for length in lengths where length <= text.count {
            if let token = ids[text.prefix(length)] { return (length, token) }
        }
        return nil
    }
}
