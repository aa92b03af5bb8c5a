import Annotation

/// The special tokens of a model, looked up once.
public struct ModelVocabulary: Vocabulary {
    public let locations: [Int: Int]
    public let separators: Set<Int>
    private let tokenizer: Tokenizer

    /// Looks the tokens up, some thousand of them.
    public init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        locations = tokenizer.locationIDs()
        separators = Set([";", " ;"].compactMap { (try? tokenizer.encode($0))?.last })
    }

    public func decode(_ ids: [Int]) -> String { tokenizer.decode(ids) }
}

extension Tokenizer {
    /// Ids of `<loc0000>` … `<loc1023>`, with their values; empty for a tokenizer without them.
    fileprivate func locationIDs() -> [Int: Int] {
        var ids: [Int: Int] = [:]
        for (value, mark) in Marks.locations.enumerated() {
            if let encoded = try? encode(mark), encoded.count == 1 { ids[encoded[0]] = value }
        }
        return ids
    }
}
