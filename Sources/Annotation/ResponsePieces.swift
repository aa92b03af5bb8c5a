import Foundation

/// A response, taken apart into codewords, separators and text.
struct ResponsePieces {
    /// One token, or the tokens that spell a codeword which the model has no token for.
    struct Piece {
        /// Indices into the response's tokens.
        let tokens: Range<Int>
        /// Σ of their log-probabilities.
        let logProbability: Double
        /// The value of a location, 0...1023.
        var location: Int?
        /// The value of a code of an outline, 0...127.
        var code: Int?
        var isSeparator = false
        /// Whether it is text without a letter.
        var isBlank = false
        /// Whether it is a location beyond 1023, which counts as 1023.
        var isClamped = false

        var isCodeword: Bool { location != nil || code != nil }
    }

    /// In the order of the response; the end token is not among them.
    private(set) var all: [Piece] = []
    private let response: Generation
    private let vocabulary: any Vocabulary

    init(_ response: Generation, _ vocabulary: any Vocabulary) {
        self.response = response
        self.vocabulary = vocabulary
        let end = response.tokens.count - (response.finishReason == .eos && !response.tokens.isEmpty ? 1 : 0)
        var index = 0
        while index < end {
            let run = (index..<end).prefix { isText(response.tokens[$0]) }
            all += texts(index..<index + run.count)
            index += run.count
            if index < end { all.append(special(index)) }
            index += 1
        }
    }

    private func isText(_ id: Int) -> Bool {
        vocabulary.locations[id] == nil && vocabulary.codes[id] == nil && !vocabulary.separators.contains(id)
    }

    private func piece(_ tokens: Range<Int>) -> Piece {
        Piece(tokens: tokens, logProbability: response.logProbabilities[tokens].reduce(0, +))
    }

    private func special(_ index: Int) -> Piece {
        var piece = piece(index..<index + 1)
        let id = response.tokens[index]
        piece.location = vocabulary.locations[id]
        piece.code = vocabulary.codes[id]
        piece.isSeparator = vocabulary.separators.contains(id)
        return piece
    }

    /// Tokens of text. Fine-tunes that divide by 1024 write `<loc1024>`, which no token stands for.
    private func texts(_ run: Range<Int>) -> [Piece] {
        let spelled = spelledLocations(run)
        var pieces: [Piece] = []
        var index = run.lowerBound
        while index < run.upperBound {
            if let tokens = spelled.first(where: { $0.lowerBound == index }) {
                var piece = piece(tokens)
                (piece.location, piece.isClamped) = (1023, true)
                pieces.append(piece)
                index = tokens.upperBound
            } else {
                var piece = piece(index..<index + 1)
                piece.isBlank = vocabulary.decode([response.tokens[index]]).allSatisfy(\.isWhitespace)
                pieces.append(piece)
                index += 1
            }
        }
        return pieces
    }

    /// The tokens that spell each `<loc…>`: those that begin within it.
    private func spelledLocations(_ run: Range<Int>) -> [Range<Int>] {
        let text = vocabulary.decode(Array(response.tokens[run]))
        let matches = text.ranges(of: #/<loc[0-9]{4}>/#)
        guard !matches.isEmpty else { return [] }
        // Where each token begins, in bytes.
        let starts = run.map { vocabulary.decode(Array(response.tokens[run.lowerBound..<$0])).utf8.count }
        return matches.compactMap { match in
            let low = text.utf8.distance(from: text.startIndex, to: match.lowerBound)
            let high = text.utf8.distance(from: text.startIndex, to: match.upperBound)
            let inside = starts.indices.filter { low <= starts[$0] && starts[$0] < high }
            guard let first = inside.first, let last = inside.last else { return nil }
            return run.lowerBound + first..<run.lowerBound + last + 1
        }
    }
}
