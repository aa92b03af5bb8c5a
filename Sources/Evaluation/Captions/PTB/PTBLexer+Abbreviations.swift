/// Rules of what ends in a period that is not the sentence's.
extension PTBLexer {
    /// The longest of initials, abbreviations and `No.` before a number. Where the period is the sentence's, too, the
    /// token after it is one more period.
    func abbreviation(_ place: Int) -> PTBMatch? {
        if let initials = endOfInitials(place) {
            guard let start = endOfSentenceStart(initials) else { return PTBMatch(initials) }
            return PTBMatch(initials - 1, reach: start, text: spelled(place..<initials).string)
        }
        let degree = end(of: "ph.d", at: place) ?? end(of: "ed.d", at: place)
        let letters = degree ?? end(of: place, while: isASCIILetter)
        guard letters > place, at(letters) == "." else { return nil }
        let end = letters + 1
        if letters == place + 1 {
            // A. Smith, but: vitamin A. The …
            return endOfSentenceStart(end).map { PTBMatch(letters, reach: $0) } ?? PTBMatch(end)
        }
        let word = PythonText(scalars[place..<letters]).string.lowercased()
        if Self.beforeNumbers.contains(word), isDigit(isSpace(end) ? end + 1 : end) {
            return PTBMatch(end, reach: isSpace(end) ? end + 2 : end + 1)
        }
        if Self.within.contains(word) { return PTBMatch(end) }
        guard Self.atEnds.contains(word) || isCapital(place) && Self.capitalised.contains(word) else { return nil }
        // Co. Ltd. and Pte. Limited are one name.
        let isCompany =
            ["co", "pte", "pty"].contains(word) && at(end + 1) == "L"
            && ["ltd", "lim"].contains { self.end(of: $0, at: end + 1) != nil }
        if !isCompany, isSpace(end), beginsSentence(end + 1) {
            return PTBMatch(letters, reach: end + 2, text: spelled(place..<end).string)
        }
        return PTBMatch(end, reach: end + 2)
    }

    /// Whether a sentence may begin behind an abbreviation and a blank: a capital, a tag, more blanks, or the line's
    /// end.
    private func beginsSentence(_ place: Int) -> Bool {
        guard let scalar = at(place) else { return true }
        return isSpace(place) || scalar.properties.generalCategory == .uppercaseLetter || tag(place) != nil
    }

    /// Where `U.S.` ends: two or more letters, each with a period.
    func endOfInitials(_ place: Int) -> Int? {
        var end = place
        while isASCIILetter(end) && at(end + 1) == "." { end += 2 }
        return end - place >= 4 ? end : nil
    }

    /// Where a word ends that begins sentences, or a tag, with the blank behind it; nil: none follows here.
    private func endOfSentenceStart(_ place: Int) -> Int? {
        let start = end(of: place, while: isSpace)
        let tag = tag(start)?.end
        let end = tag ?? end(of: start) { isASCIILetter($0) || scalars[$0] == "." }
        guard start > place, end > start, end == scalars.count || isSpace(end) else { return nil }
        let isStart = tag != nil || Self.sentenceStarts.contains(PythonText(scalars[start..<end]).string)
        return isStart ? end + 1 : nil
    }

    /// A word before a period and a comma, semicolon or colon: the period is an abbreviation's.
    func wordWithPeriod(_ place: Int) -> PTBMatch? {
        var best: Int?
        for end in [endOfWord(place), hyphened(place)?.end, hyphenedNumber(place)?.end, initials(place)?.end]
            .compactMap({ $0 })
        {
            if at(end) == ".", isOneOf(",;:\u{3001}", end + 1) { best = max(best ?? 0, end + 1) }
        }
        return best.map { PTBMatch($0, reach: $0 + 1) }
    }

    private static func words(_ words: String) -> Set<String> {
        Set(words.split(whereSeparator: \.isWhitespace).map { String($0) })
    }

    /// Those that stand before a name or in a sentence.
    private static let within = words(
        """
        adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs elec ens ft
        gen gov govs hon insp invt jos lieut lt maj messrs mfg mlle mme mr mrs ms msgr mt mtg natl pfc ph pres prof
        profs pvt rep reps rev sen sens sfc sgt spc st ste supt supts treas vs wm
        """)

    /// Those that may end a sentence.
    private static let atEnds = words(
        """
        al ala apr ariz assn aug bhd bldg blvd bros calif co colo conn corp cos ct dak dec ed.d esq est etc ext feb fla
        fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct okla penn ph.d
        plc ppte ppty pte ptes pty ptys rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis
        wisc wyo
        """)

    /// The same, but only with a capital: without it, they are words.
    private static let capitalised = words("ark az del ill la mass miss ore pa tex wash")

    /// Those before a number.
    private static let beforeNumbers = words("art ca fig figs no nos op pp prop")

    private static let sentenceStarts = words(
        """
        A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More Mr.
        Ms. Now Once One Other Our She Since So Some Such That The Their Then There These They This We What When
        While Yet You
        """)
}
