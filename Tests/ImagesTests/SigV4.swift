import Foundation

@testable import Images

/// AWS Signature Version 4, computed from a request's head as a server gets it: what libcurl's signatures are held against.
struct SigV4 {
    let method, path: String
    /// In the order in which they came.
    let fields: [(name: String, value: String)]

    init?(head: String) {
        let lines = head.components(separatedBy: "\r\n").filter { !$0.isEmpty }
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3 else { return nil }
        (method, path) = (String(words[0]), String(words[1]))
        fields = lines.dropFirst().compactMap { line in
            line.firstIndex(of: ":").map {
                (line[..<$0].lowercased(), line[line.index(after: $0)...].trimmingCharacters(in: .whitespaces))
            }
        }
    }

    func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The parts of the Authorization field: `Credential`, `SignedHeaders`, `Signature`.
    var authorization: [String: String] {
        guard let text = value("authorization"), text.hasPrefix("AWS4-HMAC-SHA256 ") else { return [:] }
        let parts = text.dropFirst(17).split(separator: ",").map { $0.split(separator: "=", maxSplits: 1) }
        return Dictionary(
            parts.filter { $0.count == 2 }.map { ($0[0].trimmingCharacters(in: .whitespaces), String($0[1])) }
        ) { $1 }
    }

    /// What the signature should be; nil where the head lacks what it takes.
    func signature(secretKey: String) -> String? {
        guard let signed = authorization["SignedHeaders"], let time = value("x-amz-date"),
            let payload = value("x-amz-content-sha256"),
            let scope = authorization["Credential"]?.split(separator: "/").dropFirst().map(String.init),
            scope.count == 4
        else { return nil }
        // AWS squeezes runs of spaces in values into one.
        let headers = signed.split(separator: ";").map { name in
            let words = (value(String(name)) ?? "").split(separator: " ").joined(separator: " ")
            return "\(name):\(words)\n"
        }
        let target = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let query = target.count > 1 ? String(target[1]) : ""
        let request = "\(method)\n\(target[0])\n\(query)\n\(headers.joined())\n\(signed)\n\(payload)"
        let text =
            "AWS4-HMAC-SHA256\n\(time)\n\(scope.joined(separator: "/"))\n\(SHA256Digest.hex(Array(request.utf8)))"
        var key = Array("AWS4\(secretKey)".utf8)
        for part in scope { key = Self.hmac(key, Array(part.utf8)) }
        return Self.hmac(key, Array(text.utf8)).map { String(format: "%02x", $0) }.joined()
    }

    private static func hmac(_ key: [UInt8], _ text: [UInt8]) -> [UInt8] {
        let short = key.count > 64 ? digest(key) : key
        let block = short + [UInt8](repeating: 0, count: 64 - short.count)
        return digest(block.map { $0 ^ 0x5C } + digest(block.map { $0 ^ 0x36 } + text))
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        let text = Array(SHA256Digest.hex(bytes))
        return stride(from: 0, to: text.count, by: 2).compactMap { UInt8(String(text[$0...$0 + 1]), radix: 16) }
    }
}
