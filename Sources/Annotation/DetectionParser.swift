import Foundation

/// Reads `<locY1><locX1><locY2><locX2> label ; …` from a response, with 16 `<seg…>` behind the locations where the model
/// gives an outline.
public struct DetectionParser: Sendable {
    private let vocabulary: any Vocabulary

    public init(_ vocabulary: any Vocabulary) { self.vocabulary = vocabulary }

    /// The codes of an outline.
    static let codeCount = 16

    /// What was read.
    public struct Parsed: Hashable, Sendable {
        /// Boxes in the order of the response. Coordinates are `<loc>` value / 1023, as the training data encodes them;
        /// `BoxScore` says what the score is. Codes do not change it.
        public var findings: [Finding] = []
        /// Boxes without an area, codewords outside of a box, locations beyond 1023. The raw text stands beside the boxes
        /// in every result.
        public var notUnderstoodCount = 0
    }

    /// The things that a prompt of the form `detect a ; b` or `segment a ; b` asks for; none for another prompt.
    public static func things(askedBy prompt: String) -> [String] {
        let parts = prompt.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, ["detect", "segment"].contains(parts[0]) else { return [] }
        return parts[1].split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// Reads a response.
    ///
    /// - Parameter things: what was asked for. If it is one thing, a box without a name has this one's; else it has the
    ///   empty name.
    public func parse(_ response: Generation, things: [String] = []) -> Parsed {
        let pieces = ResponsePieces(response, vocabulary).all
        let only = things.count == 1 ? things[0] : ""
        var parsed = Parsed()
        parsed.notUnderstoodCount = pieces.count { $0.isClamped }
        var index = 0
        while index < pieces.count {
            let run = pieces[index...].prefix { $0.isCodeword }
            guard run.prefix(4).count(where: { $0.location != nil }) == 4 else {
                if !run.isEmpty { parsed.notUnderstoodCount += 1 }
                index += max(1, run.count)
                continue
            }
            let group = BoxGroup(pieces, at: index)
            if group.codes.count > Self.codeCount { parsed.notUnderstoodCount += 1 }
            if let found = finding(response, group, only) {
                parsed.findings.append(marked(found, after: parsed.findings))
            } else {
                parsed.notUnderstoodCount += 1
            }
            index = group.end
        }
        return parsed
    }

    private func finding(_ response: Generation, _ group: BoxGroup, _ only: String) -> Finding? {
        let corners = group.corners.compactMap(\.location)
        let (y1, x1, y2, x2) = (corners[0], corners[1], corners[2], corners[3])
        guard y2 > y1, x2 > x1 else { return nil }
        func fraction(_ value: Int) -> Float { Float(Double(value) / 1023) }
        let place = BoxScore.place(corners, zip(group.corners, corners).map { spread(of: $0, at: $1, response) })
        let label = vocabulary.decode(Array(response.tokens[group.label])).trimmingCharacters(in: .whitespaces)
        let name = label.isEmpty ? 1 : geometricMean(Array(response.logProbabilities[group.label]))
        var found = Finding(
            label: label.isEmpty ? only : label, score: Float(exp(group.onward) * place * name),
            box: Box(y1: fraction(y1), x1: fraction(x1), y2: fraction(y2), x2: fraction(x2)))
        if group.codes.count >= Self.codeCount {
            let codes = group.codes.prefix(Self.codeCount)
            found.codes = codes.compactMap(\.code)
            found.tokenScore = Float(codes.reduce(0) { $0 + exp($1.logProbability) } / Double(Self.codeCount))
        } else if !group.codes.isEmpty {
            found.add(note: .partialCodes)
        }
        if response.finishReason == .length, group.isLast { found.add(note: .unfinished) }
        return found
    }

    /// Of a location that several tokens spell only its own probability is known.
    private func spread(
        of piece: ResponsePieces.Piece, at location: Int, _ response: Generation
    ) -> LocationSpread {
        let known = piece.tokens.count == 1 ? response.spreads[piece.tokens.lowerBound] : nil
        return known ?? LocationSpread(location, probability: exp(piece.logProbability))
    }

    /// A runaway response repeats its boxes until it is cut off.
    private func marked(_ finding: Finding, after earlier: [Finding]) -> Finding {
        var finding = finding
        let repeats = earlier.contains { other in
            guard let box = finding.box, let otherBox = other.box else { return false }
            return other.label == finding.label && box.overlap(otherBox) > 0.9
        }
        if repeats { finding.add(note: .duplicate) }
        return finding
    }
}

/// What belongs to one box: four locations, any codes, and the label, which ends before a separator, the next codeword or
/// the end of the response.
private struct BoxGroup {
    let corners: ArraySlice<ResponsePieces.Piece>
    /// Σ of the log-probabilities of the separators right before them.
    let onward: Double
    let codes: ArraySlice<ResponsePieces.Piece>
    /// The label's tokens.
    let label: Range<Int>
    /// The first piece behind it.
    let end: Int
    /// Whether the response ends with it.
    let isLast: Bool

    init(_ pieces: [ResponsePieces.Piece], at index: Int) {
        corners = pieces[index..<index + 4]
        let before = pieces[..<index].reversed().prefix { $0.isBlank || $0.isSeparator }
        onward = before.reduce(0) { $0 + ($1.isSeparator ? $1.logProbability : 0) }
        let rest = pieces[(index + 4)...]
        let firstCode = rest.prefix { $0.isBlank }.endIndex
        codes = pieces[firstCode...].prefix { $0.code != nil }
        let start = codes.isEmpty ? index + 4 : codes.endIndex
        let text = pieces[start...].prefix { !$0.isCodeword && !$0.isSeparator }
        end = text.endIndex
        isLast = end == pieces.count
        let firstToken = pieces[start - 1].tokens.upperBound
        label = firstToken..<(text.last?.tokens.upperBound ?? firstToken)
    }
}

private func geometricMean(_ logProbabilities: [Double]) -> Double {
    exp(logProbabilities.reduce(0, +) / Double(logProbabilities.count))
}

extension Box {
    /// The area of the intersection over that of the union.
    func overlap(_ other: Box) -> Float {
        let height = min(y2, other.y2) - max(y1, other.y1)
        let width = min(x2, other.x2) - max(x1, other.x1)
        guard height > 0, width > 0 else { return 0 }
        func area(_ box: Box) -> Float { (box.y2 - box.y1) * (box.x2 - box.x1) }
        let common = height * width
        return common / (area(self) + area(other) - common)
    }
}
