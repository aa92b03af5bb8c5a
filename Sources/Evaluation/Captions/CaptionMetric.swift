/// The metrics of captions against references, as pycocoevalcap computes them.
public struct CaptionMetric: TextMetric {
    /// What is computed.
    public enum Measure: String, Sendable, CaseIterable {
        /// CIDEr-D, 0...10. Papers print it × 100.
        case cider = "cider-d"
        /// BLEU-4, and BLEU-1 to BLEU-3 after it.
        case bleu
        /// ROUGE-L.
        case rouge = "rouge-l"
    }

    /// The name.
    public let name: String
    /// What is computed; the score of an item is that of the first.
    public let measures: [Measure]
    /// How captions are cut into tokens.
    public let tokenizer: CaptionTokenizer
    /// What CIDEr-D weighs by; nil: the frequencies of the items' own references, as the official tool does.
    public let frequencies: DocumentFrequencies?

    public init(
        _ name: String, _ measures: [Measure], tokenizer: CaptionTokenizer = .ptb,
        frequencies: DocumentFrequencies? = nil
    ) {
        precondition(!measures.isEmpty)
        self.name = name
        self.measures = measures
        self.tokenizer = tokenizer
        self.frequencies = frequencies
    }

    /// One measure by its name.
    public init(_ measure: Measure, tokenizer: CaptionTokenizer = .ptb, frequencies: DocumentFrequencies? = nil) {
        self.init(measure.rawValue, [measure], tokenizer: tokenizer, frequencies: frequencies)
    }

    public func start() -> any MetricRun { Run(metric: self) }

    private struct Run: MetricRun {
        let metric: CaptionMetric
        var ids = TokenIDs()
        /// nil: there is no result.
        var captions: [CaptionTokens?] = []
        var references: [[CaptionTokens]] = []

        mutating func add(_ item: EvaluatedItem) throws(EvaluationError) {
            try item.requireAnswers()
            captions.append(item.text.map { ids.caption(metric.tokenizer.tokens($0)) })
            references.append(item.answers.map { ids.caption(metric.tokenizer.tokens($0)) })
        }

        func scores() throws(EvaluationError) -> MetricScores {
            let parts = try metric.measures.map { measure throws(EvaluationError) in
                switch measure {
                case .cider: try cider()
                case .bleu: bleu()
                case .rouge: rouge()
                }
            }
            return MetricScores(items: parts[0].items) { indices in parts.flatMap { $0.figures(of: indices) } }
        }

        /// Counted again in each pass: to keep the n-grams of all captions would take some 10 KB an image.
        private var counted: some Sequence<(caption: NGramCounts, references: [NGramCounts])> {
            zip(captions, references).lazy.map { caption, references in
                (NGramCounts(caption?.words ?? []), references.map { NGramCounts($0.words) })
            }
        }

        private func cider() throws(EvaluationError) -> MetricScores {
            let cider: CIDEr
            if let frequencies = metric.frequencies {
                cider = CIDEr(frequencies: frequencies.byNumbers(ids), imageCount: frequencies.imageCount)
            } else if captions.count >= 2 {
                cider = CIDEr(images: counted.lazy.map(\.references))
            } else {
                throw EvaluationError(
                    reason: "CIDEr-D weighs n-grams by how few images have them, and is 0 on \(captions.count) images; "
                        + "give 2 or more, or document frequencies of a corpus")
            }
            return mean("CIDEr-D", of: counted.map { cider.score($0.caption, references: $0.references) })
        }

        private func bleu() -> MetricScores {
            let counts = counted.map { BLEU.counts($0.caption, references: $0.references) }
            return MetricScores(items: counts.map { BLEU.scores($0)[3] }) { indices in
                let scores = BLEU.scores(indices.reduce(into: BLEU.Counts()) { $0 += counts[$1] })
                return [4, 1, 2, 3].map { length in
                    let value = indices.isEmpty ? nil : scores[length - 1]
                    return Figure(name: "BLEU-\(length)", value: value, count: indices.count)
                }
            }
        }

        private func rouge() -> MetricScores {
            let scores = zip(captions, references).map { caption, references -> Double in
                guard let caption else { return 0 }
                return ROUGE.score(caption.tokens, references: references.map(\.tokens), empty: -1)
            }
            return mean("ROUGE-L", of: scores)
        }

        private func mean(_ name: String, of scores: [Double]) -> MetricScores {
            MetricScores(items: scores) { indices in [Figure.mean(name, of: indices.map { scores[$0] })] }
        }
    }
}
