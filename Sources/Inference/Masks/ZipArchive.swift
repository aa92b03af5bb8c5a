import CZlib
import Foundation

/// The files of a zip archive, stored or deflated. What has 4 GiB or more is refused.
struct ZipArchive {
    /// A file as the archive's directory states it.
    private struct Entry {
        let method: Int
        let checksum: UInt
        let stored: Int
        let size: Int
        let header: Int
    }

    /// The most bytes of one file: a decoder's largest tensor has some hundred thousand.
    private static let most = 1 << 28

    /// Deflate makes no more than so many bytes of one.
    private static let mostPerByte = 1032

    private let data: Data
    private let path: String
    private var entries: [String: Entry] = [:]

    /// The names of its files.
    var names: [String] { entries.keys.sorted() }

    /// Reads the directory of an archive; `path` is named in errors.
    init(_ data: Data, path: String) throws(InferenceError) {
        self.data = data
        self.path = path
        // Behind the end record stands a comment of up to 64 KiB.
        let ends = stride(from: data.count - 22, through: max(0, data.count - 22 - 65535), by: -1)
        guard data.count >= 22, let end = ends.first(where: { number($0, 4) == 0x0605_4B50 }) else {
            throw error("not a zip file, or truncated: it has no directory")
        }
        var place = number(end + 16, 4)
        for _ in 0..<number(end + 10, 2) {
            guard place + 46 <= data.count, number(place, 4) == 0x0201_4B50 else {
                throw error("the zip file's directory is damaged")
            }
            let (nameLength, extra, comment) = (number(place + 28, 2), number(place + 30, 2), number(place + 32, 2))
            guard place + 46 + nameLength <= data.count else { throw error("the zip file's directory is damaged") }
            let name = String(decoding: bytes(place + 46, nameLength), as: UTF8.self)
            entries[name] = Entry(
                method: number(place + 10, 2), checksum: UInt(number(place + 16, 4)), stored: number(place + 20, 4),
                size: number(place + 24, 4), header: number(place + 42, 4))
            place += 46 + nameLength + extra + comment
        }
    }

    /// A file's bytes; nil if there is none of this name.
    func contents(_ name: String) throws(InferenceError) -> [UInt8]? {
        guard let entry = entries[name] else { return nil }
        guard entry.size <= Self.most, entry.stored <= Self.most else {
            throw error("\(name) has \(entry.size) bytes; at most \(Self.most) are read")
        }
        guard entry.header + 30 <= data.count, number(entry.header, 4) == 0x0403_4B50 else {
            throw error("\(name) is not where the zip file's directory says")
        }
        let start = entry.header + 30 + number(entry.header + 26, 2) + number(entry.header + 28, 2)
        guard start + entry.stored <= data.count else { throw error("the zip file ends within \(name)") }
        let stored = bytes(start, entry.stored)
        var contents = stored
        switch entry.method {
        case 0 where entry.stored == entry.size: break
        case 8:
            guard entry.size <= (entry.stored + 1) * Self.mostPerByte else {
                throw error("\(name) is damaged: \(entry.stored) bytes do not become \(entry.size)")
            }
            contents = [UInt8](repeating: 0, count: entry.size)
            guard gloss_inflate(stored, UInt32(entry.stored), &contents, UInt32(entry.size)) == 1 else {
                throw error("\(name) is damaged: it cannot be inflated")
            }
        default: throw error("\(name) is neither stored nor deflated")
        }
        guard crc32(0, contents, UInt32(contents.count)) == entry.checksum else {
            throw error("\(name) is damaged: its checksum is wrong")
        }
        return contents
    }

    private func error(_ what: String) -> InferenceError { InferenceError(.invalidModel, "\(path): \(what)") }

    private func bytes(_ start: Int, _ count: Int) -> [UInt8] {
        [UInt8](data[data.startIndex + start..<data.startIndex + start + count])
    }

    /// A little-endian number of `count` bytes.
    private func number(_ start: Int, _ count: Int) -> Int {
        bytes(start, count).reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
