import Foundation

/// Reads `<locY1><locX1><locY2><locX2> label ; …` from a response.
public struct DetectionParser: Sendable {
    private let vocabulary: any Vocabulary

    public init(_ vocabulary: any Vocabulary) { self.vocabulary = vocabulary }

    /// What was read.
    public struct Parsed: Hashable, Sendable {
        /// Boxes in the order of the response. Coordinates are `<loc>` value / 1023, as the training data encodes them;
        /// the score is √(geometric mean of the four location tokens' probabilities × geometric mean of the label's).
        public var findings: [Finding] = []
        /// Groups of locations without a label or an area. The raw text stands beside the boxes in every result.
        public var notUnderstoodCount = 0
    }

    /// Reads a response.
    public func parse(_ response: Generation) -> Parsed {
        var parsed = Parsed()
        var index = 0
        while index < response.tokens.count {
            let corners = response.tokens[index...].prefix(4).compactMap { vocabulary.locations[$0] }
            guard corners.count == 4 else {
                index += 1
                continue
            }
            let labelEnd = endOfLabel(response, from: index + 4)
            if let found = finding(response, corners: corners, at: index, label: index + 4..<labelEnd) {
                parsed.findings.append(found)
            } else {
                parsed.notUnderstoodCount += 1
            }
            index = labelEnd
        }
        return parsed
    }

    /// A label ends before a separator, the next location or the end of the response.
    private func endOfLabel(_ response: Generation, from start: Int) -> Int {
        let ended = response.finishReason == .eos ? response.tokens.count - 1 : response.tokens.count
        let rest = start..<max(start, ended)
        return rest.first {
            vocabulary.locations[response.tokens[$0]] != nil || vocabulary.separators.contains(response.tokens[$0])
        } ?? rest.upperBound
    }

    private func finding(_ response: Generation, corners: [Int], at index: Int, label range: Range<Int>) -> Finding? {
        let label = vocabulary.decode(Array(response.tokens[range])).trimmingCharacters(in: .whitespaces)
        let (y1, x1, y2, x2) = (corners[0], corners[1], corners[2], corners[3])
        guard !label.isEmpty, y2 > y1, x2 > x1 else { return nil }
        let place = geometricMean(response.logProbabilities[index..<index + 4])
        let name = geometricMean(response.logProbabilities[range])
        func fraction(_ value: Int) -> Float { Float(Double(value) / 1023) }
        return Finding(
            label: label, score: Float((place * name).squareRoot()),
            box: Box(y1: fraction(y1), x1: fraction(x1), y2: fraction(y2), x2: fraction(x2)))
    }
}

private func geometricMean(_ logProbabilities: ArraySlice<Double>) -> Double {
    exp(logProbabilities.reduce(0, +) / Double(logProbabilities.count))
}
