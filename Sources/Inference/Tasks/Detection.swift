import Foundation

/// A detected box. Coordinates are fractions of the image: `<loc>` value / 1023, as the training data encodes them.
public struct DetectedBox: Sendable, Equatable {
    /// What the model calls it.
    public let label: String
    /// Probability in 0…1: √(geometric mean of the four location tokens' × geometric mean of the label's).
    public let score: Double
    /// Top, 0…1.
    public let yMin: Double
    /// Left, 0…1.
    public let xMin: Double
    /// Bottom, 0…1.
    public let yMax: Double
    /// Right, 0…1.
    public let xMax: Double
}

/// Reads `<locY1><locX1><locY2><locX2> label ; …` from an answer.
public struct DetectionParser: Sendable {
    private let tokenizer: Tokenizer
    private let locations: [Int: Int]
    private let separator: Set<Int>

    /// A parser for answers of the model that `tokenizer` belongs to.
    public init(tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        locations = tokenizer.locationIDs()
        separator = Set([";", " ;"].compactMap { (try? tokenizer.encode($0))?.last })
    }

    /// Boxes in the order of the answer. What is not four locations and a label, or has no area, is left out: the raw text
    /// stands beside the boxes in every result.
    public func boxes(_ answer: Generation) -> [DetectedBox] {
        var boxes: [DetectedBox] = []
        var index = 0
        while index < answer.tokens.count {
            let corners = answer.tokens[index...].prefix(4).compactMap { locations[$0] }
            guard corners.count == 4 else {
                index += 1
                continue
            }
            let labelEnd = endOfLabel(answer, from: index + 4)
            if let box = box(answer, corners: corners, at: index, label: index + 4..<labelEnd) { boxes.append(box) }
            index = labelEnd
        }
        return boxes
    }

    /// A label ends before a separator, the next location or the end of the answer.
    private func endOfLabel(_ answer: Generation, from start: Int) -> Int {
        let ended = answer.finishReason == .eos ? answer.tokens.count - 1 : answer.tokens.count
        let rest = start..<max(start, ended)
        return rest.first { locations[answer.tokens[$0]] != nil || separator.contains(answer.tokens[$0]) }
            ?? rest.upperBound
    }

    private func box(_ answer: Generation, corners: [Int], at index: Int, label range: Range<Int>) -> DetectedBox? {
        let label = tokenizer.decode(Array(answer.tokens[range])).trimmingCharacters(in: .whitespaces)
        let (y1, x1, y2, x2) = (corners[0], corners[1], corners[2], corners[3])
        guard !label.isEmpty, y2 > y1, x2 > x1 else { return nil }
        let place = geometricMean(answer.logProbabilities[index..<index + 4])
        let name = geometricMean(answer.logProbabilities[range])
        return DetectedBox(
            label: label, score: (place * name).squareRoot(), yMin: Double(y1) / 1023, xMin: Double(x1) / 1023,
            yMax: Double(y2) / 1023, xMax: Double(x2) / 1023)
    }
}

private func geometricMean(_ logProbabilities: ArraySlice<Double>) -> Double {
    exp(logProbabilities.reduce(0, +) / Double(logProbabilities.count))
}

extension Tokenizer {
    /// Ids of `<loc0000>` … `<loc1023>`, with their values; empty for a tokenizer without them.
    func locationIDs() -> [Int: Int] {
        var ids: [Int: Int] = [:]
        for value in 0..<1024 {
            let digits = String(value)
            let piece = "<loc" + String(repeating: "0", count: 4 - digits.count) + digits + ">"
            if let encoded = try? encode(piece), encoded.count == 1 { ids[encoded[0]] = value }
        }
        return ids
    }
}
