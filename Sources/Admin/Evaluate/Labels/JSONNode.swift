/// A JSON value of a user's file, with the lines on which its objects begin.
///
/// A reader of our own and not Foundation's: errors must name a line, a name that stands twice is an error, and numbers keep their
/// text, so that a key of twenty digits stays one.
enum JSONNode {
    case null
    case bool(Bool)
    /// As it is written.
    case number(String)
    case string(String)
    case array([JSONNode])
    case object(JSONFields)

    /// Whether it is null.
    var isNull: Bool {
        if case .null = self { return true }
        return false
    }

    /// A number; nil: it is none.
    var double: Double? {
        if case .number(let text) = self { return Double(text) }
        return nil
    }

    /// A whole number; nil: it is none.
    var int: Int? {
        guard case .number(let text) = self else { return nil }
        return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
    }

    /// A text; nil: it is none.
    var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// A text, or a whole number as it is written: what may name something.
    var name: String? {
        switch self {
        case .string(let text): text
        case .number(let text) where text.utf8.allSatisfy { $0 != UInt8(ascii: ".") && $0 | 0x20 != UInt8(ascii: "e") }:
            text
        default: nil
        }
    }

    var array: [JSONNode]? {
        if case .array(let nodes) = self { return nodes }
        return nil
    }

    var object: JSONFields? {
        if case .object(let fields) = self { return fields }
        return nil
    }

    /// Numbers; nil: it is no array of numbers alone.
    var doubles: [Double]? {
        guard let array else { return nil }
        let numbers = array.compactMap(\.double)
        return numbers.count == array.count ? numbers : nil
    }

    /// What it is, for an error.
    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a text"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// The fields of a JSON object. A class, since a value of it holds others.
final class JSONFields {
    /// The line on which it begins, from 1.
    let line: Int
    let fields: [(name: String, value: JSONNode)]

    init(line: Int, fields: [(name: String, value: JSONNode)]) {
        self.line = line
        self.fields = fields
    }

    /// The value of a name; nil: there is none. Null is a value.
    subscript(name: String) -> JSONNode? { fields.first { $0.name == name }?.value }

    /// The value of the first of these names that is there and not null.
    func first(of names: [String]) -> (name: String, value: JSONNode)? {
        for name in names {
            if let value = self[name], !value.isNull { return (name, value) }
        }
        return nil
    }
}

/// Why a text is no JSON.
struct JSONProblem: Error {
    let line: Int
    let reason: String
}

/// Reads JSON from bytes.
struct JSONParser {
    private let bytes: ArraySlice<UInt8>
    private(set) var at: Int
    private(set) var line: Int
    private static let deepest = 64

    /// - Parameter line: the number of the first line.
    init(_ bytes: ArraySlice<UInt8>, line: Int = 1) {
        self.bytes = bytes
        self.line = line
        at = bytes.startIndex
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at += 3 }
    }

    /// Whether nothing but blanks is left.
    mutating func isAtEnd() -> Bool {
        skipBlanks()
        return at == bytes.endIndex
    }

    /// The next value.
    mutating func value() throws(JSONProblem) -> JSONNode { try value(depth: 0) }

    /// The only value.
    mutating func onlyValue() throws(JSONProblem) -> JSONNode {
        let node = try value()
        guard isAtEnd() else { throw problem("something follows the value") }
        return node
    }

    private mutating func value(depth: Int) throws(JSONProblem) -> JSONNode {
        guard depth < Self.deepest else { throw problem("deeper than \(Self.deepest) levels") }
        skipBlanks()
        guard at < bytes.endIndex else { throw problem("the text ends too early") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return .object(try fields(depth))
        case UInt8(ascii: "["): return .array(try elements(depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
        default: return try word()
        }
    }

    private mutating func fields(_ depth: Int) throws(JSONProblem) -> JSONFields {
        let start = line
        at += 1
        var fields: [(name: String, value: JSONNode)] = []
        if takes(UInt8(ascii: "}")) { return JSONFields(line: start, fields: []) }
        repeat {
            skipBlanks()
            guard at < bytes.endIndex, bytes[at] == UInt8(ascii: "\"") else { throw problem("a name is missing") }
            let name = try string()
            if fields.contains(where: { $0.name == name }) { throw problem("the name \"\(name)\" is there twice") }
            guard takes(UInt8(ascii: ":")) else { throw problem("no colon behind \"\(name)\"") }
            fields.append((name, try value(depth: depth + 1)))
        } while takes(UInt8(ascii: ","))
        guard takes(UInt8(ascii: "}")) else { throw problem("an object is not closed") }
        return JSONFields(line: start, fields: fields)
    }

    private mutating func elements(_ depth: Int) throws(JSONProblem) -> [JSONNode] {
        at += 1
        var elements: [JSONNode] = []
        if takes(UInt8(ascii: "]")) { return [] }
        repeat { elements.append(try value(depth: depth + 1)) } while takes(UInt8(ascii: ","))
        guard takes(UInt8(ascii: "]")) else { throw problem("an array is not closed") }
        return elements
    }

    /// A number as JSON writes it: no leading zeros or plus, no hexadecimal digits.
    private mutating func number() throws(JSONProblem) -> String {
        let start = at
        func digits() -> Int {
            let before = at
            while at < bytes.endIndex, UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[at] { at += 1 }
            return at - before
        }
        if bytes[at] == UInt8(ascii: "-") { at += 1 }
        let first = at
        let whole = digits()
        var isGood = whole > 0 && (whole == 1 || bytes[first] != UInt8(ascii: "0"))
        if at < bytes.endIndex, bytes[at] == UInt8(ascii: ".") {
            at += 1
            isGood = digits() > 0 && isGood
        }
        if at < bytes.endIndex, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < bytes.endIndex, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            isGood = digits() > 0 && isGood
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        guard isGood, Double(text)?.isFinite == true else { throw problem("\(text) is no number that JSON has") }
        return text
    }

    private mutating func word() throws(JSONProblem) -> JSONNode {
        for (word, node) in [("true", JSONNode.bool(true)), ("false", .bool(false)), ("null", .null)]
        where bytes[at...].starts(with: word.utf8) {
            at += word.utf8.count
            return node
        }
        let start = bytes[at...].prefix(20).prefix { $0 > 0x20 && $0 != UInt8(ascii: ",") }
        throw problem("\"\(String(decoding: start, as: UTF8.self))\" is no value")
    }

    private mutating func string() throws(JSONProblem) -> String {
        at += 1
        let start = at
        while at < bytes.endIndex, bytes[at] >= 0x20, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\") {
            at += 1
        }
        guard at < bytes.endIndex, bytes[at] != UInt8(ascii: "\"") else {
            guard at < bytes.endIndex else { throw problem("a text is not closed") }
            defer { at += 1 }
            return try decoded(bytes[start..<at])
        }
        var text = Array(bytes[start..<at])
        while at < bytes.endIndex {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return try decoded(text[...])
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20: throw problem("a text has the control character \(byte) in it")
            default: text.append(byte)
            }
        }
        throw problem("a text is not closed")
    }

    private func decoded(_ bytes: ArraySlice<UInt8>) throws(JSONProblem) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw problem("a text is not UTF-8") }
        return text
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONProblem) {
        guard at < bytes.endIndex else { throw problem("a text is not closed") }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if 0xD800..<0xDC00 ~= code, bytes[at...].starts(with: [UInt8(ascii: "\\"), UInt8(ascii: "u")]) {
                at += 2
                let low = try hexadecimal()
                guard 0xDC00..<0xE000 ~= low else { throw problem("half of a pair of surrogates") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw problem("half of a pair of surrogates") }
            text.append(contentsOf: String(scalar).utf8)
        default: throw problem("an unknown escape in a text")
        }
    }

    private mutating func hexadecimal() throws(JSONProblem) -> UInt32 {
        guard bytes.endIndex - at >= 4,
            let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16),
            bytes[at] != UInt8(ascii: "+"), bytes[at] != UInt8(ascii: "-")
        else { throw problem("an unknown escape in a text") }
        at += 4
        return code
    }

    private mutating func takes(_ byte: UInt8) -> Bool {
        skipBlanks()
        guard at < bytes.endIndex, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func skipBlanks() {
        while at < bytes.endIndex {
            switch bytes[at] {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            default: return
            }
            at += 1
        }
    }

    private func problem(_ reason: String) -> JSONProblem { JSONProblem(line: line, reason: reason) }
}
