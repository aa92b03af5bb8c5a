import Foundation

/// A tar archive (POSIX ustar) of plain files, whose bytes depend on nothing but their names and contents.
struct TarFile {
    private let file: OutputFile

    init(_ file: OutputFile) { self.file = file }

    /// Adds a file.
    /// - Parameter name: at most 100 bytes, without a slash at its end.
    func add(_ name: String, _ bytes: [UInt8]) throws {
        precondition(name.utf8.count <= 100)
        try file.write(bytes: Self.header(name, bytes.count))
        try file.write(bytes: bytes)
        try file.write(bytes: Self.padding(bytes.count))
    }

    /// Writes the end.
    func close() throws {
        try file.write(bytes: [UInt8](repeating: 0, count: 1024))
        try file.close()
    }

    private static func header(_ name: String, _ size: Int) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at place: Int) {
            header.replaceSubrange(place..<place + text.utf8.count, with: text.utf8)
        }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: digits - text.count) + text
        }
        put(name, at: 0)
        put(octal(0o644, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(0, 11), at: 136)
        put(String(repeating: " ", count: 8), at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6), at: 148)
        header[154] = 0
        return header
    }

    private static func padding(_ size: Int) -> [UInt8] { [UInt8](repeating: 0, count: (512 - size % 512) % 512) }

    /// Reads an archive of plain files, to check it.
    /// - Throws: `CommandError` that names the place.
    static func each(_ path: String, _ name: String, _ body: (String, [UInt8]) throws -> Void) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        var place = 0
        func fault(_ problem: String) -> CommandError { CommandError(.failed, "\(name), byte \(place): \(problem)") }
        while place + 512 <= data.count {
            let header = [UInt8](data[place..<place + 512])
            if header.allSatisfy({ $0 == 0 }) { return }
            func text(_ start: Int, _ count: Int) -> String {
                String(decoding: header[start..<start + count].prefix { $0 != 0 && $0 != 0x20 }, as: UTF8.self)
            }
            let sum = header.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
            guard Int(text(148, 8), radix: 8) == sum, let size = Int(text(124, 12), radix: 8) else {
                throw fault("the head of a member is damaged")
            }
            guard place + 512 + size <= data.count else { throw fault("a member is cut off") }
            try body(text(0, 100), [UInt8](data[place + 512..<place + 512 + size]))
            place += 512 + (size + 511) / 512 * 512
        }
        throw fault("the archive has no end")
    }
}
