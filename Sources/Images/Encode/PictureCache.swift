import Foundation
import Synchronization

/// Pictures in a folder, by the SHA-256 of what they show, together no larger than a limit: those that were looked at longest ago go.
package final class PictureCache: Sendable {
    /// What a picture is of.
    package struct Name: Sendable, Equatable {
        /// Of the image's file, hexadecimal.
        package var sha256: String
        /// The longest side that it may have, pixels.
        package var size: Int
        /// Under transparent pixels, 0xRRGGBB; nil: white.
        package var background: UInt32?

        package init(sha256: String, size: Int, background: UInt32?) {
            (self.sha256, self.size, self.background) = (sha256, size, background)
        }

        /// The file's name; nil: it is none that we would give.
        package var file: String? {
            guard sha256.utf8.count == 64, sha256.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
            return "\(sha256.lowercased())-\(size)-\(String(background ?? 0xFF_FFFF, radix: 16)).jpg"
        }
    }

    /// The longest side of a daemon's previews, pixels.
    package static let previewSide = 640

    private let folder: URL
    private let limit: Int
    /// Of its files.
    private let mode: Int

    private struct Count {
        /// Bytes that are there.
        var total: Int
        /// Bytes that were written since the folder was looked at: others may write there too.
        var sinceLook = 0
    }

    private let count: Mutex<Count>

    /// - Parameters:
    ///   - path: of the folder; it is made.
    ///   - limit: bytes.
    ///   - isForGroup: whether others of its group may read what is there.
    /// - Throws: Foundation's error where the folder cannot be made or read.
    package init(path: String, limit: Int, isForGroup: Bool = false) throws {
        folder = URL(filePath: path, directoryHint: .isDirectory)
        (self.limit, mode) = (limit, isForGroup ? 0o640 : 0o600)
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: isForGroup ? 0o750 : 0o700])
        count = Mutex(Count(total: try Self.entries(folder).reduce(0) { $0 + $1.size }))
    }

    /// Another's, to be read.
    /// - Throws: Foundation's error where the folder cannot be read.
    package init(existing path: String) throws {
        folder = URL(filePath: path, directoryHint: .isDirectory)
        (limit, mode) = (0, 0)
        count = Mutex(Count(total: 0))
        _ = try FileManager.default.contentsOfDirectory(atPath: path)
    }

    /// Whether a picture is there.
    package func has(_ name: Name) -> Bool {
        name.file.map { FileManager.default.fileExists(atPath: folder.appending(path: $0).path) } ?? false
    }

    package func read(_ name: Name) -> Data? {
        guard let file = name.file, let data = try? Data(contentsOf: folder.appending(path: file)) else { return nil }
        try? FileManager.default.setAttributes(
            [.modificationDate: Date()], ofItemAtPath: folder.appending(path: file).path)
        return data
    }

    /// Keeps a picture; one that is larger than all together may be is left out.
    /// - Throws: Foundation's error where it cannot be written.
    package func write(_ data: Data, _ name: Name) throws {
        guard let file = name.file, data.count <= limit else { return }
        let place = folder.appending(path: file)
        try data.write(to: place, options: .atomic)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: place.path)
        count.withLock { count in
            count.total += data.count
            count.sinceLook += data.count
            if count.total > limit || count.sinceLook > limit / 10 { count = Count(total: shrink()) }
        }
    }

    /// Where there is too much, removes the oldest until a tenth is free.
    /// - Returns: bytes that are there.
    private func shrink() -> Int {
        let entries = (try? Self.entries(folder)) ?? []
        var left = entries.reduce(0) { $0 + $1.size }
        guard left > limit else { return left }
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
