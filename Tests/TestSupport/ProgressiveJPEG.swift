/// Writes grey progressive JPEGs of nothing but zeros, with as many scans as a test likes: few bytes that ask for much work.
public struct ProgressiveJPEG {
    /// The file.
    public let bytes: [UInt8]

    /// - Parameter scans: how many there are, the first of them of the mean values.
    public init(width: Int, height: Int, scans: Int) {
        func two(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 255)] }
        func segment(_ marker: UInt8, _ content: [UInt8]) -> [UInt8] {
            [0xFF, marker] + two(content.count + 2) + content
        }
        /// A Huffman table of one code, the bit 0, for one symbol.
        func table(_ kind: UInt8, _ symbol: UInt8) -> [UInt8] {
            segment(0xC4, [kind, 1] + [UInt8](repeating: 0, count: 15) + [symbol])
        }
        let blocks = (width + 7) / 8 * ((height + 7) / 8)
        var file: [UInt8] = [0xFF, 0xD8] + segment(0xDB, [0] + [UInt8](repeating: 1, count: 64))
        file += segment(0xC2, [8] + two(height) + two(width) + [1, 1, 0x11, 0])
        // A difference of 0 for each block; and runs of blocks without coefficients: 2¹⁴ and fourteen bits more.
        file += table(0x00, 0x00) + table(0x10, 0xE0)
        file += segment(0xDA, [1, 1, 0x00, 0, 0, 0]) + [UInt8](repeating: 0, count: (blocks + 7) / 8)
        for _ in 1..<max(scans, 1) { file += segment(0xDA, [1, 1, 0x00, 1, 63, 0]) + Self.emptyRuns(blocks) }
        bytes = file + [0xFF, 0xD9]
    }

    private static func emptyRuns(_ blocks: Int) -> [UInt8] {
        var bits: [UInt8] = []
        var left = blocks
        while left >= 1 << 14 {
            let more = min(left - 1 << 14, 1 << 14 - 1)
            bits.append(0)
            bits += (0..<14).reversed().map { UInt8(more >> $0 & 1) }
            left -= 1 << 14 + more
        }
        // Fewer blocks than that can't be said with this table: the last run reaches beyond the image.
        if left > 0 { bits += [UInt8](repeating: 0, count: 15) }
        bits += [UInt8](repeating: 1, count: (8 - bits.count % 8) % 8)
        return stride(from: 0, to: bits.count, by: 8).flatMap { start -> [UInt8] in
            let byte = bits[start..<start + 8].reduce(0) { $0 << 1 | $1 }
            return byte == 0xFF ? [0xFF, 0] : [byte]
        }
    }
}
