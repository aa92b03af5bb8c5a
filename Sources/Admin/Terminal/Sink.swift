import Foundation
import Synchronization

/// Where much output goes: a file or standard output, written in large pieces.
final class Sink: Sendable {
    private static let pieceSize = 1 << 16
    private let buffer = Mutex<[UInt8]>([])
    private let descriptor: Int32
    private let name: String

    /// Opens `path` for writing, which must be closed by `close`; nil and `-` are standard output.
    init(_ path: String?) throws(Trouble) {
        guard let path, path != "-" else {
            (descriptor, name) = (STDOUT_FILENO, "standard output")
            return
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        name = path
        guard descriptor >= 0 else {
            throw Trouble(.failed, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Adds text.
    func write(_ text: String) throws(Trouble) {
        let full: [UInt8]? = buffer.withLock { buffer in
            buffer.append(contentsOf: text.utf8)
            guard buffer.count >= Self.pieceSize else { return nil }
            defer { buffer.removeAll(keepingCapacity: true) }
            return buffer
        }
        if let full { try put(full) }
    }

    /// Writes what is left and closes the file.
    func close() throws(Trouble) {
        try put(
            buffer.withLock { buffer in
                defer { buffer = [] }
                return buffer
            })
        guard descriptor != STDOUT_FILENO else { return }
        guard Foundation.close(descriptor) == 0 else { throw failure() }
    }

    private func put(_ bytes: [UInt8]) throws(Trouble) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw failure() }
            rest = rest.dropFirst(max(0, count))
        }
    }

    private func failure() -> Trouble {
        Trouble(.failed, "\(name) cannot be written: \(String(cString: strerror(errno)))")
    }
}
