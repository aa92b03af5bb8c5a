/// Comma-separated values as in RFC 4180.
public enum CSV {
    /// One record with its line end; nil is an empty field, and an empty text is a quoted one.
    public static func record(_ fields: [String?]) -> String {
        fields.map { field in field.map(quoted) ?? "" }.joined(separator: ",") + "\r\n"
    }

    private static func quoted(_ field: String) -> String {
        var mustQuote = field.isEmpty
        var hasQuote = false
        for byte in field.utf8 {
            if byte == UInt8(ascii: "\"") { hasQuote = true }
            if byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") {
                mustQuote = true
            }
        }
        guard mustQuote || hasQuote else { return field }
        return "\"" + (hasQuote ? field.replacing("\"", with: "\"\"") : field) + "\""
    }
}

/// Reads CSV record by record, however long the file is.
///
/// A reader of our own and not a package: SwiftCSV keeps the whole file in memory and gives up at its first bad record,
/// while a bulk load must go on and name the line.
public struct CSVReader {
    /// A record, and the line of the file on which it begins, from 1.
    public struct Record: Equatable {
        /// The line.
        public var line: Int
        /// The fields.
        public var fields: [String]
    }

    /// A record that is no good; reading can go on behind it.
    public struct Malformed: Error, Equatable {
        /// The line.
        public let line: Int
        /// What is wrong.
        public let reason: String
    }

    private var bytes: ByteReader
    private let separator: UInt8
    private var line = 1

    /// Bytes taken so far.
    public var position: Int { bytes.position }

    /// Reads from where `bytes` is.
    /// - Parameter separator: the ASCII character between fields.
    public init(_ bytes: ByteReader, separator: Character = ",") {
        self.bytes = bytes
        self.separator = separator.asciiValue ?? UInt8(ascii: ",")
    }

    /// The next record that is not a blank line; nil at the end.
    /// - Throws: `Malformed`, or what the file's reading throws.
    public mutating func next() throws -> Record? {
        while true {
            guard try bytes.peek() != nil else { return nil }
            let record = try record()
            if record.fields != [""] { return record }
        }
    }

    private mutating func record() throws -> Record {
        let start = line
        var fields: [[UInt8]] = [[]]
        var problem: String?
        scan: while let byte = try bytes.next() {
            switch byte {
            case separator: fields.append([])
            case UInt8(ascii: "\n"): break scan
            case UInt8(ascii: "\r") where try bytes.peek() == UInt8(ascii: "\n"): break
            case UInt8(ascii: "\"") where fields[fields.count - 1].isEmpty:
                problem = try quoted(&fields[fields.count - 1]) ?? problem
            case UInt8(ascii: "\""): problem = "a quote inside a field that does not begin with one"
            default: fields[fields.count - 1].append(byte)
            }
        }
        line += 1
        if let problem { throw Malformed(line: start, reason: problem) }
        let texts = try fields.map { field in
            guard let text = String(validating: field, as: UTF8.self) else {
                throw Malformed(line: start, reason: "not UTF-8")
            }
            return text
        }
        return Record(line: start, fields: texts)
    }

    /// The rest of a quoted field.
    /// - Returns: what is wrong with it.
    private mutating func quoted(_ field: inout [UInt8]) throws -> String? {
        while let byte = try bytes.next() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            guard byte == UInt8(ascii: "\"") else {
                field.append(byte)
                continue
            }
            switch try bytes.peek() {
            case UInt8(ascii: "\""):
                _ = try bytes.next()
                field.append(byte)
            case nil, separator, UInt8(ascii: "\n"), UInt8(ascii: "\r"): return nil
            default: return "text after the closing quote of a field"
            }
        }
        return "a quoted field has no closing quote"
    }
}
