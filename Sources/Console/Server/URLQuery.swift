import Foundation

/// What stands behind the `?` of an address: every filter of a page. Names and values as forms write them.
struct URLQuery: Equatable, Sendable {
    private(set) var fields: [(name: String, value: String)] = []

    init() {}

    /// Reads it; what has no value is empty, and what is no UTF-8 is left out.
    init(_ text: String) {
        for part in text.split(separator: "&") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count > 1 ? halves[1] : "") else {
                continue
            }
            fields.append((name, value))
        }
    }

    static func == (left: URLQuery, right: URLQuery) -> Bool { left.text == right.text }

    /// The first value of a name; nil: it is not there, or empty.
    subscript(name: String) -> String? {
        fields.first { $0.name == name && !$0.value.isEmpty }?.value
    }

    /// All values of a name, empty ones too.
    func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// With another value of a name; nil takes it out.
    func setting(_ name: String, _ value: String?) -> URLQuery {
        var copy = self
        copy.fields.removeAll { $0.name == name }
        if let value, !value.isEmpty { copy.fields.append((name, value)) }
        return copy
    }

    /// As it stands in an address.
    var text: String {
        fields.map { "\(Self.encoded($0.name))=\(Self.encoded($0.value))" }.joined(separator: "&")
    }

    /// An address of this site.
    func address(_ path: String) -> String { fields.isEmpty ? path : "\(path)?\(text)" }

    private static func decoded(_ text: some StringProtocol) -> String? {
        text.replacingOccurrences(of: "+", with: " ").removingPercentEncoding
    }

    private static func encoded(_ text: String) -> String {
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if plain.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
