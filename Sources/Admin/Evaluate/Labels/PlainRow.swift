/// A row of JSONL as most are: texts without escapes, whole numbers, true, false, null, and arrays of texts and numbers. It keeps
/// where they lie, and no values of their own: a million rows take no memory of theirs. `JSONParser` reads the rest.
struct PlainRow {
    enum Kind {
        case text, number, null, bool, array
    }

    struct Field {
        let name: Range<Int>
        let kind: Kind
        /// Where the text lies, without its quotes, or the number.
        let value: Range<Int>
        /// Of an array: which of `elements` are its own.
        let elements: Range<Int>
    }

    private(set) var fields: [Field] = []
    /// The elements of arrays.
    private(set) var elements: [Range<Int>] = []

    /// Takes the place of the row before.
    /// - Parameter start: where the line begins.
    /// - Returns: where the line ends; nil: it is not as plain as that, or no row at all.
    mutating func read(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        fields.removeAll(keepingCapacity: true)
        elements.removeAll(keepingCapacity: true)
        var scanner = Scanner(at: start)
        guard scanner.takes(UInt8(ascii: "{"), bytes) else { return nil }
        if !scanner.takes(UInt8(ascii: "}"), bytes) {
            repeat {
                guard scanner.takes(UInt8(ascii: "\""), bytes), let name = scanner.text(bytes),
                    scanner.takes(UInt8(ascii: ":"), bytes), let field = field(name, &scanner, bytes)
                else { return nil }
                fields.append(field)
            } while scanner.takes(UInt8(ascii: ","), bytes)
            guard scanner.takes(UInt8(ascii: "}"), bytes) else { return nil }
        }
        guard scanner.next(bytes).map({ $0 == UInt8(ascii: "\n") }) ?? true,
            scanner.isASCII || (try? UTF8Span(validating: bytes.extracting(start..<scanner.at))) != nil
        else { return nil }
        return scanner.at
    }

    private mutating func field(_ name: Range<Int>, _ scanner: inout Scanner, _ bytes: Span<UInt8>) -> Field? {
        let first = elements.count
        guard scanner.takes(UInt8(ascii: "["), bytes) else {
            return scanner.scalar(bytes).map { Field(name: name, kind: $0.kind, value: $0.range, elements: 0..<0) }
        }
        if !scanner.takes(UInt8(ascii: "]"), bytes) {
            repeat {
                guard let element = scanner.scalar(bytes), element.kind == .text || element.kind == .number else {
                    return nil
                }
                elements.append(element.range)
            } while scanner.takes(UInt8(ascii: ","), bytes)
            guard scanner.takes(UInt8(ascii: "]"), bytes) else { return nil }
        }
        return Field(name: name, kind: .array, value: 0..<0, elements: first..<elements.count)
    }

    private struct Scanner {
        var at: Int
        /// Whether all bytes of texts so far are ASCII.
        private var all: UInt8 = 0

        var isASCII: Bool { all < 0x80 }

        init(at: Int) { self.at = at }

        /// The next byte that is no blank; nil at the end.
        mutating func next(_ bytes: Span<UInt8>) -> UInt8? {
            while at < bytes.count {
                let byte = bytes[at]
                guard byte == 0x20 || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") else { return byte }
                at += 1
            }
            return nil
        }

        mutating func takes(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
            guard next(bytes) == byte else { return false }
            at += 1
            return true
        }

        /// What is behind an opening quote, up to the closing one.
        mutating func text(_ bytes: Span<UInt8>) -> Range<Int>? {
            let start = at
            while at < bytes.count {
                let byte = bytes[at]
                at += 1
                if byte == UInt8(ascii: "\"") { return start..<at - 1 }
                guard byte >= 0x20, byte != UInt8(ascii: "\\") else { return nil }
                all |= byte
            }
            return nil
        }

        mutating func scalar(_ bytes: Span<UInt8>) -> (kind: Kind, range: Range<Int>)? {
            guard let first = next(bytes) else { return nil }
            switch first {
            case UInt8(ascii: "\""):
                at += 1
                return text(bytes).map { (.text, $0) }
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let start = at
                while at < bytes.count, UInt8(ascii: "0")...UInt8(ascii: "9") ~= bytes[at] { at += 1 }
                // Behind the digits of another number is no comma and no bracket.
                return at - start == 1 || bytes[start] != UInt8(ascii: "0") ? (.number, start..<at) : nil
            case UInt8(ascii: "t"): return word("true", .bool, bytes)
            case UInt8(ascii: "f"): return word("false", .bool, bytes)
            case UInt8(ascii: "n"): return word("null", .null, bytes)
            default: return nil
            }
        }

        private mutating func word(
            _ word: StaticString, _ kind: Kind, _ bytes: Span<UInt8>
        ) -> (kind: Kind, range: Range<Int>)? {
            let start = at
            for offset in 0..<word.utf8CodeUnitCount {
                guard at < bytes.count, bytes[at] == word.utf8Start[offset] else { return nil }
                at += 1
            }
            return (kind, start..<at)
        }
    }
}
