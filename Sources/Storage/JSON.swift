import FoundationEssentials

/// JSON as the SQL functions take and give it.
enum JSON {
    /// JSON for a jsonb parameter. It holds no U+0000, which PostgreSQL cannot store, and writes infinities as the
    /// strings that PostgreSQL reads.
    static func encode(_ value: some Encodable, context: String) throws(StorageError) -> SQLValue {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            let text = String(decoding: try encoder.encode(value), as: UTF8.self)
            return SQLValue(text.replacing("\\u0000", with: "\u{FFFD}"))
        } catch {
            throw StorageError(code: .unexpectedAnswer, context: context, message: "\(error)")
        }
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
    func rows<Row: Decodable>(
        _ type: Row.Type, _ sql: String, _ parameters: [SQLValue] = [], context: String
    ) throws -> [Row] {
        let answer = try query("select to_jsonb(t) from (\(sql)) t", parameters, context: context)
        return try answer.rows.map { try JSON.decode(type, from: ($0.first ?? nil) ?? "null", context: context) }
    }
}
