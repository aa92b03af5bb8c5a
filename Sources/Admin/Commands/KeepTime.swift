import ArgumentParser

/// How long something is kept: numbers with units, such as `90 days`, `12h`, `1 year 6 months`.
///
/// A unit is demanded: PostgreSQL reads "90" as 90 seconds. "m" is refused, which is minutes to it and months to others.
struct KeepTime: CustomStringConvertible, Equatable {
    private static let units: [(names: Set<String>, unit: String)] = [
        (["s", "sec", "secs", "second", "seconds"], "seconds"),
        (["min", "mins", "minute", "minutes"], "minutes"),
        (["h", "hour", "hours"], "hours"),
        (["d", "day", "days"], "days"),
        (["w", "week", "weeks"], "weeks"),
        (["month", "months"], "months"),
        (["y", "year", "years"], "years"),
    ]

    /// As PostgreSQL reads it, such as `90 days`.
    let interval: String

    /// Reads a time.
    /// - Throws: `ValidationError`.
    init(_ text: String) throws {
        let problem = ValidationError(
            "\"\(text)\" is no time with a unit, such as \"90 days\", 12h, 2w or \"6 months\".")
        var rest = Substring(text.lowercased())
        var parts: [String] = []
        while true {
            rest = rest.drop(while: \.isWhitespace)
            if rest.isEmpty { break }
            let number = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(number.count).drop(while: \.isWhitespace)
            let name = rest.prefix(while: \.isLetter)
            rest = rest.dropFirst(name.count)
            guard (1...6).contains(number.count),
                let unit = Self.units.first(where: { $0.names.contains(String(name)) })?.unit
            else { throw problem }
            parts.append("\(number) \(unit)")
        }
        guard !parts.isEmpty else { throw problem }
        interval = parts.joined(separator: " ")
    }

    var description: String { interval }

    /// As a length; nil with months and years, whose length differs.
    var duration: Duration? {
        let lengths = ["seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800]
        let words = interval.split(separator: " ")
        var seconds = 0
        for index in stride(from: 0, to: words.count, by: 2) {
            guard let number = Int(words[index]), let length = lengths[String(words[index + 1])] else { return nil }
            seconds += number * length
        }
        return .seconds(seconds)
    }
}
