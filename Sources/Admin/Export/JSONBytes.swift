import Annotation

/// A line of JSON that is put together piece by piece: some million of them are written, each key in its place.
struct JSONBytes {
    private(set) var bytes: [UInt8] = []

    /// Empties it; the memory stays.
    mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    /// JSON as it stands.
    mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// JSON as it stands.
    mutating func raw(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    /// Bytes as they are.
    mutating func raw(_ text: [UInt8]) { bytes.append(contentsOf: text) }

    /// A whole number.
    mutating func number(_ value: Int) { bytes.append(contentsOf: String(value).utf8) }

    /// A string; nil is null.
    mutating func string(_ text: String?) {
        guard let text else { return raw("null") }
        bytes.append(UInt8(ascii: "\""))
        defer { bytes.append(UInt8(ascii: "\"")) }
        // Most have nothing to escape.
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x22 || $0 == 0x5C || $0 == 0x7F }) else {
            bytes.append(contentsOf: text.utf8)
            return
        }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 0x0A: raw("\\n")
            case 0x0D: raw("\\r")
            case 0x09: raw("\\t")
            case 0..<0x20, 0x7F:
                raw("\\u00")
                bytes.append(Self.digit(byte >> 4))
                bytes.append(Self.digit(byte & 15))
            default: bytes.append(byte)
            }
        }
    }

    /// Hundredths as a number with two decimals.
    mutating func hundredths(_ value: Int) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        let magnitude = Int(value.magnitude)
        number(magnitude / 100)
        bytes.append(UInt8(ascii: "."))
        bytes.append(Self.digit(UInt8(magnitude / 10 % 10)))
        bytes.append(Self.digit(UInt8(magnitude % 10)))
    }

    /// A share of a whole, 0...1, with six decimals.
    /// - Parameters:
    ///   - part: 0...whole.
    ///   - whole: at least 1.
    mutating func fraction(_ part: Int, of whole: Int) { share(part, whole, unit: 1_000_000) }

    /// A share of a whole in percent, 0...100, with six decimals.
    mutating func percent(_ part: Int, of whole: Int) { share(part, whole, unit: 100_000_000) }

    /// Rounded to the nearest millionth.
    private mutating func share(_ part: Int, _ whole: Int, unit: Int) {
        let millionths = (part * 2 * unit + whole) / (whole * 2)
        number(millionths / 1_000_000)
        bytes.append(UInt8(ascii: "."))
        var divisor = 100_000
        while divisor > 0 {
            bytes.append(Self.digit(UInt8(millionths / divisor % 10)))
            divisor /= 10
        }
    }

    /// A floating-point number as PostgreSQL writes it, with a point or an exponent, so that readers that guess the type
    /// of a column take it for what it is; nil and what JSON has no number for are null.
    mutating func real(_ text: String?) {
        guard let text, text.utf8.last.map({ 48..<58 ~= $0 }) ?? false else { return raw("null") }
        raw(text)
        if !text.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") }) { raw(".0") }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
}

extension JSONBytes {
    /// A mask as pycocotools takes it.
    mutating func mask(_ mask: RunLengthMask) {
        raw("{\"size\":[")
        number(mask.height)
        raw(",")
        number(mask.width)
        raw("],\"counts\":")
        string(mask.counts)
        raw("}")
    }

    /// Left, top, width and height in pixels.
    mutating func pixels(_ box: PixelBox) {
        raw("[")
        hundredths(box.left)
        raw(",")
        hundredths(box.top)
        raw(",")
        hundredths(box.width)
        raw(",")
        hundredths(box.height)
        raw("]")
    }
}
