import Annotation

/// The special tokens of a model, looked up once.
public struct ModelVocabulary: Vocabulary {
    public let locations: [Int: Int]
    public let codes: [Int: Int]
    public let separators: Set<Int>
    private let tokenizer: Tokenizer

    /// Looks the tokens up, some thousand of them.
    public init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        locations = tokenizer.values(of: Marks.locations)
        codes = tokenizer.values(of: Marks.segments)
        separators = Set([";", " ;"].compactMap { (try? tokenizer.encode($0))?.last })
    }

    public func decode(_ ids: [Int]) -> String { tokenizer.decode(ids) }
}

extension Tokenizer {
    /// Ids of `marks`, with their places among them; those that are no single token are left out.
    fileprivate func values(of marks: [String]) -> [Int: Int] {
        var ids: [Int: Int] = [:]
        for (value, mark) in marks.enumerated() {
            if let encoded = try? encode(mark), encoded.count == 1 { ids[encoded[0]] = value }
        }
        return ids
    }
}
