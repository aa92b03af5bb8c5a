/// Numbers of tokens: equal tokens have equal numbers.
struct TokenIDs: Sendable {
    private var ids: [PythonText: Int32] = [:]

    mutating func id(_ token: PythonText) -> Int32 {
        if let id = ids[token] { return id }
        let id = Int32(ids.count)
        ids[token] = id
        return id
    }

    /// A tokenised caption in numbers.
    mutating func caption(_ tokens: [PythonText]) -> CaptionTokens {
        CaptionTokens(
            tokens: tokens.map { id($0) }, words: tokens.flatMap { $0.split() }.map { id($0) })
    }

    /// The number of a word that may be unknown.
    func known(_ token: PythonText) -> Int32? { ids[token] }
}

/// A caption as numbers of tokens.
struct CaptionTokens: Sendable {
    /// Split at blanks: what ROUGE compares.
    var tokens: [Int32]
    /// Split at all white space: what BLEU and CIDEr count. There is more of it where a token has a no-break space.
    var words: [Int32]
}

/// Up to four words in a row; a shorter one ends in -1.
typealias NGram = SIMD4<Int32>

/// The n-grams of a caption, n = 1...4, in the order of their first occurrence: so sums are the same in each run.
struct NGramCounts: Sendable {
    /// How often each occurs: of n words at index n - 1.
    private(set) var counts: [[(ngram: NGram, count: Int)]] = [[], [], [], []]
    /// How many words there are.
    let wordCount: Int

    init(_ words: [Int32]) {
        wordCount = words.count
        for length in 1...4 {
            var places: [NGram: Int] = [:]
            for start in 0..<max(0, words.count - length + 1) {
                var ngram = NGram(repeating: -1)
                for offset in 0..<length { ngram[offset] = words[start + offset] }
                if let place = places[ngram] {
                    counts[length - 1][place].count += 1
                } else {
                    places[ngram] = counts[length - 1].count
                    counts[length - 1].append((ngram, 1))
                }
            }
        }
    }

    /// How many n-grams of this length there are: max(0, words - length + 1).
    func total(length: Int) -> Int { max(0, wordCount - length + 1) }
}
