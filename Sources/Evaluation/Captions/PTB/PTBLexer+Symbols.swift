/// Rules of punctuation and other marks.
extension PTBLexer {
    /// Three to five dots, with blanks between them or without; `…`.
    func dots(_ place: Int) -> PTBMatch? {
        if isOneOf("\u{85}\u{2026}", place) { return PTBMatch(place + 1, text: "...") }
        guard at(place) == "." else { return nil }
        var end = min(self.end(of: place) { scalars[$0] == "." }, place + 5)
        if end - place < 3 {
            end = place + 1
            var count = 1
            while count < 5, isOneOf(" \u{A0}", end), at(end + 1) == "." {
                end += 2
                count += 1
            }
            guard count >= 3 else { return nil }
        }
        return PTBMatch(end, text: "...")
    }

    /// Two to four hyphens are a dash, more are themselves; en and em dashes.
    func dashes(_ place: Int) -> PTBMatch? {
        if isOneOf("\u{96}\u{97}\u{2013}\u{2014}\u{2015}", place) { return PTBMatch(place + 1, text: "--") }
        guard at(place) == "-" else { return nil }
        let end = end(of: place) { scalars[$0] == "-" }
        return PTBMatch(end, text: (2...4).contains(end - place) ? "--" : nil)
    }

    /// Quotes become those of TeX: opening ones before a letter or digit. Two typographic ones are one token.
    func quote(_ place: Int) -> PTBMatch? {
        guard let scalar = at(place) else { return nil }
        if scalar == "\"" { return doubleQuote(place, end: place + 1) }
        if scalar == "'" {
            let isOpening = isASCIILetter(place + 1) && place + 2 < scalars.count && !isSpace(place + 2)
            if isOpening { return PTBMatch(place + 1, reach: place + 3, text: "`") }
            return at(place + 1) == "'" ? PTBMatch(place + 2) : PTBMatch(place + 1)
        }
        guard let text = Self.quotes[scalar] else { return nil }
        guard let next = at(place + 1), let second = Self.quotes[next] else { return PTBMatch(place + 1, text: text) }
        return PTBMatch(place + 2, text: text + second)
    }

    private static let quotes: [Unicode.Scalar: String] = [
        "`": "`", "\u{91}": "`", "\u{92}": "'", "\u{93}": "``", "\u{94}": "''", "\u{2018}": "`", "\u{2019}": "'",
        "\u{201A}": "\u{201A}", "\u{201B}": "`", "\u{201C}": "``", "\u{201D}": "''", "\u{201E}": "\u{201E}",
        "\u{201F}": "\u{201F}", "\u{AB}": "``", "\u{BB}": "''", "\u{2039}": "`", "\u{203A}": "'",
    ]

    func doubleQuote(_ place: Int, end: Int) -> PTBMatch {
        let isOpening = isASCIIAlphanumeric(end) || at(end) == "$"
        return isOpening ? PTBMatch(end, reach: end + 1, text: "``") : PTBMatch(end, text: "''")
    }

    func bracket(_ place: Int) -> PTBMatch? {
        let names: [Unicode.Scalar: String] = [
            "(": "-LRB-", ")": "-RRB-", "[": "-LSB-", "]": "-RSB-", "{": "-LCB-", "}": "-RCB-",
        ]
        return at(place).flatMap { names[$0] }.map { PTBMatch(place + 1, text: $0) }
    }

    /// Currencies, and the fractions that are one code point.
    func replaced(_ place: Int) -> PTBMatch? {
        switch scalars[place].value {
        case 0x80, 0xA4, 0x20A0, 0x20AC: PTBMatch(place + 1, text: "$")
        case 0xA2: PTBMatch(place + 1, text: "cents")
        case 0xA3: PTBMatch(place + 1, text: "#")
        default: nil
        }
    }

    /// Runs of one mark that are one token.
    func repeated(_ place: Int) -> PTBMatch? {
        guard let scalar = at(place) else { return nil }
        switch scalar {
        case "!", "?": return PTBMatch(end(of: place) { isOneOf("!?", $0) })
        case "*", "_", "#", "@": return PTBMatch(end(of: place) { scalars[$0] == scalar })
        case "<", ">": return at(place + 1) == scalar ? PTBMatch(place + 2) : nil
        default: return nil
        }
    }

    /// One to three `\*`.
    func escaped(_ place: Int) -> PTBMatch? {
        var end = place
        while end < place + 6, at(end) == "\\", at(end + 1) == "*" { end += 2 }
        return end > place ? PTBMatch(end) : nil
    }

    /// Any other mark is a token by itself.
    func single(_ place: Int) -> PTBMatch? { PTBMatch(place + 1) }

    /// A soft hyphen by itself is a hyphen.
    func softHyphen(_ place: Int) -> PTBMatch? { scalars[place].value == 0xAD ? PTBMatch(place + 1, text: "-") : nil }

    /// Entities of SGML.
    func entity(_ place: Int) -> PTBMatch? {
        guard at(place) == "&" else { return nil }
        for (name, text) in Self.entities {
            if let end = end(of: name, at: place) { return PTBMatch(end, text: text) }
        }
        if let end = end(of: "&quot;", at: place) { return doubleQuote(place, end: end) }
        return endOfKeptEntity(place).map { PTBMatch($0) }
    }

    private static let entities: KeyValuePairs<String, String> = [
        "&amp;": "&", "&lt;": "<", "&gt;": ">", "&mdash;": "--", "&ndash;": "--", "&nbsp;": "", "&apos;": "'",
    ]

    /// Entities that stay as they are: `&eacute;`, `&#39;`.
    private func endOfKeptEntity(_ place: Int) -> Int? {
        if let accent = endOfAccentedVowel(place) { return accent }
        for name in ["&ht;", "&tl;", "&ur;", "&lr;", "&qc;", "&ql;", "&qr;", "&odq;", "&cdq;"] {
            if let end = end(of: name, at: place) { return end }
        }
        let digits = end(of: place + 2, while: isASCIIDigit)
        return at(place + 1) == "#" && digits > place + 2 && at(digits) == ";" ? digits + 1 : nil
    }

    /// Tags of SGML: one token.
    func tag(_ place: Int) -> PTBMatch? {
        guard at(place) == "<" else { return nil }
        if isOneOf("!?", place + 1), isASCIILetter(place + 2) || at(place + 2) == "-" {
            let end = end(of: place + 2) { scalars[$0] != ">" }
            return end < scalars.count ? PTBMatch(end + 1, text: withBlanks(place..<(end + 1))) : nil
        }
        var end = at(place + 1) == "/" ? place + 2 : place + 1
        guard isASCIILetter(end) else { return nil }
        func isName(_ place: Int) -> Bool { isASCIIAlphanumeric(place) || isOneOf(".:_-", place) }
        end = self.end(of: end, while: isName)
        while at(end) == " " {
            let attribute = self.end(of: end) { scalars[$0] == " " }
            guard isASCIILetter(attribute) else { break }
            end = self.end(of: attribute, while: isName)
            if at(end) == "=", let quote = at(end + 1), quote == "\"" || quote == "'" {
                let close = self.end(of: end + 2) { scalars[$0] != quote }
                guard close < scalars.count else { return nil }
                end = close + 1
            }
        }
        end = self.end(of: end) { scalars[$0] == " " }
        if at(end) == "/" { end += 1 }
        return at(end) == ">" ? PTBMatch(end + 1, text: withBlanks(place..<(end + 1))) : nil
    }

    /// A tag's text, with no-break spaces for blanks.
    private func withBlanks(_ range: Range<Int>) -> String {
        PythonText(scalars[range].map { $0 == " " ? "\u{A0}" : $0 }).string
    }

    /// Faces: `:-)`, `;P`, `^_^`.
    func smiley(_ place: Int) -> PTBMatch? {
        var best: PTBMatch?
        func offer(_ end: Int, reach: Int) {
            if reach > best?.reach ?? 0 { best = PTBMatch(end, reach: reach, text: withoutBlanks(place..<end)) }
        }
        // There is none in `:Dx` and `:D4`.
        func offerFace(_ end: Int) { if !isASCIIAlphanumeric(end) { offer(end, reach: end + 1) } }
        let eyes = isOneOf("<>", place) ? place + 1 : place
        if isOneOf(":;=", eyes) {
            if isOneOf("-o*'", eyes + 1), isOneOf(Self.mouths, eyes + 2) { offerFace(eyes + 3) }
            if isOneOf(Self.mouths, eyes + 1) { offerFace(eyes + 2) }
        }
        func isEye(_ place: Int) -> Bool { isOneOf("-^x=~<>'", place) }
        if isEye(place), at(place + 1) == "_", isEye(place + 2) { offer(place + 3, reach: place + 3) }
        if at(place) == "(", isEye(place + 1) {
            let eye = isOneOf("_.-", place + 2) ? place + 3 : place + 2
            if isEye(eye), at(eye + 1) == ")" { offer(eye + 2, reach: eye + 2) }
        }
        return best
    }

    private static let mouths = "()DPdpO{@|[]\\"
}
