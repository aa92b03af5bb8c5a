import Foundation

/// Values as one line of JSON, with the keys in alphabetical order.
enum JSONText {
    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Prints a value as a line of its own.
    static func say(_ value: some Encodable) throws { Console.say(try encode(value)) }
}
