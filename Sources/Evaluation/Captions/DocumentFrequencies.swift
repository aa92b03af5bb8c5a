/// In the references of how many images each n-gram of 1 to 4 words occurs: what CIDEr-D weighs by. Those of one corpus
/// make the scores of its parts comparable.
public struct DocumentFrequencies: Sendable, Codable, Equatable {
    /// How many images there are.
    public var imageCount: Int
    /// The number of images by the n-gram's words, joined by blanks.
    public var frequencies: [String: Int]

    public init(imageCount: Int, frequencies: [String: Int]) {
        self.imageCount = imageCount
        self.frequencies = frequencies
    }

    /// Counts them.
    /// - Parameter images: the references of each image.
    public init(images: some Sequence<[String]>, tokenizer: CaptionTokenizer) {
        imageCount = 0
        frequencies = [:]
        for references in images {
            imageCount += 1
            var ngrams: Set<PythonText> = []
            for reference in references {
                let words = tokenizer.tokens(reference).flatMap { $0.split() }
                for length in 1...4 {
                    for start in 0..<max(0, words.count - length + 1) {
                        ngrams.insert(PythonText.joined(Array(words[start..<(start + length)])))
                    }
                }
            }
            for ngram in ngrams { frequencies[ngram.string, default: 0] += 1 }
        }
    }

    /// By numbers of words. An n-gram with a word that has no number occurs in no caption.
    func byNumbers(_ ids: TokenIDs) -> [NGram: Int] {
        var numbered: [NGram: Int] = [:]
        for (key, count) in frequencies {
            let words = PythonText(key).split().map { ids.known($0) }
            guard (1...4).contains(words.count) else { continue }
            var ngram = NGram(repeating: -1)
            for (index, word) in words.enumerated() { ngram[index] = word ?? -2 }
            if !words.contains(nil) { numbered[ngram] = count }
        }
        return numbered
    }
}
