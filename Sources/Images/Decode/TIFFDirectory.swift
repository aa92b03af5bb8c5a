/// The first directory of a TIFF block, as EXIF has it and TIFF files are, read as Pillow reads it: any type of number, several
/// misspellings of the magic number, the first entry of a tag that makes sense.
struct TIFFDirectory {
    private let block: ByteReader
    private let isLittle: Bool
    private let isBig: Bool

    /// - Parameter isFile: whether it is a file of its own, which may be a BigTIFF.
    init?(_ block: ByteReader, isFile: Bool = false) {
        let spellings = ["MM\0*", "II*\0", "MM*\0", "II\0*"] + (isFile ? ["MM\0+", "II+\0"] : [])
        guard spellings.contains(where: { block.starts(with: $0) }) else { return nil }
        self.block = block
        isLittle = block.byte(0) == UInt8(ascii: "I")
        isBig = isFile && block.byte(isLittle ? 2 : 3) == UInt8(ascii: "+")
    }

    /// What is known about a tag.
    enum Entry {
        /// A number that is a whole one; of several the first.
        case number(Int)
        /// Something else.
        case other
    }

    /// The entry of a tag; nil: there is none.
    func entry(_ tag: UInt16) -> Entry? { find(tag).flatMap { Self.number($0.content, 0, $0.type, isLittle) } }

    /// The bytes of a tag; nil: there are none.
    func bytes(_ tag: UInt16) -> [UInt8]? { find(tag).map { Array($0.content.bytes) } }

    private func find(_ tag: UInt16) -> (type: UInt16, content: ByteReader)? {
        guard var at = (isBig ? long(8) : word(4)), let count = isBig ? long(at) : short(at).map(Int.init) else {
            return nil
        }
        at += isBig ? 8 : 2
        let size = isBig ? 20 : 12
        for _ in 0..<count {
            guard let entry = block.slice(at, size) else { return nil }
            at += size
            guard Self.short(entry, 0, isLittle) == tag else { continue }
            switch value(entry) {
            case .found(let type, let content): return (type, content)
            case .ignored: continue
            case .cut: return nil
            }
        }
        return nil
    }

    private enum Value {
        case found(type: UInt16, ByteReader)
        /// A type that is not known, or no content.
        case ignored
        /// The content lies outside: nobody reads on.
        case cut
    }

    /// Bytes of a number of each type.
    private static let sizes: [UInt16: Int] = [
        1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8,
    ]

    private func value(_ entry: ByteReader) -> Value {
        guard let type = Self.short(entry, 2, isLittle), let unit = Self.sizes[type],
            let count = isBig ? Self.long(entry, 4, isLittle) : Self.word(entry, 4, isLittle)
        else { return .ignored }
        let (size, overflow) = count.multipliedReportingOverflow(by: unit)
        // More than there is: a careful reader passes over it.
        guard !overflow, size > 0, size <= block.count else { return .ignored }
        let (place, room) = isBig ? (12, 8) : (8, 4)
        if size <= room { return entry.slice(place, size).map { .found(type: type, $0) } ?? .ignored }
        guard let offset = isBig ? Self.long(entry, place, isLittle) : Self.word(entry, place, isLittle),
            let content = block.slice(offset, size)
        else { return .cut }
        return .found(type: type, content)
    }

    private static func number(_ from: ByteReader, _ at: Int, _ type: UInt16, _ isLittle: Bool) -> Entry? {
        switch type {
        case 3: short(from, at, isLittle).map { .number(Int($0)) }
        case 4, 13: word(from, at, isLittle).map { .number($0) }
        case 6: from.byte(at).map { .number(Int(Int8(bitPattern: $0))) }
        case 8: short(from, at, isLittle).map { .number(Int(Int16(bitPattern: $0))) }
        case 9: word(from, at, isLittle).map { .number(Int(Int32(truncatingIfNeeded: $0))) }
        case 16: long(from, at, isLittle).map { .number($0) }
        case 11: word(from, at, isLittle).map { whole(Double(Float(bitPattern: UInt32($0)))) }
        case 12: bits(from, at, isLittle).map { whole(Double(bitPattern: $0)) }
        case 5: ratio(word(from, at, isLittle), word(from, at + 4, isLittle))
        case 10:
            ratio(
                word(from, at, isLittle).map { Int(Int32(truncatingIfNeeded: $0)) },
                word(from, at + 4, isLittle).map { Int(Int32(truncatingIfNeeded: $0)) })
        default: .other
        }
    }

    private static func whole(_ value: Double) -> Entry { Int(exactly: value).map { .number($0) } ?? .other }

    private static func ratio(_ numerator: Int?, _ denominator: Int?) -> Entry? {
        guard let numerator, let denominator else { return nil }
        return denominator != 0 && numerator % denominator == 0 ? .number(numerator / denominator) : .other
    }

    private static func short(_ from: ByteReader, _ at: Int, _ isLittle: Bool) -> UInt16? {
        isLittle ? from.little16(at) : from.big16(at)
    }

    private static func word(_ from: ByteReader, _ at: Int, _ isLittle: Bool) -> Int? {
        (isLittle ? from.little32(at) : from.big32(at)).map(Int.init)
    }

    private static func bits(_ from: ByteReader, _ at: Int, _ isLittle: Bool) -> UInt64? {
        isLittle ? from.little64(at) : from.big64(at)
    }

    private static func long(_ from: ByteReader, _ at: Int, _ isLittle: Bool) -> Int? {
        bits(from, at, isLittle).flatMap { Int(exactly: $0) }
    }

    private func short(_ at: Int) -> UInt16? { Self.short(block, at, isLittle) }
    private func word(_ at: Int) -> Int? { Self.word(block, at, isLittle) }
    private func long(_ at: Int) -> Int? { Self.long(block, at, isLittle) }
}
