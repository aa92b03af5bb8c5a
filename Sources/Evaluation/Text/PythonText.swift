/// A text as Python has it: a sequence of code points. The official tools are Python, and Swift's String differs from
/// it in what is equal (canonical equivalence), in its length (grapheme clusters), in lower case (no final sigma), in
/// what is white space, and in what is a number. `reference/check_metrics.py` compares all of it with CPython.
public struct PythonText: Hashable, Sendable {
    /// The code points.
    public var scalars: [Unicode.Scalar]

    public init(_ string: String) { scalars = Array(string.unicodeScalars) }

    init(_ scalars: some Sequence<Unicode.Scalar>) { self.scalars = Array(scalars) }

    /// The text as Swift has it.
    public var string: String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    /// Whether two texts have the same code points, as Python's `==`.
    public static func areEqual(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }

    /// `len()`.
    public var count: Int { scalars.count }

    /// `str.lower()`: the full mapping, with the final sigma.
    public func lowercased() -> PythonText {
        if scalars.allSatisfy(\.isASCII) {
            return PythonText(
                scalars.map { (65...90).contains($0.value) ? Unicode.Scalar(UInt8($0.value) + 32) : $0 })
        }
        var lowered: [Unicode.Scalar] = []
        lowered.reserveCapacity(scalars.count)
        for (index, scalar) in scalars.enumerated() {
            if scalar == "\u{3A3}" {
                lowered.append(isFinalSigma(index) ? "\u{3C2}" : "\u{3C3}")
            } else {
                lowered.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
            }
        }
        return PythonText(lowered)
    }

    /// Unicode's Final_Sigma: a cased letter before it and none after it, case-ignorable ones apart.
    private func isFinalSigma(_ index: Int) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && after?.properties.isCased != true
    }

    /// `len(str.upper())`: "ß" has two.
    var uppercasedCount: Int {
        scalars.reduce(0) { $0 + ($1.isASCII ? 1 : $1.properties.uppercaseMapping.unicodeScalars.count) }
    }

    /// `str.isspace()` of one code point.
    static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// `\d` and `str.isdecimal()` of one code point: a digit of any script.
    static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII ? (48...57).contains(scalar.value) : scalar.properties.numericType == .decimal
    }

    /// `\w` of one code point: a letter, a number of any kind, or the underscore.
    static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: scalar == "_" || scalar.properties.numericType != nil
        }
    }

    /// `str.split()`.
    public func split() -> [PythonText] { scalars.split(whereSeparator: Self.isSpace).map { PythonText($0) } }

    /// `str.split(separator)`: empty pieces count, and an empty text is one.
    func split(separator: Unicode.Scalar) -> [PythonText] {
        scalars.split(separator: separator, omittingEmptySubsequences: false).map { PythonText($0) }
    }

    /// `str.strip()`.
    public func stripped() -> PythonText {
        guard let first = scalars.firstIndex(where: { !Self.isSpace($0) }),
            let last = scalars.lastIndex(where: { !Self.isSpace($0) })
        else { return PythonText([]) }
        return PythonText(scalars[first...last])
    }

    /// `" ".join(words)`.
    static func joined(_ words: [PythonText]) -> PythonText {
        PythonText(words.map(\.scalars).joined(separator: CollectionOfOne(Unicode.Scalar(UInt8(32)))))
    }

    /// `str.replace(old, new)` of one code point.
    func replacing(_ old: Unicode.Scalar, with new: Unicode.Scalar?) -> PythonText {
        scalars.contains(old) ? PythonText(scalars.compactMap { $0 == old ? new : $0 }) : self
    }

    /// `str.replace(old, new)`. `old` is not empty.
    func replacing(_ old: PythonText, with new: PythonText) -> PythonText {
        var replaced: [Unicode.Scalar] = []
        var index = 0
        while index < scalars.count {
            if scalars[index...].starts(with: old.scalars) {
                replaced.append(contentsOf: new.scalars)
                index += old.count
            } else {
                replaced.append(scalars[index])
                index += 1
            }
        }
        return PythonText(replaced)
    }
}
