extension PTBLexer {
    /// The code point at a place; nil: the line is at its end.
    func at(_ place: Int) -> Unicode.Scalar? { scalars.indices.contains(place) ? scalars[place] : nil }

    /// The code point as an ASCII letter in lower case, a digit or a mark; nil: it is not ASCII, or there is none.
    func ascii(_ place: Int) -> UInt8? {
        guard let scalar = at(place), scalar.isASCII else { return nil }
        return (65...90).contains(scalar.value) ? UInt8(scalar.value) + 32 : UInt8(scalar.value)
    }

    func isLetter(_ place: Int) -> Bool {
        scalars.indices.contains(place) && (classes[place] == .letter || classes[place] == .mark)
    }

    func isDigit(_ place: Int) -> Bool { scalars.indices.contains(place) && classes[place] == .digit }

    /// A letter or digit in a row that may begin with a digit: marks are not.
    func isAlphanumeric(_ place: Int) -> Bool {
        scalars.indices.contains(place) && (classes[place] == .letter || classes[place] == .digit)
    }

    func isSpace(_ place: Int) -> Bool { scalars.indices.contains(place) && classes[place] == .space }

    func isASCIILetter(_ place: Int) -> Bool { ascii(place).map { (97...122).contains($0) } ?? false }

    func isASCIIDigit(_ place: Int) -> Bool { ascii(place).map { (48...57).contains($0) } ?? false }

    func isASCIIAlphanumeric(_ place: Int) -> Bool { isASCIILetter(place) || isASCIIDigit(place) }

    func isCapital(_ place: Int) -> Bool { at(place).map { ("A"..."Z").contains($0) } ?? false }

    func isOneOf(_ characters: String, _ place: Int) -> Bool {
        at(place).map(characters.unicodeScalars.contains) ?? false
    }

    /// Where a run ends.
    func end(of place: Int, while isIn: (Int) -> Bool) -> Int {
        var place = place
        while place < scalars.count && isIn(place) { place += 1 }
        return place
    }

    /// Where a text in lower case ends that is here, in any case; nil: it isn't.
    func end(of text: String, at place: Int) -> Int? {
        var place = place
        for byte in text.utf8 {
            guard ascii(place) == byte else { return nil }
            place += 1
        }
        return place
    }

    /// Where an apostrophe ends: `'`, its typographic forms, `&apos;`.
    func endOfApostrophe(_ place: Int) -> Int? {
        if isOneOf("'\u{92}\u{2019}", place) { return place + 1 }
        return at(place) == "&" ? end(of: "&apos;", at: place) : nil
    }

    /// The same, or an opening single quote.
    func endOfAnyApostrophe(_ place: Int) -> Int? {
        isOneOf("`\u{91}\u{2018}\u{201B}", place) ? place + 1 : endOfApostrophe(place)
    }

    /// Where a word ends: letters and digits, from a letter on, and more of them after each `.`, `!` or `?`.
    func endOfWord(_ place: Int) -> Int? {
        func isStart(_ place: Int) -> Bool { isLetter(place) || endOfAccentedVowel(place) != nil }
        guard isStart(place) else { return nil }
        func endOfPart(_ place: Int) -> Int {
            var place = place
            while true {
                place = end(of: place) { isLetter($0) || isDigit($0) || scalars[$0].value == 0xAD }
                guard let entity = endOfAccentedVowel(place) else { return place }
                place = entity
            }
        }
        var word = endOfPart(place)
        while isOneOf(".!?", word) && isStart(word + 1) { word = endOfPart(word + 1) }
        return word
    }

    /// Where `'s`, `'m`, `'d`, `'re`, `'ve` or `'ll` ends.
    func endOfClitic(_ place: Int) -> Int? {
        guard let letters = endOfApostrophe(place) else { return nil }
        for text in ["re", "ve", "ll", "s", "m", "d"] {
            if let end = end(of: text, at: letters) { return end }
        }
        return nil
    }

    /// Where `&eacute;` ends.
    func endOfAccentedVowel(_ place: Int) -> Int? {
        guard at(place) == "&", isOneOf("aeiouAEIOU", place + 1) else { return nil }
        for name in ["acute;", "grave;", "uml;"] {
            if let end = end(of: name, at: place + 2) { return end }
        }
        return nil
    }

    /// Where `n't` ends.
    func endOfNot(_ place: Int) -> Int? {
        guard ascii(place) == UInt8(ascii: "n"), let apostrophe = endOfAnyApostrophe(place + 1),
            ascii(apostrophe) == UInt8(ascii: "t")
        else { return nil }
        return apostrophe + 1
    }
}
