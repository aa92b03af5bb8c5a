extension PythonText {
    /// `float()`; nil where it raises ValueError. It takes digits of any script, underscores between digits, `inf` and
    /// `nan`, white space around the number, but neither hexadecimal digits nor commas.
    public var float: Double? {
        guard let digits = asciiNumber else { return nil }
        let number = String(decoding: digits, as: UTF8.self)
        let unsigned = digits.drop { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
        switch String(decoding: unsigned, as: UTF8.self).lowercased() {
        case "inf", "infinity":
            guard digits.count - unsigned.count <= 1 else { return nil }
            return digits.first == UInt8(ascii: "-") ? -.infinity : .infinity
        case "nan": return digits.count - unsigned.count <= 1 ? .nan : nil
        default: return Self.isDecimalNumber(digits) ? Double(number) : nil
        }
    }

    /// The number in ASCII, without the white space around it and without underscores; nil: one of them is misplaced,
    /// or something is neither.
    private var asciiNumber: [UInt8]? {
        // In a text that is ASCII throughout, Python takes only C's white space off; elsewhere any beyond ASCII, too.
        func isBlank(_ scalar: Unicode.Scalar) -> Bool {
            scalar.isASCII ? (9...13).contains(scalar.value) || scalar == " " : Self.isSpace(scalar)
        }
        guard let first = scalars.firstIndex(where: { !isBlank($0) }),
            let last = scalars.lastIndex(where: { !isBlank($0) })
        else { return nil }
        var bytes: [UInt8] = []
        var previous: UInt8 = 0
        for scalar in scalars[first...last] {
            let byte: UInt8
            if scalar.isASCII {
                byte = UInt8(scalar.value)
            } else if Self.isDigit(scalar), let value = scalar.properties.numericValue {
                byte = UInt8(48 + value)
            } else {
                return nil
            }
            let isDigit = (48...57).contains(byte)
            if byte == UInt8(ascii: "_") {
                guard (48...57).contains(previous) else { return nil }
            } else {
                if previous == UInt8(ascii: "_") && !isDigit { return nil }
                bytes.append(byte)
            }
            previous = byte
        }
        return previous == UInt8(ascii: "_") ? nil : bytes
    }

    /// `[+-]? (digits [. digits?] | . digits) ([eE] [+-]? digits)?`
    private static func isDecimalNumber(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        func isSign(_ byte: UInt8?) -> Bool { byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-") }
        func takeDigits() -> Int {
            let digits = rest.prefix { (48...57).contains($0) }.count
            rest = rest.dropFirst(digits)
            return digits
        }
        if isSign(rest.first) { rest = rest.dropFirst() }
        var digits = takeDigits()
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            digits += takeDigits()
        }
        guard digits > 0 else { return false }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if isSign(rest.first) { rest = rest.dropFirst() }
            guard takeDigits() > 0 else { return false }
        }
        return rest.isEmpty
    }
}
