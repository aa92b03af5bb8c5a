/// What a rule finds at a place.
struct PTBMatch {
    /// Where the token ends.
    var end: Int
    /// How far the rule had to look: it is by this that the longest match wins.
    var reach: Int
    /// What the token becomes; nil: the text itself.
    var text: String?

    init(_ end: Int, reach: Int? = nil, text: String? = nil) {
        self.end = end
        self.reach = reach ?? end
        self.text = text
    }
}

/// Cuts one line. The rules are in the extensions: each looks at a place and finds a match or none.
struct PTBLexer {
    /// The line, with blanks for whatever would end it.
    let scalars: [Unicode.Scalar]
    let classes: [PTBClass]

    init(_ line: String) {
        scalars = line.unicodeScalars.map { PTBTokenizer.endsLine($0) ? " " : $0 }
        classes = scalars.map { PTBClass.of($0) }
    }

    func tokens() -> [PythonText] {
        var tokens: [PythonText] = []
        var place = 0
        while place < scalars.count {
            guard let match = longest(at: place) else {
                place += 1
                continue
            }
            let text = match.text.map { PythonText($0) } ?? spelled(place..<match.end)
            if text.count > 0 { tokens.append(text) }
            place = match.end
        }
        return tokens
    }

    /// The longest match; of equal ones, that of the earlier rule. nil: the code point is in no token.
    private func longest(at place: Int) -> PTBMatch? {
        let matches: [PTBMatch?] =
            switch classes[place] {
            case .space: scalars[place].isASCII ? [] : [address(place)]
            case .dropped: scalars[place].isASCII ? [] : [address(place), softHyphen(place)]
            case .letter, .mark:
                [
                    assimilation(place), wordBeforeClitic(place), wordBeforeNot(place), apostropheWord(place),
                    not(place),
                    word(place), address(place), abbreviation(place), wordWithPeriod(place), hyphened(place),
                    hyphenedNumber(place), slashed(place), initials(place), currencyCode(place), language(place),
                    smiley(place), fileName(place),
                ]
            case .digit:
                [
                    number(place), date(place), fraction(place), telephone(place), hyphened(place),
                    hyphenedNumber(place), slashed(place), wordWithPeriod(place), address(place), fileName(place),
                ]
            case .symbol:
                [
                    twas(place), wordBeforeClitic(place), word(place), wordWithPeriod(place), clitic(place),
                    contraction(place), number(place), fraction(place), telephone(place), tag(place), address(place),
                    smiley(place), entity(place), dots(place), dashes(place), quote(place), cliticInWord(place),
                    bracket(place), replaced(place), repeated(place), escaped(place), single(place),
                ]
            }
        var best: PTBMatch?
        for case let match? in matches where match.reach > best?.reach ?? place { best = match }
        return best
    }

    /// A token's text without soft hyphens.
    func spelled(_ range: Range<Int>) -> PythonText {
        let kept = scalars[range].filter { $0.value != 0xAD }
        return PythonText(kept.isEmpty ? ["-"] : kept)
    }
}
