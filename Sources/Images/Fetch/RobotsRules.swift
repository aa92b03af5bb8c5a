/// What a robots.txt says to one user agent (RFC 9309): the rules of the groups that name it, or, if asked for, those for everybody
/// where no group names it.
struct RobotsRules: Hashable, Sendable {
    /// The most specific first; of two that are equally so, the one that allows.
    private let rules: [Rule]
    /// What the rules are addressed to: the user agent, or `*`.
    private let addressee: String

    private struct Rule: Hashable {
        let pattern: RobotsPattern
        let isAllow: Bool
        let line: Int
        /// The line's value, as a message shows it.
        let text: String
    }

    /// The bytes of a file that count.
    static let byteLimit = 500 << 10
    /// The rules with wildcards that count; each is searched for in every path.
    static let wildcardLimit = 2000

    /// No rules.
    init() { (rules, addressee) = ([], "*") }

    /// Reads a file, whatever it is: what is no rule counts for nothing.
    ///
    /// - Parameters:
    ///   - agent: our product token, in lowercase.
    ///   - obeysOthers: whether the groups for `*` count where no group names us.
    init(_ file: [UInt8], agent: String, obeysOthers: Bool) {
        var groups = Groups(agent: agent)
        for (index, line) in RobotsLine.all(of: file, limit: Self.byteLimit).enumerated() {
            groups.take(line, number: index + 1)
        }
        addressee = groups.namesUs ? agent : "*"
        let found = groups.namesUs ? groups.ours : obeysOthers ? groups.everybodys : []
        let wild = found.lazy.filter { $0.pattern.isWild }.dropFirst(Self.wildcardLimit).first?.line ?? .max
        rules = found.filter { !$0.pattern.isWild || $0.line < wild }
            .sorted { ($0.pattern.octetCount, $0.isAllow ? 1 : 0) > ($1.pattern.octetCount, $1.isAllow ? 1 : 0) }
    }

    /// The rule that refuses a path, for a message; nil if the path may be fetched.
    ///
    /// - Parameter path: percent-encoded, with its query.
    func refusal(of path: String) -> String? {
        guard !rules.isEmpty else { return nil }
        let octets = RobotsPattern.canonical(Array(path.utf8))
        guard let rule = rules.first(where: { $0.pattern.matches(octets) }), !rule.isAllow else { return nil }
        return "\"Disallow: \(rule.text)\" for user agent \(addressee) (line \(rule.line))"
    }

    /// What it takes to remember, about.
    var byteCount: Int { rules.reduce(64) { $0 + $1.pattern.octetCount + $1.text.utf8.count + 128 } }

    /// Groups, as they are met.
    private struct Groups {
        let agent: String
        var ours: [Rule] = []
        var everybodys: [Rule] = []
        var namesUs = false
        /// Whom the group under way is for.
        private var isForUs = false
        private var isForEverybody = false
        private var hasRules = false

        init(agent: String) { self.agent = agent }

        mutating func take(_ line: RobotsLine, number: Int) {
            switch line.key {
            case .userAgent:
                // A user agent behind rules begins a group; before them it joins the group.
                if hasRules { (isForUs, isForEverybody, hasRules) = (false, false, false) }
                if line.value == "*" || line.value.hasPrefix("* ") { isForEverybody = true }
                if !agent.isEmpty, line.value.productToken == agent { (isForUs, namesUs) = (true, true) }
            case .allow, .disallow:
                hasRules = true
                guard isForUs || isForEverybody, !line.value.isEmpty else { return }
                let rule = Rule(
                    pattern: RobotsPattern(Array(line.value.utf8)), isAllow: line.key == .allow, line: number,
                    text: line.shownValue)
                if isForUs { ours.append(rule) }
                if isForEverybody { everybodys.append(rule) }
            case .other: break
            }
        }
    }
}

/// A line of a robots.txt.
private struct RobotsLine {
    enum Key {
        case userAgent, allow, disallow, other
    }

    let key: Key
    let value: String

    /// The lines of a file, as far as they lie whole within the limit.
    static func all(of file: [UInt8], limit: Int) -> [RobotsLine] {
        var bytes = file.prefix(limit)
        if file.count > limit, let end = bytes.lastIndex(where: isLineEnd) { bytes = bytes[...end] }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        var lines: [RobotsLine] = []
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let end = bytes[start...].firstIndex(where: isLineEnd) ?? bytes.endIndex
            lines.append(RobotsLine(bytes[start..<end]))
            start = end + 1
            if end < bytes.endIndex, bytes[end] == 0x0D, start < bytes.endIndex, bytes[start] == 0x0A { start += 1 }
        }
        return lines
    }

    /// `key: value # comment`. As Google's parser, it takes blanks for a forgotten colon between two words, and five misspellings: who
    /// made them meant it.
    private init(_ line: ArraySlice<UInt8>) {
        let rule = Self.trimmed(line.prefix { $0 != UInt8(ascii: "#") })
        var parts = rule.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 1 { parts = rule.split(whereSeparator: Self.isBlank) }
        guard parts.count == 2 else {
            (key, value) = (.other, "")
            return
        }
        value = String(decoding: Self.trimmed(parts[1]), as: UTF8.self)
        switch String(decoding: Self.trimmed(parts[0]), as: UTF8.self).lowercased() {
        case "user-agent", "useragent", "user agent": key = .userAgent
        case "allow": key = .allow
        case "disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw": key = .disallow
        default: key = .other
        }
    }

    /// Somebody else's text in our message: short, and without control characters.
    var shownValue: String {
        let plain = value.unicodeScalars.prefix(80).map {
            $0.isASCII && $0.value >= 0x20 && $0.value < 0x7F ? Character($0) : "?"
        }
        return String(plain) + (value.unicodeScalars.count > 80 ? "…" : "")
    }

    private static func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let rest = bytes.drop(while: isBlank)
        return rest.lastIndex { !isBlank($0) }.map { rest[...$0] } ?? []
    }
}
