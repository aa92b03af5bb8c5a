import FoundationEssentials

/// JSON as the SQL functions take and give it.
enum JSON {
    /// JSON for a jsonb parameter. Infinities become the strings that PostgreSQL reads.
    /// - Parameter replacingNull: whether U+0000, which PostgreSQL cannot store, becomes U+FFFD. What a model wrote
    ///   is kept in this way; what a user wrote is refused by PostgreSQL.
    static func encode(
        _ value: some Encodable, replacingNull: Bool = true, context: String
    ) throws(StorageError) -> SQLValue {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            let json = Array(try encoder.encode(value))
            return SQLValue(String(decoding: replacingNull ? withoutNull(json) : json, as: UTF8.self))
        } catch {
            throw StorageError(code: .unexpectedAnswer, context: context, message: "\(error)")
        }
    }

    /// Replaces each escape `\u0000`, but not the same letters behind an escaped backslash.
    private static func withoutNull(_ json: [UInt8]) -> [UInt8] {
        let null = Array(#"\u0000"#.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(json.count)
        var index = 0
        while index < json.count {
            if json[index...].starts(with: null) {
                result += Array("\u{FFFD}".utf8)
                index += null.count
            } else {
                let length = json[index] == null[0] ? 2 : 1
                result += json[index..<min(index + length, json.count)]
                index += length
            }
        }
        return result
    }

    /// Reads what a function gave.
    static func decode<Value: Decodable>(
        _ type: Value.Type, from text: String, context: String
    ) throws(StorageError) -> Value {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        do {
            return try decoder.decode(type, from: Data(text.utf8))
        } catch {
            throw StorageError(code: .unexpectedAnswer, context: context, message: "\(error)")
        }
    }
}

extension Session {
    /// Runs a query and decodes each row, taken as a JSON object of its columns.
    public func rows<Row: Decodable>(
        _ type: Row.Type, _ sql: String, _ parameters: [SQLValue] = [], context: String
    ) throws -> [Row] {
        let answer = try query("select to_jsonb(t) from (\(sql)) t", parameters, context: context)
        return try answer.rows.map { try JSON.decode(type, from: ($0.first ?? nil) ?? "null", context: context) }
    }
}
