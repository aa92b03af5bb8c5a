/// HTML that is safe to send: whatever is interpolated into it is escaped, unless it is HTML itself.
///
/// So nobody has to remember to escape, and nobody can escape twice. A value may stand in an element's content or in a quoted
/// attribute, and nowhere else: not in a script, a style, a tag's or an attribute's name.
package struct HTML: Sendable, Equatable, ExpressibleByStringInterpolation, CustomStringConvertible {
    /// The markup.
    package private(set) var description: String

    package init(stringLiteral markup: String) { description = markup }

    package init(stringInterpolation: Interpolation) { description = stringInterpolation.markup }

    /// Parts, one behind the other.
    package init(_ parts: some Sequence<HTML>) { description = parts.map(\.description).joined() }

    /// A text.
    package init(text: some StringProtocol) { description = Self.escape(text) }

    /// What is written between the quotes of an HTML literal.
    package struct Interpolation: StringInterpolationProtocol {
        fileprivate var markup = ""

        package init(literalCapacity: Int, interpolationCount: Int) {
            markup.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) { markup += literal }

        package mutating func appendInterpolation(_ text: some StringProtocol) { markup += HTML.escape(text) }

        package mutating func appendInterpolation(_ number: some BinaryInteger) { markup += "\(number)" }

        package mutating func appendInterpolation(_ html: HTML) { markup += html.description }

        package mutating func appendInterpolation(_ parts: some Sequence<HTML>) {
            for part in parts { markup += part.description }
        }
    }

    /// Whether there is none.
    package var isEmpty: Bool { description.isEmpty }

    package static func + (left: HTML, right: HTML) -> HTML { "\(left)\(right)" }

    package static func += (left: inout HTML, right: HTML) { left.description += right.description }

    /// Escapes for element content and for quoted attributes. Control characters, which HTML forbids, and those that turn the
    /// direction of what follows become U+FFFD: a text must not rearrange the page around it.
    package static func escape(_ text: some StringProtocol) -> String {
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
            case _ where isHarmful(scalar.value): escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// Control characters, embeddings, overrides and isolates, and what Unicode says is no character.
    private static func isHarmful(_ value: UInt32) -> Bool {
        value < 0x20 || (0x7F...0x9F).contains(value) || (0x202A...0x202E).contains(value)
            || (0x2066...0x2069).contains(value) || (0xFDD0...0xFDEF).contains(value) || value & 0xFFFE == 0xFFFE
    }

    /// `83.2%`, `<0.1%`
    package static func percent(_ probability: Double) -> String {
        let share = min(max(probability, 0), 1) * 100
        if share > 0 && share < 0.1 { return "<0.1%" }
        return share >= 99.95 ? "100%" : Formats.fixed(share, 1) + "%"
    }

    /// A number for an attribute: a share in percent, with two digits.
    package static func share(_ fraction: Double) -> String { Formats.fixed(min(max(fraction, 0), 1) * 100, 2) + "%" }

    /// The class of a label's hue, `h0` to `h14`, the same on every page: FNV-1a, in steps that the eye can tell apart.
    package static func hue(of label: String) -> String {
        let hash = label.lowercased().utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return "h\((hash ^ hash >> 15) % 15)"
    }

    /// A bar that is filled so far.
    package static func bar(_ fraction: Double, class name: String = "meter") -> HTML {
        """
        <svg class="\(name)" aria-hidden="true"><rect width="\(share(fraction))" height="100%"/></svg>
        """
    }
}

extension String {
    /// At most so many characters, the last of them `…` where more were there.
    package func shortened(to count: Int) -> String {
        guard let end = index(startIndex, offsetBy: count, limitedBy: endIndex), end < endIndex else { return self }
        return String(self[..<index(before: end)]) + "…"
    }
}
