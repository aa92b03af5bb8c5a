/// Average normalised Levenshtein similarity: the best of 1 − NL over the answers, where NL is the edit distance over
/// the length of the longer text, and 0 where NL is beyond the threshold of 0.5.
public struct ANLS: TextMetric {
    /// Who computes it. They differ at NL = 0.5, in white space and in what the lengths are of.
    public enum Variant: String, Sendable, CaseIterable {
        /// The script of the Robust Reading Competition, whose servers score DocVQA, InfographicVQA and ST-VQA: white
        /// space is squeezed for the distance, the lengths are those of the texts as they are. NL = 0.5 scores 0.5.
        case robustReading = "anls"
        /// pix2struct's. NL = 0.5 scores 0.5. Two empty texts, which it divides by zero for, are equal here.
        case pix2struct = "anls-pix2struct"
        /// big_vision's `anls_metric` with `to_lower`. NL = 0.5 scores 0.
        case bigVision = "anls-bv"
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        ItemRun(mean: "ANLS") { [variant] item throws(EvaluationError) in
            try item.requireAnswers()
            guard let text = item.text else { return 0 }
            return item.answers.map { Self.similarity(PythonText(text), PythonText($0), variant) }.max() ?? 0
        }
    }

    private static func similarity(_ text: PythonText, _ answer: PythonText, _ variant: Variant) -> Double {
        switch variant {
        case .robustReading:
            let distance = EditDistance.between(squeezed(text).scalars, squeezed(answer).scalars)
            // Of the raw texts in upper case: "ß" counts twice.
            let length = max(text.uppercasedCount, answer.uppercasedCount)
            let similarity = length == 0 ? 1 : 1 - Double(distance) / Double(length)
            return similarity < 0.5 ? 0 : similarity
        case .pix2struct:
            let distance = normalisedDistance(text.lowercased(), answer.lowercased())
            return distance <= 0.5 ? 1 - distance : 0
        case .bigVision:
            if answer.count == 0 { return text.count == 0 ? 1 : 0 }
            let distance = normalisedDistance(text.lowercased(), answer.lowercased())
            return distance < 0.5 ? 1 - distance : 0
        }
    }

    private static func squeezed(_ text: PythonText) -> PythonText { .joined(text.lowercased().split()) }

    private static func normalisedDistance(_ left: PythonText, _ right: PythonText) -> Double {
        let length = max(left.count, right.count)
        return length == 0 ? 0 : Double(EditDistance.between(left.scalars, right.scalars)) / Double(length)
    }
}
