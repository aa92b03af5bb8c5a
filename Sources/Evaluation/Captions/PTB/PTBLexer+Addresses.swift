/// Rules of addresses.
extension PTBLexer {
    /// The longest of a URL, a host, an e-mail address, `@name` and `#tag`.
    func address(_ place: Int) -> PTBMatch? {
        [endOfURL(place), endOfHost(place), endOfEmail(place), endOfHandle(place)].compactMap { $0 }.max()
            .map { PTBMatch($0) }
    }

    /// A file's name with one of the known endings, before a blank or punctuation: `4.cpp`, `14.x`.
    func fileName(_ place: Int) -> PTBMatch? {
        var end = end(of: place, while: isAlphanumeric)
        var found: Int?
        while end > place, at(end) == ".", isAlphanumeric(end + 1) {
            let part = self.end(of: end + 1, while: isAlphanumeric)
            let name = PythonText(scalars[(end + 1)..<part]).lowercased().string
            let isEnd = part == scalars.count || isSpace(part) || isOneOf(".,!?", part)
            if isEnd && Self.fileEndings.contains(name) { found = part }
            end = part
        }
        return found.map { PTBMatch($0, reach: $0 + 1) }
    }

    private static let fileEndings: Set<String> = [
        "bat", "bmp", "c", "cgi", "class", "cpp", "dll", "doc", "docx", "exe", "gif", "gz", "h", "htm", "html", "jar",
        "java", "jpeg", "jpg", "mov", "mp3", "pdf", "php", "pl", "png", "ppt", "ps", "py", "sql", "tar", "txt", "wav",
        "x", "xml", "zip",
    ]

    /// What no address contains.
    private func isURLCharacter(_ place: Int) -> Bool { !isOneOf(" \t\"<>|()", place) }

    private func endOfURL(_ place: Int) -> Int? {
        guard let start = end(of: "https://", at: place) ?? end(of: "http://", at: place) else { return nil }
        return endOfPath(start) { isURLCharacter($0) && !isOneOf("{}", $0) }
    }

    /// Two or more characters of which the last is no punctuation.
    private func endOfPath(_ start: Int, while isIn: (Int) -> Bool) -> Int? {
        var end = end(of: start, while: isIn)
        while end > start + 1 && isOneOf(".!?{},-", end - 1) { end -= 1 }
        return end > start + 1 ? end : nil
    }

    /// `www.a.org`, `a.com/path`: a path has two or more characters.
    private func endOfHost(_ place: Int) -> Int? {
        var best: Int?
        func offer(_ host: Int) {
            var address = host
            if at(host) == "/", let path = endOfPath(host + 1, while: isURLCharacter) { address = path }
            best = max(best ?? 0, address)
        }
        // Labels of lower case letters, some marks, and whatever is not ASCII.
        func isLabel(_ place: Int) -> Bool {
            guard let scalar = at(place) else { return false }
            return !scalar.isASCII || ("a"..."z").contains(scalar) || isOneOf("#%&*+~", place)
        }
        var label = end(of: place, while: isLabel)
        while label > place, at(label) == ".", at(label - 1) != "." {
            for name in ["com", "net", "org", "edu"] where scalars[(label + 1)...].starts(with: name.unicodeScalars) {
                offer(label + 4)
            }
            label = end(of: label + 1, while: isLabel)
        }
        if let start = end(of: "www.", at: place) {
            let host = end(of: start) { isURLCharacter($0) && !isOneOf("!?{},", $0) }
            for dot in start..<host where at(dot) == "." && dot > start && at(dot - 1) != "." {
                let letters = min(end(of: dot + 1, while: isASCIILetter), dot + 5)
                if letters >= dot + 3 { offer(letters) }
            }
        }
        return best
    }

    private func endOfEmail(_ place: Int) -> Int? {
        let start = at(place) == "<" ? place + 1 : end(of: "&lt;", at: place) ?? place
        guard isASCIIAlphanumeric(start) else { return nil }
        let run = end(of: start) { isURLCharacter($0) && !isOneOf("{}\u{A0}", $0) }
        var best: Int?
        for at in (start..<run) where scalars[at] == "@" {
            var end = at + 1
            while end < run {
                let part = self.end(of: end) { $0 < run && scalars[$0] != "." }
                guard part > end else { break }
                best = max(best ?? 0, part)
                guard self.at(part) == "." else { break }
                end = part + 1
            }
        }
        return best.map { at($0) == ">" ? $0 + 1 : $0 }
    }

    private func endOfHandle(_ place: Int) -> Int? {
        if at(place) == "@", isASCIILetter(place + 1) || at(place + 1) == "_" {
            return end(of: place + 2) { isASCIIAlphanumeric($0) || scalars[$0] == "_" }
        }
        if at(place) == "#" {
            var end = end(of: place + 1) { classes[$0] == .letter }
            while let entity = endOfAccentedVowel(end) { end = self.end(of: entity) { classes[$0] == .letter } }
            return end > place + 1 ? end : nil
        }
        return nil
    }
}
