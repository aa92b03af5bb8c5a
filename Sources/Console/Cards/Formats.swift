/// Numbers and times as people read them.
package enum Formats {
    /// `1,234,567`
    package static func count(_ number: Int) -> String {
        var text = ""
        for (index, digit) in String(number.magnitude).reversed().enumerated() {
            if index > 0 && index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return (number < 0 ? "-" : "") + String(text.reversed())
    }

    /// `45s`, `3m 20s`, `2h 05m`, `4d 03h`
    package static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e9 else { return "?" }
        let total = Int(max(0, seconds).rounded())
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        switch total {
        case ..<60: return "\(total)s"
        case ..<3600: return "\(total / 60)m \(two(total % 60))s"
        case ..<86_400: return "\(total / 3600)h \(two(total / 60 % 60))m"
        default: return "\(total / 86_400)d \(two(total / 3600 % 24))h"
        }
    }

    /// `12.3/s`, or `4.5/min` for what is slow.
    package static func rate(perSecond rate: Double) -> String {
        rate >= 1 ? "\(fixed(rate, 1))/s" : "\(fixed(rate * 60, 1))/min"
    }

    /// A number with so many digits after the point.
    package static func fixed(_ number: Double, _ digits: Int) -> String {
        guard number.isFinite else { return "\(number)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let whole = (number.magnitude * scale).rounded()
        guard whole < 1e15 else { return "\(number)" }
        let digitsOfWhole = String(Int(whole))
        let padded = String(repeating: "0", count: max(0, digits + 1 - digitsOfWhole.count)) + digitsOfWhole
        let sign = number < 0 && whole > 0 ? "-" : ""
        return sign + padded.dropLast(digits) + (digits > 0 ? "." + padded.suffix(digits) : "")
    }

    /// `2026-03-01 12:30:05` of the database's ISO 8601.
    package static func time(_ iso: String) -> String { String(iso.prefix(19)).replacing("T", with: " ") }

    /// `██████░░░░`
    package static func bar(_ fraction: Double, width: Int) -> String {
        let filled = Int((min(max(fraction, 0), 1) * Double(width)).rounded(.down))
        return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    }
}
