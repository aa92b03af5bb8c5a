/// The path of a rule of robots.txt: `*` stands for any octets, `$` at the end for the path's end.
///
/// Patterns and paths are compared in one spelling (RFC 9309, 2.2.2): what RFC 3986 reserves and what is not ASCII is percent-encoded, what
/// need not be encoded is not. The slash stays what it is, and so does the question mark; in a query, where neither means anything, it does
/// not matter how they are spelt.
struct RobotsPattern: Hashable, Sendable {
    /// Between wildcards.
    private let pieces: [[UInt8]]
    private let isAnchored: Bool
    /// How specific it is.
    let octetCount: Int

    init(_ text: [UInt8]) {
        let canonical = Self.canonical(text, isPattern: true)
        isAnchored = text.last == UInt8(ascii: "$")
        pieces = canonical.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).map(Array.init)
        octetCount = canonical.count + (isAnchored ? 1 : 0)
    }

    /// Whether it has wildcards.
    var isWild: Bool { pieces.count > 1 }

    /// Whether it matches a path in the one spelling, from its beginning. Takes as many steps as both have octets.
    func matches(_ path: [UInt8]) -> Bool {
        guard path.starts(with: pieces[0]) else { return false }
        guard isWild else { return !isAnchored || path.count == pieces[0].count }
        var position = pieces[0].count
        for piece in isAnchored ? pieces.dropFirst().dropLast() : pieces.dropFirst() where !piece.isEmpty {
            guard let start = Self.find(piece, in: path[position...]) else { return false }
            position = start + piece.count
        }
        guard isAnchored, let last = pieces.last else { return true }
        return path.count - position >= last.count && path.suffix(last.count).elementsEqual(last)
    }

    /// Where a piece begins for the first time, by Knuth, Morris and Pratt.
    private static func find(_ piece: [UInt8], in path: ArraySlice<UInt8>) -> Int? {
        guard piece.count <= path.count else { return nil }
        var borders = [Int](repeating: 0, count: piece.count)
        var length = 0
        for index in piece.indices.dropFirst() {
            while length > 0, piece[index] != piece[length] { length = borders[length - 1] }
            if piece[index] == piece[length] { length += 1 }
            borders[index] = length
        }
        length = 0
        for index in path.indices {
            while length > 0, path[index] != piece[length] { length = borders[length - 1] }
            if path[index] == piece[length] { length += 1 }
            if length == piece.count { return index + 1 - length }
        }
        return nil
    }

    /// The one spelling of a path with its query, or of a pattern: then `*` is a wildcard, and a `$` at the end is left out.
    static func canonical(_ text: [UInt8], isPattern: Bool = false) -> [UInt8] {
        var canonical: [UInt8] = []
        canonical.reserveCapacity(text.count)
        var isQuery = false
        var index = 0
        while index < text.count {
            let byte = text[index]
            index += 1
            if byte == UInt8(ascii: "%"), index + 1 < text.count, let high = digit(text[index]),
                let low = digit(text[index + 1])
            {
                index += 2
                append(high << 4 | low, isPlain: isQuery && isDelimiter(high << 4 | low), to: &canonical)
            } else if isPattern, byte == UInt8(ascii: "*") {
                canonical.append(byte)
            } else if isPattern, byte == UInt8(ascii: "$"), index == text.count {
                break
            } else {
                if byte == UInt8(ascii: "?") { isQuery = true }
                append(byte, isPlain: isDelimiter(byte), to: &canonical)
            }
        }
        return canonical
    }

    private static let digits = Array("0123456789ABCDEF".utf8)

    private static func append(_ byte: UInt8, isPlain: Bool, to canonical: inout [UInt8]) {
        if isPlain || isUnreserved(byte) { return canonical.append(byte) }
        canonical += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    private static func isDelimiter(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") }

    /// RFC 3986, 2.3.
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
        default: false
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
