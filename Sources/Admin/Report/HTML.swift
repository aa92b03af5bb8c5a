/// Text made safe to stand in HTML.
enum HTML {
    /// Escapes for element content and for quoted attributes. Control characters, which HTML forbids, become U+FFFD.
    static func escape(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "\n", "\t": escaped.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value): escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// `83.2%`, `<0.1%`
    static func percent(_ probability: Double) -> String {
        let share = min(max(probability, 0), 1) * 100
        if share > 0 && share < 0.1 { return "&lt;0.1%" }
        return share >= 99.95 ? "100%" : Formats.fixed(share, 1) + "%"
    }

    /// A number for an attribute: a share in percent, with two digits.
    static func share(_ fraction: Double) -> String { Formats.fixed(min(max(fraction, 0), 1) * 100, 2) }

    /// A hue for a label, the same on every page: FNV-1a, in steps that the eye can tell apart.
    static func hue(of label: String) -> Int {
        let hash = label.lowercased().utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return Int((hash ^ hash >> 15) % 15) * 24
    }
}
