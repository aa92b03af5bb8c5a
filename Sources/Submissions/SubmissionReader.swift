import Foundation

/// A line of a file as a submission, or why it is none.
public struct Submission: Equatable, Sendable {
    /// The line on which it begins, from 1.
    public var line: Int
    /// A JSON object with the columns of `gloss.inbox`.
    public var json: String

    /// A submission.
    public init(line: Int, json: String) {
        self.line = line
        self.json = json
    }
}

/// A line that is no good.
public struct BadLine: Error, Equatable, Encodable, Sendable {
    /// The line, from 1.
    public var line: Int
    /// What is wrong with it.
    public var reason: String

    /// A line, and what is wrong with it.
    public init(line: Int, reason: String) {
        self.line = line
        self.reason = reason
    }
}

/// How a file of jobs is written.
public enum SubmissionFormat: String, CaseIterable, Sendable {
    /// Comma-separated, as in RFC 4180.
    case csv
    /// A JSON object a line.
    case jsonl

    /// By the end of the file's name; nil if that says nothing.
    public init?(path: String) {
        let name = path.lowercased()
        if name.hasSuffix(".csv") {
            self = .csv
        } else if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") || name.hasSuffix(".json") {
            self = .jsonl
        } else {
            return nil
        }
    }
}

/// The fields of a submission: the columns of `gloss.inbox`, and `run_in`, seconds from now.
public enum SubmissionField {
    /// Those that are arrays.
    public static let arrays: Set<String> = ["image_urls", "texts", "options", "follow_ups", "ignore", "draw_box"]
    /// All of them.
    public static let all: Set<String> = arrays.union([
        "task", "image_url", "prompt", "key", "batch", "priority", "run_at", "run_in", "max_attempts", "model",
        "language", "style", "score", "background", "max_tokens", "samples", "beams", "temperature", "top_k", "top_p",
        "seed", "pick", "continue_from", "max_repeats", "token_scores", "frames",
    ])

    /// Why names are refused; nil if they are good.
    public static func problem(_ names: some Collection<String>) -> String? {
        let unknown = names.filter { !all.contains($0) }.sorted()
        if !unknown.isEmpty {
            let quoted = unknown.map { "\"\($0)\"" }.joined(separator: ", ")
            return "unknown field \(quoted); there are: \(all.sorted().joined(separator: ", "))"
        }
        return names.contains("image_url") && names.contains("image_urls")
            ? "give either image_url or image_urls, not both" : nil
    }
}

/// Reads submissions one by one from CSV or JSONL.
public struct SubmissionReader {
    private enum Source {
        case csv(CSVReader, header: [String]?)
        case jsonl(ByteReader, line: Int)
    }
    private var source: Source

    /// Reads from where `bytes` is.
    public init(_ bytes: ByteReader, _ format: SubmissionFormat) {
        source = format == .csv ? .csv(CSVReader(bytes), header: nil) : .jsonl(bytes, line: 0)
    }

    /// Bytes taken so far.
    public var position: Int {
        switch source {
        case .csv(let reader, _): reader.position
        case .jsonl(let bytes, _): bytes.position
        }
    }

    /// The next submission; nil at the end.
    /// - Throws: `BadLine`, behind which reading can go on; `FileProblem` if the file as a whole is no good.
    public mutating func next() throws -> Submission? {
        switch source {
        case .csv(var reader, var header):
            defer { source = .csv(reader, header: header) }
            let names = try header ?? Self.header(&reader)
            header = names
            return try Self.next(&reader, names)
        case .jsonl(var bytes, var line):
            defer { source = .jsonl(bytes, line: line) }
            return try Self.next(&bytes, &line)
        }
    }

    // MARK: CSV

    private static func header(_ reader: inout CSVReader) throws -> [String] {
        do {
            guard let record = try reader.next() else { throw FileProblem("the file is empty: it has no header") }
            let names = record.fields.map { $0.trimmingCharacters(in: .whitespaces) }
            if let problem = SubmissionField.problem(Set(names)) { throw FileProblem("the header: \(problem)") }
            guard Set(names).count == names.count else { throw FileProblem("the header names a column twice") }
            return names
        } catch let error as CSVReader.Malformed {
            throw FileProblem("the header: \(error.reason)")
        }
    }

    private static func next(_ reader: inout CSVReader, _ header: [String]) throws -> Submission? {
        do {
            guard let record = try reader.next() else { return nil }
            guard record.fields.count == header.count else {
                throw BadLine(
                    line: record.line, reason: "\(record.fields.count) fields, but the header has \(header.count)")
            }
            var json = JSONObject()
            for (name, text) in zip(header, record.fields) where !text.isEmpty {
                if SubmissionField.arrays.contains(name) {
                    json.add(name, texts: try array(text, name, record.line))
                } else {
                    json.add(name, text: text)
                }
            }
            return Submission(line: record.line, json: json.text)
        } catch let error as CSVReader.Malformed {
            throw BadLine(line: error.line, reason: error.reason)
        }
    }

    /// A JSON array, or URLs separated by spaces, or the numbers of a box, or one text.
    private static func array(_ text: String, _ name: String, _ line: Int) throws -> [String] {
        if name == "draw_box" {
            return text.trimmingCharacters(in: CharacterSet(charactersIn: "[ ]")).components(separatedBy: ",")
        }
        if text.hasPrefix("[") {
            guard let array = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) else {
                throw BadLine(line: line, reason: "\(name) is not a JSON array of texts: \(text.prefix(100))")
            }
            return array
        }
        return name == "image_urls" ? text.split(whereSeparator: \.isWhitespace).map(String.init) : [text]
    }

    // MARK: JSONL

    private static func next(_ bytes: inout ByteReader, _ line: inout Int) throws -> Submission? {
        while let text = try bytes.line() {
            line += 1
            if text.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
            let start = String(decoding: text.prefix(100), as: UTF8.self)
            guard let names = try? JSONDecoder().decode(Names.self, from: Data(text)).all else {
                let isJSON = (try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed)) != nil
                throw BadLine(line: line, reason: isJSON ? "not a JSON object: \(start)" : "not JSON: \(start)")
            }
            if let problem = SubmissionField.problem(names) { throw BadLine(line: line, reason: problem) }
            if let byte = controlCharacter(in: text) {
                throw BadLine(
                    line: line,
                    reason: "not JSON: a text has the byte \(byte) in it; write a line feed as \\n, a tab as \\t")
            }
            return Submission(line: line, json: String(decoding: text, as: UTF8.self))
        }
        return nil
    }

    /// A control character within a text, which Foundation's decoder lets through and PostgreSQL does not.
    private static func controlCharacter(in json: some Sequence<UInt8>) -> UInt8? {
        var (isText, isEscaped) = (false, false)
        for byte in json {
            if isText && byte < 0x20 { return byte }
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\"") {
                isText.toggle()
            } else {
                isEscaped = isText && byte == UInt8(ascii: "\\")
            }
        }
        return nil
    }

    /// The names of an object's fields; their values are looked at only as far as to see that they are JSON.
    private struct Names: Decodable {
        struct Name: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }
        let all: [String]

        init(from decoder: any Decoder) throws {
            all = try decoder.container(keyedBy: Name.self).allKeys.map(\.stringValue)
        }
    }
}

/// A JSON object of texts, written field by field.
private struct JSONObject {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    /// The object.
    var text: String { String(decoding: bytes + [UInt8(ascii: "}")], as: UTF8.self) }

    mutating func add(_ name: String, text: String) {
        key(name)
        string(text)
    }

    mutating func add(_ name: String, texts: [String]) {
        key(name)
        bytes.append(UInt8(ascii: "["))
        for (index, text) in texts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            string(text)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func key(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        string(name)
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case ..<0x20:
                bytes.append(contentsOf: (byte < 0x10 ? "\\u000" : "\\u00").utf8)
                bytes.append(contentsOf: String(byte, radix: 16).utf8)
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
