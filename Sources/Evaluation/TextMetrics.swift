/// The metrics of texts by their names.
public enum TextMetrics {
    /// What a user may choose beside the name.
    public struct Options: Sendable {
        /// How captions are cut into tokens.
        public var tokenizer: CaptionTokenizer
        /// What CIDEr-D weighs by; nil: the references' own frequencies.
        public var frequencies: DocumentFrequencies?
        /// Vectors of answers and labels, for a cosine; nil: none is computed.
        public var embeddings: Embeddings?

        public init(
            tokenizer: CaptionTokenizer = .ptb, frequencies: DocumentFrequencies? = nil, embeddings: Embeddings? = nil
        ) {
            self.tokenizer = tokenizer
            self.frequencies = frequencies
            self.embeddings = embeddings
        }
    }

    /// All of them, in the order of the documentation.
    public static func all(_ options: Options = Options()) -> [any TextMetric] {
        let captions = CaptionMetric(
            "caption", CaptionMetric.Measure.allCases, tokenizer: options.tokenizer, frequencies: options.frequencies)
        let measures = CaptionMetric.Measure.allCases.map {
            CaptionMetric($0, tokenizer: options.tokenizer, frequencies: options.frequencies)
        }
        var all: [any TextMetric] = [captions] + measures
        all += VQAAccuracy.Variant.allCases.map { VQAAccuracy($0) }
        all += ExactMatch.Variant.allCases.map { ExactMatch($0) }
        all += ANLS.Variant.allCases.map { ANLS($0) }
        all += RelaxedAccuracy.Variant.allCases.map { RelaxedAccuracy($0) }
        all += POPE.Variant.allCases.map { POPE($0) }
        all += [Counting(), RSVQA(), ScienceQA(), ChoiceMatch(), Pairing.mmvp, Pairing.nlvr2, Pairing.paired]
        all += TextErrorRate.Variant.allCases.map { TextErrorRate($0) }
        return all + [Objaverse(embeddings: options.embeddings)]
    }

    /// The metric of this name; nil: there is none.
    public static func named(_ name: String, _ options: Options = Options()) -> (any TextMetric)? {
        all(options).first { $0.name == name }
    }
}
