import Foundation
import Synchronization

/// Pictures in a folder, by the SHA-256 of what they show, together no larger than a limit: those that were looked at longest ago go.
package final class PictureCache: Sendable {
    /// What a picture is of.
    struct Name: Sendable, Equatable {
        var sha256: String
        var size: Int
        var background: UInt32?

        /// The file's name; nil: it is none that we would give.
        var file: String? {
            guard sha256.utf8.count == 64, sha256.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
            return "\(sha256.lowercased())-\(size)-\(String(background ?? 0xFF_FFFF, radix: 16)).jpg"
        }
    }

    private let folder: URL
    private let limit: Int
    /// Bytes that are there.
    private let total: Mutex<Int>

    /// - Parameters:
    ///   - path: of the folder; it is made.
    ///   - limit: bytes.
    /// - Throws: Foundation's error where the folder cannot be made or read.
    package init(path: String, limit: Int) throws {
        folder = URL(filePath: path, directoryHint: .isDirectory)
        self.limit = limit
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        total = Mutex(try Self.entries(folder).reduce(0) { $0 + $1.size })
    }

    func read(_ name: Name) -> Data? {
        guard let file = name.file, let data = try? Data(contentsOf: folder.appending(path: file)) else { return nil }
        try? FileManager.default.setAttributes(
            [.modificationDate: Date()], ofItemAtPath: folder.appending(path: file).path)
        return data
    }

    /// Keeps a picture, if it can.
    func write(_ data: Data, _ name: Name) {
        guard let file = name.file, data.count <= limit,
            (try? data.write(to: folder.appending(path: file), options: .atomic)) != nil
        else { return }
        total.withLock { total in
            total += data.count
            if total > limit { total = shrink() }
        }
    }

    /// Removes the oldest until a tenth is free.
    private func shrink() -> Int {
        let entries = (try? Self.entries(folder)) ?? []
        var left = entries.reduce(0) { $0 + $1.size }
        for entry in entries.sorted(by: { $0.at < $1.at }) where left > limit - limit / 10 {
            if (try? FileManager.default.removeItem(at: entry.url)) != nil { left -= entry.size }
        }
        return left
    }

    private struct Entry {
        var url: URL
        var size: Int
        var at: Date
    }

    private static func entries(_ folder: URL) throws -> [Entry] {
        let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey]
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: Array(keys))
            .filter { $0.pathExtension == "jpg" }
            .compactMap { url in
                guard let values = try? url.resourceValues(forKeys: keys), let size = values.fileSize else {
                    return nil
                }
                return Entry(url: url, size: size, at: values.contentModificationDate ?? .distantPast)
            }
    }
}
