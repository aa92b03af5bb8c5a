/// The metrics of texts by their names.
public enum TextMetrics {
    /// What a user may choose beside the name.
    public struct Options: Sendable {
        /// Vectors of answers and labels, for a cosine; nil: none is computed.
        public var embeddings: Embeddings?

        public init(embeddings: Embeddings? = nil) { self.embeddings = embeddings }
    }

    /// All of them, in the order of the documentation.
    public static func all(_ options: Options = Options()) -> [any TextMetric] {
        var all: [any TextMetric] = VQAAccuracy.Variant.allCases.map { VQAAccuracy($0) }
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
