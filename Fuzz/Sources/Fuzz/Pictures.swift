@testable import Images

/// Image files. The decoders themselves are libraries without counters: what is searched is the way through our own code.
enum Pictures {
    private static let limits = DecodeLimits(maxPixels: 1 << 16, formats: Set(ImageFormat.allCases))

    @Sendable static func jpeg(_ bytes: [UInt8]) { decode(bytes, beginningWith: [0xFF, 0xD8, 0xFF]) }

    @Sendable static func webp(_ bytes: [UInt8]) {
        guard bytes.count >= 12 else { return }
        decode(Array("RIFF".utf8) + bytes[4..<8] + Array("WEBP".utf8) + bytes[12...], beginningWith: [])
    }

    @Sendable static func gif(_ bytes: [UInt8]) { decode(bytes, beginningWith: Array("GIF89a".utf8)) }

    @Sendable static func bmp(_ bytes: [UInt8]) { decode(bytes, beginningWith: Array("BM".utf8)) }

    @Sendable static func tiff(_ bytes: [UInt8]) {
        let isLittle = bytes.first == UInt8(ascii: "I")
        decode(bytes, beginningWith: Array((isLittle ? "II*\0" : "MM\0*").utf8))
    }

    @Sendable static func avif(_ bytes: [UInt8]) { decode(bytes, ofBrand: "avif") }

    @Sendable static func heic(_ bytes: [UInt8]) { decode(bytes, ofBrand: "heic") }

    /// An ISO base media file.
    private static func decode(_ bytes: [UInt8], ofBrand brand: String) {
        guard bytes.count >= 12 else { return }
        decode(Array(bytes[..<4]) + "ftyp\(brand)".utf8 + bytes[12...], beginningWith: [])
    }

    /// Checksums are put right: otherwise nearly every mutation would end at one.
    @Sendable static func png(_ bytes: [UInt8]) {
        var file = bytes
        var at = 8
        while at + 12 <= file.count {
            let length = file[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= file.count - at - 12 else { break }
            let sum = crc32(file[at + 4..<at + 8 + length])
            for index in 0..<4 { file[at + 8 + length + index] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index)) }
            at += 12 + length
        }
        decode(file, beginningWith: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
    }

    /// No file may stop the daemon: whatever is wrong with one is the file's fault.
    private static func decode(_ bytes: [UInt8], beginningWith signature: [UInt8]) {
        let file = signature + bytes.dropFirst(signature.count)
        do throws(ImageError) {
            let header = try ImageDecoder.header(of: file, limits: limits)
            precondition(header.isPossible(within: limits), "\(header)")
            let image = try ImageDecoder.decode(file, limits: limits)
            precondition(image.width == header.width && image.height == header.height)
        } catch {
            precondition(error.disposition == .permanent, error.message)
        }
    }

    @Sendable static func exif(_ bytes: [UInt8]) {
        for format in ImageFormat.allCases { _ = Orientation(of: bytes, format: format) }
    }

    /// CRC-32 as PNG has it (ISO 3309).
    private static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(~0) { crc, byte in
            (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 0 ? 0 : 0xEDB8_8320) }
        }
    }
}
