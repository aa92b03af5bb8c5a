/// Rules of numbers.
extension PTBLexer {
    /// Digits with single `.`, `,` or `:` between them or before them, and a sign: `1,000.50`, `10:30`, `-5`, `.5`.
    func number(_ place: Int) -> PTBMatch? {
        let start = isOneOf("+-", place) ? place + 1 : place
        var end = end(of: start, while: isDigit)
        while isOneOf(".,:\u{AD}\u{66B}\u{66C}", end) && isDigit(end + 1) {
            end = self.end(of: end + 1, while: isDigit)
        }
        if end > start { return PTBMatch(end) }
        // Superscripts and subscripts.
        let signs = start == place && isOneOf("\u{207A}\u{207B}\u{208A}\u{208B}", place) ? place + 1 : place
        let superscript = self.end(of: signs) {
            isOneOf("\u{B9}\u{B2}\u{B3}\u{2070}\u{2074}\u{2075}\u{2076}\u{2077}\u{2078}\u{2079}", $0)
        }
        let subscripts = self.end(of: signs) { (0x2080...0x2089).contains(scalars[$0].value) }
        let longer = max(superscript, subscripts)
        return longer > signs ? PTBMatch(longer) : nil
    }

    /// `12/25/2010`, with slashes or hyphens.
    func date(_ place: Int) -> PTBMatch? {
        let first = end(of: place, while: isASCIIDigit)
        guard first - place <= 2, isOneOf("-/", first) else { return nil }
        let second = end(of: first + 1, while: isASCIIDigit)
        guard (1...2).contains(second - first - 1), isOneOf("-/", second) else { return nil }
        let year = min(end(of: second + 1, while: isASCIIDigit), second + 5)
        return year - second - 1 >= 2 ? PTBMatch(year) : nil
    }

    /// `1/2`, `½`, `1 1/2`: a whole number before a slash's fraction is in the same token.
    func fraction(_ place: Int) -> PTBMatch? {
        let vulgar: [Unicode.Scalar: String] = [
            "\u{BC}": "1/4", "\u{BD}": "1/2", "\u{BE}": "3/4", "\u{2153}": "1/3", "\u{2154}": "2/3",
        ]
        if let scalar = at(place), let text = vulgar[scalar] { return PTBMatch(place + 1, text: text) }
        if let end = endOfSlashed(place) { return PTBMatch(end) }
        let whole = end(of: place, while: isASCIIDigit)
        guard (1...4).contains(whole - place), isOneOf("- \u{A0}", whole), let end = endOfSlashed(whole + 1) else {
            return nil
        }
        return PTBMatch(end, text: withoutBlanks(place..<end))
    }

    private func endOfSlashed(_ place: Int) -> Int? {
        let above = end(of: place, while: isASCIIDigit)
        guard (1...4).contains(above - place) else { return nil }
        let slash = at(above) == "\\" ? above + 1 : above
        guard isOneOf("/\u{2044}", slash) else { return nil }
        let below = end(of: slash + 1, while: isASCIIDigit)
        return below > slash + 1 ? min(below, slash + 5) : nil
    }

    /// A token's text, with no-break spaces for blanks and names for parentheses.
    func withoutBlanks(_ range: Range<Int>) -> String {
        var text = ""
        for scalar in scalars[range] {
            switch scalar {
            case " ": text.unicodeScalars.append("\u{A0}")
            case "(": text += "-LRB-"
            case ")": text += "-RRB-"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    /// `(555) 555-1212`, `555 555 1212`: blanks are part of it.
    func telephone(_ place: Int) -> PTBMatch? {
        func isSeparator(_ place: Int) -> Bool { isOneOf("- \u{A0}", place) }
        func digits(_ place: Int) -> Int { end(of: place, while: isASCIIDigit) - place }
        // The last two groups: three or four digits, then three to five, with or without a separator.
        func endOfNumber(_ place: Int) -> Int? {
            var best: Int?
            for first in 3...4 where digits(place) >= first {
                let second = isSeparator(place + first) ? place + first + 1 : place + first
                let count = min(digits(second), 5)
                if count >= 3 { best = max(best ?? 0, second + count) }
            }
            return best
        }
        var best: Int?
        func offer(_ end: Int?) { if let end { best = max(best ?? 0, end) } }
        if at(place) == "(" {
            let close = place + 1 + digits(place + 1)
            guard (2...3).contains(digits(place + 1)), at(close) == ")" else { return nil }
            offer(endOfNumber(isOneOf(" \u{A0}", close + 1) ? close + 2 : close + 1))
        } else {
            let start = min(end(of: place) { at($0) == "+" }, place + 2)
            let first = start + digits(start)
            guard (2...4).contains(first - start), isSeparator(first) else { return nil }
            offer(endOfNumber(first + 1))
            let second = first + 1 + digits(first + 1)
            if (2...4).contains(second - first - 1), isSeparator(second) { offer(endOfNumber(second + 1)) }
        }
        return best.map { PTBMatch($0, text: withoutBlanks(place..<$0)) }
    }
}
