/// Character and word error rate: edits over the reference's length. 0 is best, and there may be more edits than the
/// reference has words. The corpus' rate is the sum of edits over the sum of lengths, as jiwer's.
public struct TextErrorRate: TextMetric {
    /// What is edited, and what is made equal before.
    public enum Variant: String, Sendable, CaseIterable {
        /// Code points, without white space around the text: jiwer's `cer_default`.
        case characters = "cer"
        /// The same in lower case.
        case charactersLower = "cer-lower"
        /// Words between blanks, where a run of white space is one blank: jiwer's `wer_default`.
        case words = "wer"
        /// The same in lower case.
        case wordsLower = "wer-lower"

        var isOfWords: Bool { self == .words || self == .wordsLower }
        var isLower: Bool { self == .charactersLower || self == .wordsLower }
    }

    private struct Evidence: Sendable {
        var edits: Int
        var length: Int

        /// Of an empty reference, jiwer counts the insertions.
        var rate: Double { Double(edits) / Double(max(length, 1)) }
    }

    /// The variant.
    public let variant: Variant

    public init(_ variant: Variant) { self.variant = variant }

    public var name: String { variant.rawValue }

    public func start() -> any MetricRun {
        ItemRun<Evidence>(
            read: { [variant] item throws(EvaluationError) in
                // Without a result, all of the reference is to be written.
                let evidence = Self.compare(try item.onlyAnswer(), item.text ?? "", variant)
                return (evidence.rate, evidence)
            },
            figures: { [variant] items, indices in
                let evidence = items.evidence
                let edits = indices.reduce(0) { $0 + evidence[$1].edits }
                let length = indices.reduce(0) { $0 + evidence[$1].length }
                let name = variant.isOfWords ? "WER" : "CER"
                let all = Evidence(edits: edits, length: length)
                return [
                    Figure(name: name, value: indices.isEmpty ? nil : all.rate, count: indices.count),
                    items.mean("mean \(name)", indices),
                ]
            })
    }

    private static func compare(_ reference: String, _ text: String, _ variant: Variant) -> Evidence {
        var reference = PythonText(reference)
        var text = PythonText(text)
        if variant.isLower {
            reference = reference.lowercased()
            text = text.lowercased()
        }
        if variant.isOfWords {
            let expected = words(reference)
            return Evidence(edits: EditDistance.between(expected, words(text)), length: expected.count)
        }
        let expected = reference.stripped().scalars
        return Evidence(edits: EditDistance.between(expected, text.stripped().scalars), length: expected.count)
    }

    /// Words between blanks. A single tab is no blank: only runs of two or more are made one.
    private static func words(_ text: PythonText) -> [PythonText] {
        var squeezed: [Unicode.Scalar] = []
        var spaces: [Unicode.Scalar] = []
        for scalar in text.scalars {
            if PythonText.isSpace(scalar) {
                spaces.append(scalar)
            } else {
                squeezed.append(contentsOf: spaces.count > 1 ? [" "] : spaces)
                spaces = []
                squeezed.append(scalar)
            }
        }
        return PythonText(squeezed).stripped().split(separator: " ").filter { $0.count > 0 }
    }
}
