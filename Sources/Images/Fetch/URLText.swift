/// The text of a URL, before libcurl reads it. Versions of libcurl differ in what they encode by themselves: 7.88 takes spaces and
/// bytes beyond ASCII, 8.14 refuses them.
enum URLText {
    /// The URL without its fragment, with percent signs for the spaces and the bytes beyond ASCII of its path and its query. What stands
    /// before the path is left as it is.
    static func encoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let whole = bytes.prefix { $0 != UInt8(ascii: "#") }
        let start = pathStart(in: whole)
        guard whole[start...].contains(where: mustBeEncoded) else { return String(decoding: whole, as: UTF8.self) }
        return String(decoding: whole[..<start] + whole[start...].flatMap(encoded), as: UTF8.self)
    }

    /// Where the host and its port end: at the first slash or question mark behind the scheme's slashes. libcurl takes one to three
    /// of them.
    private static func pathStart(in url: ArraySlice<UInt8>) -> Int {
        guard let colon = url.firstIndex(of: UInt8(ascii: ":")) else { return url.endIndex }
        let behind = colon + 1
        if url[..<colon].map({ $0 | 0x20 }).elementsEqual("file".utf8) { return behind }
        let authority = behind + url[behind...].prefix { $0 == UInt8(ascii: "/") }.prefix(3).count
        return url[authority...].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? url.endIndex
    }

    private static func mustBeEncoded(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte >= 0x80 }

    private static func encoded(_ byte: UInt8) -> [UInt8] {
        guard mustBeEncoded(byte) else { return [byte] }
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}
