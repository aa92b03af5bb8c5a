import Foundation

/// A JSON text, read once from its front to its end.
///
/// Strings are bytes. Foundation's readers take keys as Swift strings, for which é in one code point and é in two are
/// the same key; a vocabulary holds both.
struct JSONReader {
    private let bytes: [UInt8]
    private let path: String
    private var at = 0

    /// `path` is named in errors.
    init(_ data: Data, path: String) {
        bytes = [UInt8](data)
        self.path = path
    }

    /// An object: `body` gets each key, and must read its value.
    mutating func object(
        _ body: (inout JSONReader, [UInt8]) throws(InferenceError) -> Void
    ) throws(InferenceError) {
        try sequence(from: UInt8(ascii: "{"), to: UInt8(ascii: "}")) { reader throws(InferenceError) in
            let key = try reader.string()
            try reader.expect(UInt8(ascii: ":"))
            try body(&reader, key)
        }
    }

    /// An array: `body` must read each element.
    mutating func array(_ body: (inout JSONReader) throws(InferenceError) -> Void) throws(InferenceError) {
        try sequence(from: UInt8(ascii: "["), to: UInt8(ascii: "]"), body)
    }

    private mutating func sequence(
        from open: UInt8, to close: UInt8, _ body: (inout JSONReader) throws(InferenceError) -> Void
    ) throws(InferenceError) {
        try expect(open)
        if takes(close) { return }
        repeat { try body(&self) } while takes(UInt8(ascii: ","))
        try expect(close)
    }

    /// A string's UTF-8, escapes replaced.
    mutating func string() throws(InferenceError) -> [UInt8] {
        try expect(UInt8(ascii: "\""))
        var text: [UInt8] = []
        while true {
            let byte = try next()
            switch byte {
            case UInt8(ascii: "\""): return text
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw failure("a control character in a string")
            default: text.append(byte)
            }
        }
    }

    private mutating func escape(into text: inout [UInt8]) throws(InferenceError) {
        let byte = try next()
        switch byte {
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code) {
                try expect(UInt8(ascii: "\\"))
                try expect(UInt8(ascii: "u"))
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("half a surrogate pair") }
            text.append(contentsOf: Array(String(scalar).utf8))
        default: throw failure("an unknown escape")
        }
    }

    private mutating func hexadecimal() throws(InferenceError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(try next())).hexDigitValue else {
                throw failure("an unknown escape")
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// A whole number from 0.
    mutating func count() throws(InferenceError) -> Int {
        skipBlanks()
        let start = at
        while at < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[at]) { at += 1 }
        guard let value = Int(String(decoding: bytes[start..<at], as: UTF8.self)) else {
            throw failure("expected a whole number")
        }
        return value
    }

    /// Any value, as it stands there. It is not checked beyond its brackets and quotes.
    mutating func value() throws(InferenceError) -> Data {
        skipBlanks()
        let start = at
        var depth = 0
        repeat {
            skipBlanks()
            guard at < bytes.count else { throw failure("the file ends too early") }
            switch bytes[at] {
            case UInt8(ascii: "\""): _ = try string()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                at += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                at += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"): at += 1
            default:
                let word = at
                while at < bytes.count, !Self.endsWord(bytes[at]) { at += 1 }
                guard at > word else { throw failure("an unexpected character") }
            }
        } while depth > 0
        return Data(bytes[start..<at])
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    private static func endsWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "\""), UInt8(ascii: "["), UInt8(ascii: "]"),
            UInt8(ascii: "{"), UInt8(ascii: "}"):
            true
        default: false
        }
    }

    /// Whether a string comes next.
    mutating func isString() -> Bool {
        skipBlanks()
        return at < bytes.count && bytes[at] == UInt8(ascii: "\"")
    }

    private mutating func expect(_ byte: UInt8) throws(InferenceError) {
        guard takes(byte) else { throw failure("expected \(Character(Unicode.Scalar(byte)))") }
    }

    private mutating func takes(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func next() throws(InferenceError) -> UInt8 {
        guard at < bytes.count else { throw failure("the file ends too early") }
        defer { at += 1 }
        return bytes[at]
    }

    private mutating func skipBlanks() {
        while at < bytes.count, Self.isBlank(bytes[at]) { at += 1 }
    }

    private func failure(_ what: String) -> InferenceError {
        InferenceError(.invalidModel, "\(path): not valid JSON: \(what), at byte \(at)")
    }
}
