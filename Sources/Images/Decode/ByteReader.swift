/// Bounds-checked numbers out of untrusted bytes: past the end is nil.
struct ByteReader {
    let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }
    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    var count: Int { bytes.count }

    func slice(_ offset: Int, _ length: Int) -> ByteReader? {
        guard offset >= 0, length >= 0, offset <= count, length <= count - offset else { return nil }
        let start = bytes.startIndex + offset
        return ByteReader(bytes[start..<start + length])
    }

    func from(_ offset: Int) -> ByteReader? { slice(offset, count - offset) }

    func starts(with text: String, at offset: Int = 0) -> Bool {
        slice(offset, text.utf8.count)?.bytes.elementsEqual(text.utf8) ?? false
    }

    /// Where a byte stands first, at `offset` or behind it.
    func index(of byte: UInt8, from offset: Int = 0) -> Int? {
        from(offset)?.bytes.firstIndex(of: byte).map { $0 - bytes.startIndex }
    }

    func byte(_ at: Int) -> UInt8? { at >= 0 && at < count ? bytes[bytes.startIndex + at] : nil }

    func big16(_ at: Int) -> UInt16? {
        guard let high = byte(at), let low = byte(at + 1) else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    func big32(_ at: Int) -> UInt32? {
        guard let high = big16(at), let low = big16(at + 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    func big64(_ at: Int) -> UInt64? {
        guard let high = big32(at), let low = big32(at + 4) else { return nil }
        return UInt64(high) << 32 | UInt64(low)
    }

    func little16(_ at: Int) -> UInt16? { big16(at)?.byteSwapped }

    func little32(_ at: Int) -> UInt32? { big32(at)?.byteSwapped }

    func little64(_ at: Int) -> UInt64? { big64(at)?.byteSwapped }
}
