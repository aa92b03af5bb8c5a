/// Writes PNGs of any kind, uncompressed: what is under test is the reader.
public struct PNGWriter {
    /// IHDR's colour type.
    public enum Colour: UInt8 {
        /// As named.
        case grey = 0
        /// As named.
        case rgb = 2
        /// As named.
        case palette = 3
        /// As named.
        case greyAlpha = 4
        /// As named.
        case rgba = 6
    }

    /// As IHDR says.
    public var width: Int
    /// As IHDR says.
    public var height: Int
    /// As IHDR says.
    public var depth: UInt8 = 8
    /// As IHDR says.
    public var colour: Colour = .rgb
    /// One scanline after the other, without filter bytes.
    public var rows: [[UInt8]] = []
    /// Chunks between IHDR and IDAT: PLTE, tRNS, eXIf.
    public var chunks: [(name: String, content: [UInt8])] = []

    /// A PNG of `rows`.
    public init(
        width: Int, height: Int, depth: UInt8 = 8, colour: Colour = .rgb, rows: [[UInt8]] = [],
        chunks: [(name: String, content: [UInt8])] = []
    ) {
        (self.width, self.height, self.depth, self.colour, self.rows, self.chunks) = (
            width, height, depth, colour, rows, chunks
        )
    }

    /// The file.
    public var bytes: [UInt8] {
        let header = Self.big(width) + Self.big(height) + [depth, colour.rawValue, 0, 0, 0]
        let before = Self.signature + Self.chunk("IHDR", header) + chunks.flatMap { Self.chunk($0.name, $0.content) }
        return before + Self.chunk("IDAT", Self.stored(rows.flatMap { [0] + $0 })) + Self.chunk("IEND", [])
    }

    /// What a PNG begins with.
    public static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    /// One chunk with its CRC.
    public static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
        let body = Array(name.utf8) + content
        return big(content.count) + body + big(Int(crc(body)))
    }

    /// A zlib stream of one stored block, of at most 65,535 bytes.
    private static func stored(_ content: [UInt8]) -> [UInt8] {
        let count = UInt16(content.count)
        let lengths = [UInt8(count & 255), UInt8(count >> 8), UInt8(~count & 255), UInt8(~count >> 8)]
        return [0x78, 0x01, 0x01] + lengths + content + big(Int(adler(content)))
    }

    private static func adler(_ bytes: [UInt8]) -> UInt32 {
        let sums = bytes.reduce((a: UInt32(1), b: UInt32(0))) { sums, byte in
            let a = (sums.a + UInt32(byte)) % 65521
            return (a, (sums.b + a) % 65521)
        }
        return sums.b << 16 | sums.a
    }

    private static func crc(_ bytes: [UInt8]) -> UInt32 {
        var crc = ~UInt32(0)
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
        }
        return ~crc
    }

    private static func big(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(value >> $0 & 255) } }
}
