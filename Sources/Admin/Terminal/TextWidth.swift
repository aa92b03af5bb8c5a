extension String {
    /// Columns on a terminal: East Asian wide characters and emoji take two.
    var columns: Int { reduce(0) { $0 + $1.columns } }

    /// The beginning that fits into `width` columns; what is cut is shown by an ellipsis.
    func cut(to width: Int) -> String {
        guard columns > width else { return self }
        guard width > 0 else { return "" }
        var (taken, used) = ("", 0)
        for character in self {
            guard used + character.columns <= width - 1 else { break }
            taken.append(character)
            used += character.columns
        }
        return taken + "…"
    }

    /// The text without control characters, except for line breaks, tabs, and the colours of `Palette`.
    var harmless: String {
        guard unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return self }
        var kept = String.UnicodeScalarView()
        var rest = Substring(self).unicodeScalars
        while let first = rest.popFirst() {
            if first == "\u{1B}", rest.first == "[" {
                let end = rest.dropFirst().drop { ("0"..."9").contains($0) }
                if end.first == "m" {
                    kept.append(first)
                    continue
                }
            }
            let isHarmless = first.properties.generalCategory != .control || first == "\n" || first == "\t"
            kept.append(isHarmless ? first : " ")
        }
        return String(kept)
    }

    /// The text without what could move a terminal's cursor: control characters become spaces.
    var singleLine: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}

extension Character {
    fileprivate var columns: Int {
        guard let first = unicodeScalars.first else { return 0 }
        switch first.value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
