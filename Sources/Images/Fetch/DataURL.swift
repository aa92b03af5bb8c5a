import Foundation

/// Images inside their own URL (RFC 2397).
enum DataURL {
    static func matches(_ url: String) -> Bool { url.prefix(5).lowercased() == "data:" }

    /// Decodes the URL. Throws ``ImageError``: `schemeNotAllowed`, `invalidURL`, `tooLarge`, `emptyBody`.
    static func read(_ url: String, policy: FetchPolicy) throws(ImageError) -> FetchedBody {
        guard policy.allowDataURLs else { throw ImageError(.schemeNotAllowed, "scheme data is not allowed") }
        // No encoding takes more than 3 bytes for one.
        guard url.utf8.count / 3 <= policy.maxBytes else { throw tooLarge(policy) }
        let content = url.utf8.dropFirst(5)
        guard let comma = content.firstIndex(of: UInt8(ascii: ",")) else {
            throw ImageError(.invalidURL, "invalid data URL: it has no comma")
        }
        var kind = String(content[..<comma]) ?? ""
        let isBase64 = kind.lowercased().hasSuffix(";base64")
        if isBase64 { kind.removeLast(";base64".count) }
        guard let plain = percentDecoded(content[content.index(after: comma)...]),
            let bytes = isBase64 ? Data(base64Encoded: Data(plain)).map(Array.init) : plain
        else { throw ImageError(.invalidURL, "invalid data URL: its content is badly encoded") }
        guard !bytes.isEmpty else { throw ImageError(.emptyBody, "the data URL is empty") }
        guard bytes.count <= policy.maxBytes else { throw tooLarge(policy) }
        return FetchedBody(
            bytes: bytes, finalURL: "data:", contentType: kind.isEmpty ? nil : kind, remoteAddress: nil,
            duration: .zero)
    }

    private static func tooLarge(_ policy: FetchPolicy) -> ImageError {
        ImageError(.tooLarge, "the data URL holds more than \(policy.maxBytes) bytes")
    }

    /// Nil where a percent sign is not followed by two hexadecimal digits.
    private static func percentDecoded(_ text: Substring.UTF8View) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        Character(Unicode.Scalar(character)).hexDigitValue.map(UInt8.init)
    }
}
