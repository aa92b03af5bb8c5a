/// Rules of words.
extension PTBLexer {
    /// cannot, gonna, …: two tokens, of which this finds the first.
    func assimilation(_ place: Int) -> PTBMatch? {
        for text in ["cannot", "gonna", "gotta", "lemme", "gimme", "wanna"] {
            if let end = end(of: text, at: place) { return PTBMatch(place + 3, reach: end) }
        }
        return nil
    }

    /// 'tis, 'twas: two tokens.
    func twas(_ place: Int) -> PTBMatch? {
        for text in ["'tis", "'twas"] {
            if let end = end(of: text, at: place) { return PTBMatch(place + 2, reach: end) }
        }
        return nil
    }

    func word(_ place: Int) -> PTBMatch? { endOfWord(place).map { PTBMatch($0) } }

    func wordBeforeClitic(_ place: Int) -> PTBMatch? {
        guard let word = endOfWord(place), let clitic = endOfClitic(word) else { return nil }
        return PTBMatch(word, reach: clitic)
    }

    func wordBeforeNot(_ place: Int) -> PTBMatch? {
        let letters = end(of: place, while: isASCIILetter)
        guard letters - place >= 2, let not = endOfNot(letters - 1) else { return nil }
        return PTBMatch(letters - 1, reach: not)
    }

    func not(_ place: Int) -> PTBMatch? {
        guard let end = endOfNot(place), !isASCIILetter(end) else { return nil }
        let letters = scalars[place..<end].filter { $0.isASCII }
        let apostrophe: Unicode.Scalar = endOfApostrophe(place + 1) == nil ? "`" : "'"
        return PTBMatch(
            end, reach: end + 1, text: PythonText([letters[0], apostrophe, letters[letters.count - 1]]).string)
    }

    /// 's, 're, …, before anything but a letter.
    func clitic(_ place: Int) -> PTBMatch? {
        guard let match = cliticInWord(place), !isASCIILetter(match.end) else { return nil }
        return PTBMatch(match.end, reach: match.end + 1, text: match.text)
    }

    /// The same before a letter, where it is no opening quote.
    func cliticInWord(_ place: Int) -> PTBMatch? {
        guard let end = endOfClitic(place), let letters = endOfApostrophe(place) else { return nil }
        return PTBMatch(end, text: "'" + PythonText(scalars[letters..<end]).string)
    }

    /// Letters and digits with single hyphens or underscores between them: `3-year-old`, `a_b`.
    func hyphened(_ place: Int) -> PTBMatch? { endOfHyphened(place).map { PTBMatch($0) } }

    private func endOfHyphened(_ place: Int) -> Int? {
        guard var end = endOfPart(place) else { return nil }
        while isOneOf("-_\u{58A}\u{2010}\u{2011}", end), let part = endOfPart(end + 1) { end = part }
        return end
    }

    /// Letters and digits, or d'Angelo and l'Oreal.
    private func endOfPart(_ place: Int) -> Int? {
        if isOneOf("dDoOlL", place), let letters = endOfAnyApostrophe(place + 1), isAlphanumeric(letters),
            isAlphanumeric(letters + 1)
        {
            return end(of: letters, while: isAlphanumeric)
        }
        let end = end(of: place, while: isAlphanumeric)
        return end > place ? end : nil
    }

    /// Hyphens after a number or a name with periods: `1,000-seat`, `U.S.-made`, `a-U.S.`.
    func hyphenedNumber(_ place: Int) -> PTBMatch? {
        guard isASCIIAlphanumeric(place) else { return nil }
        var end = end(of: place) { isASCIIAlphanumeric($0) || isOneOf(".,\u{AD}", $0) }
        var found: Int?
        while at(end) == "-" {
            if let initials = endOfInitials(end + 1) {
                end = initials
            } else {
                let part = self.end(of: end + 1) { isASCIIAlphanumeric($0) || scalars[$0].value == 0xAD }
                guard part > end + 1 else { break }
                end = part
            }
            found = end
        }
        return found.map { PTBMatch($0) }
    }

    /// One or two slashes: `and/or`, `1/2`, `cats/dogs`. Each part has at most two hyphens before letters.
    func slashed(_ place: Int) -> PTBMatch? {
        func endOfPart(_ place: Int) -> Int? {
            var end = end(of: place, while: isASCIIAlphanumeric)
            guard end > place else { return nil }
            for _ in 0..<2 where at(end) == "-" && isASCIILetter(end + 1) {
                end = self.end(of: end + 1, while: isASCIILetter)
            }
            return end
        }
        guard var end = endOfPart(place) else { return nil }
        var slashes = 0
        while slashes < 2 {
            let slash = at(end) == "\\" ? end + 1 : end
            guard at(slash) == "/", let part = endOfPart(slash + 1) else { break }
            end = part
            slashes += 1
        }
        return slashes > 0 ? PTBMatch(end) : nil
    }

    /// AT&T, A+B.
    func initials(_ place: Int) -> PTBMatch? {
        var end = end(of: place, while: isCapital)
        guard end > place else { return nil }
        var found: Int?
        while true {
            var sign: Int?
            if at(end) == "&" { sign = self.end(of: "&amp;", at: end) ?? end + 1 }
            if at(end) == "+" { sign = end + 1 }
            guard let sign, isCapital(sign) else { break }
            end = self.end(of: sign, while: isCapital)
            found = end
        }
        guard let found else { return nil }
        let text = PythonText(scalars[place..<found]).string.replacing("&amp;", with: "&")
        return PTBMatch(found, text: text.replacing("&AMP;", with: "&"))
    }

    /// US$, A$.
    func currencyCode(_ place: Int) -> PTBMatch? {
        let end = end(of: place, while: isCapital)
        return end > place && at(end) == "$" ? PTBMatch(end + 1) : nil
    }

    /// C++, C#, F#.
    func language(_ place: Int) -> PTBMatch? {
        if isOneOf("cC", place), at(place + 1) == "+", at(place + 2) == "+" { return PTBMatch(place + 3) }
        return isOneOf("cCfF", place) && at(place + 1) == "#" ? PTBMatch(place + 2) : nil
    }

    /// Words that begin with an apostrophe: 'n', 'em, 'til, 'cause, '90s, '05.
    func contraction(_ place: Int) -> PTBMatch? {
        guard let start = endOfApostrophe(place) else { return nil }
        if isASCIIDigit(start), isASCIIDigit(start + 1), start + 2 == scalars.count || isSpace(start + 2) {
            return PTBMatch(start + 2, reach: start + 3)
        }
        if isOneOf("23456789", start), at(start + 1) == "0", ascii(start + 2) == UInt8(ascii: "s") {
            return PTBMatch(start + 3)
        }
        if ascii(start) == UInt8(ascii: "n") { return PTBMatch(endOfApostrophe(start + 1) ?? start + 1) }
        return ["em", "till", "til", "cause"].lazy.compactMap { end(of: $0, at: start) }.first.map { PTBMatch($0) }
    }

    /// Words with an apostrophe that stay whole.
    func apostropheWord(_ place: Int) -> PTBMatch? {
        var best: Int?
        func offer(_ end: Int?) { if let end { best = max(best ?? end, end) } }
        for text in Self.apostropheWords { offer(endOfWord(text, at: place)) }
        if isOneOf("lLdDjJ", place) { offer(endOfApostrophe(place + 1)) }
        if isOneOf("yY", place), let end = endOfApostrophe(place + 1), isLetter(end) { offer(end) }
        // B'ab, n'ab: a letter, and two or more after the apostrophe.
        if isCapital(place) && !isOneOf("IY", place) || at(place) == "n", let letters = endOfAnyApostrophe(place + 1) {
            let end = end(of: letters) { classes[$0] == .letter }
            if end - letters >= 2 { offer(end) }
        }
        offer(endOfVowels(place))
        return best.map { PTBMatch($0) }
    }

    /// Where a word of the table ends, with an apostrophe of any kind.
    private func endOfWord(_ text: String, at place: Int) -> Int? {
        var place = place
        for byte in text.utf8 {
            let next = byte == UInt8(ascii: "'") ? endOfApostrophe(place) : ascii(place) == byte ? place + 1 : nil
            guard let next else { return nil }
            place = next
        }
        return place
    }

    /// Hawai'i, Shi'ite: a vowel on both sides, of which the second may be any capital.
    private func endOfVowels(_ place: Int) -> Int? {
        let letters = end(of: place) { classes[$0] == .letter }
        guard letters > place + 1, isOneOf("aeiouyAEIOUY", letters - 1), let next = endOfAnyApostrophe(letters),
            isOneOf("aeiou", next) || isCapital(next)
        else { return nil }
        return end(of: next) { classes[$0] == .letter }
    }

    private static let apostropheWords = [
        "c'est", "c'mon", "cont'd.", "dunkin'", "e'er", "ev'ry", "li'l", "ma'am", "nat'l", "ne'er", "nor'easter", "ol'",
        "s'mores", "somethin'",
    ]
}
