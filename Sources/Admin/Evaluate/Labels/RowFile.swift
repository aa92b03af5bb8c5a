import Foundation
import Images
import Submissions

/// Rows of a file, or of a query: JSON objects with names and values, whatever the format.
struct RowFile {
    /// As it stands in errors.
    let name: String
    /// `line`, or `row` of a query.
    let noun: String
    private(set) var bytes: [UInt8]
    private let isCSV: Bool

    /// SHA-256 of the bytes, hexadecimal.
    var sha256: String { SHA256Digest.hex(bytes) }

    /// Reads a file; `-` is standard input. CSV is known by its name.
    init(path: String) throws(CommandError) {
        let file = path == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: path)
        guard let file else {
            throw CommandError(.badData, "\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        bytes = try Self.contents(of: file, path)
        name = path == "-" ? "standard input" : path
        noun = "line"
        isCSV = path.lowercased().hasSuffix(".csv")
    }

    /// All bytes of a file, once: Foundation's `Data` would be a second copy of a large one.
    private static func contents(of file: FileHandle, _ path: String) throws(CommandError) -> [UInt8] {
        let piece = 1 << 18
        var (bytes, status) = ([UInt8](), stat())
        if fstat(file.fileDescriptor, &status) == 0, status.st_size > 0 { bytes.reserveCapacity(Int(status.st_size)) }
        var buffer = [UInt8](repeating: 0, count: piece)
        while true {
            let count = read(file.fileDescriptor, &buffer, piece)
            if count == 0 { return bytes }
            if count > 0 {
                bytes.append(contentsOf: buffer[..<count])
            } else if errno != EINTR {
                throw CommandError(.badData, "\(path) cannot be read: \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Rows of a query, a JSON object a line.
    init(query: String, rows: [UInt8]) {
        name = query
        noun = "row"
        bytes = rows
        isCSV = false
    }

    /// Lets the bytes go: their labels are read.
    mutating func forget() { bytes = [] }

    /// An error that names the place.
    func problem(_ line: Int, _ reason: String) -> CommandError {
        CommandError(.badData, "\(name), \(noun) \(line): \(reason)")
    }

    /// The names of arrays of rows in a document.
    private static let lists = ["annotations", "data", "images", "categories", "questions"]

    /// The file as one JSON value, if that is what it is: an array, or an object with arrays of rows in it. Nil: it has a row a
    /// line.
    func document() throws(CommandError) -> JSONNode? {
        guard !isCSV else { return nil }
        var parser = JSONParser(bytes[...])
        guard !parser.isAtEnd() else { throw CommandError(.badData, "\(name) is empty: it has no \(noun)s") }
        if noun == "row" { return nil }
        do throws(JSONProblem) {
            let node = try parser.value()
            let isWhole = parser.isAtEnd()
            switch node {
            case .array:
                guard isWhole else { throw JSONProblem(line: parser.line, reason: "something follows the array") }
                return node
            case .object(let fields):
                return isWhole && Self.lists.contains { fields[$0]?.array != nil } ? node : nil
            default: return nil
            }
        } catch {
            throw problem(error.line, "not JSON: \(error.reason)")
        }
    }

    /// The file as one JSON object; nil: it is something else.
    func object() throws(CommandError) -> JSONFields? {
        do throws(JSONProblem) {
            var parser = JSONParser(bytes[...])
            return try parser.onlyValue().object
        } catch {
            throw problem(error.line, "not JSON: \(error.reason)")
        }
    }

    /// Hands over the rows, a line each.
    /// - Parameter plain: gets a row that is a plain one, with the bytes and the line; false: `body` shall get it.
    func forEachRow(
        plain: (PlainRow, Span<UInt8>, Int) throws -> Bool = { _, _, _ in false }, _ body: (JSONFields) throws -> Void
    ) throws {
        if isCSV { return try forEachRecord(body) }
        var (start, line) = (bytes.startIndex, 0)
        var row = PlainRow()
        while start < bytes.endIndex {
            if let end = row.read(bytes.span, from: start), try plain(row, bytes.span, line + 1) {
                line += 1
                start = min(end + 1, bytes.endIndex)
                continue
            }
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
            line += 1
            var parser = JSONParser(bytes[start..<end], line: line)
            start = min(end + 1, bytes.endIndex)
            if parser.isAtEnd() {
                if end == bytes.endIndex { break }
                continue
            }
            do {
                guard case .object(let fields) = try parser.onlyValue() else {
                    throw problem(line, "not a JSON object")
                }
                try body(fields)
            } catch let error as JSONProblem {
                throw problem(line, "not JSON: \(error.reason)")
            }
        }
    }

    /// The records of CSV: texts, or JSON arrays where a field begins like one. Empty fields are left out.
    private func forEachRecord(_ body: (JSONFields) throws -> Void) throws {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let line =
                1 + (Self.firstInvalidByte(bytes).map { end in bytes[..<end].count { $0 == UInt8(ascii: "\n") } } ?? 0)
            throw problem(line, "not UTF-8")
        }
        var reader = CSVReader(ByteReader(text))
        do {
            guard let header = try reader.next() else {
                throw CommandError(.badData, "\(name) is empty: it has no header")
            }
            let names = header.fields.map { $0.trimmingCharacters(in: .whitespaces) }
            if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
                throw problem(header.line, "the header names \"\(twice)\" twice")
            }
            while let record = try reader.next() {
                guard record.fields.count == names.count else {
                    throw problem(record.line, "\(record.fields.count) fields, but the header has \(names.count)")
                }
                let fields = zip(names, record.fields).filter { !$1.isEmpty }.map { name, field in
                    (name: name, value: Self.value(field))
                }
                try body(JSONFields(line: record.line, fields: fields))
            }
        } catch let error as CSVReader.Malformed {
            throw problem(error.line, error.reason)
        }
    }

    private static func value(_ field: String) -> JSONNode {
        guard field.hasPrefix("[") else { return .string(field) }
        var parser = JSONParser(Array(field.utf8)[...])
        guard let node = try? parser.onlyValue(), node.array != nil else { return .string(field) }
        return node
    }

    private static func firstInvalidByte(_ bytes: [UInt8]) -> Int? {
        var (decoder, iterator, taken) = (UTF8(), bytes.makeIterator(), 0)
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): taken += UTF8.width(scalar)
            case .emptyInput: return nil
            case .error: return taken
            }
        }
    }
}
