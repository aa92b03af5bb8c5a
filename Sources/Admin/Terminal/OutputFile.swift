import Foundation
import Synchronization

/// Where much output goes: a file or standard output, written in large pieces.
final class OutputFile: Sendable {
    private static let pieceSize = 1 << 16
    private let buffer = Mutex<[UInt8]>([])
    private let descriptor: Int32
    private let name: String
    private let isTerminal: Bool

    /// Opens `path` for writing, which must be closed by `close`; nil and `-` are standard output.
    init(_ path: String?) throws(CommandError) {
        guard let path, path != "-" else {
            (descriptor, name, isTerminal) = (STDOUT_FILENO, "standard output", Console.outputIsTerminal)
            return
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        name = path
        isTerminal = false
        guard descriptor >= 0 else {
            throw CommandError(.failed, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Adds text. On a terminal, control characters of it become spaces.
    func write(_ text: String) throws(CommandError) {
        let full: [UInt8]? = buffer.withLock { buffer in
            buffer.append(contentsOf: (isTerminal ? text.replacing("\r\n", with: "\n").harmless : text).utf8)
            guard buffer.count >= Self.pieceSize else { return nil }
            defer { buffer.removeAll(keepingCapacity: true) }
            return buffer
        }
        if let full { try put(full) }
    }

    /// Adds bytes as they are.
    func write(bytes: [UInt8]) throws(CommandError) {
        let full: [UInt8]? = buffer.withLock { buffer in
            buffer.append(contentsOf: bytes)
            guard buffer.count >= Self.pieceSize else { return nil }
            defer { buffer.removeAll(keepingCapacity: true) }
            return buffer
        }
        if let full { try put(full) }
    }

    /// Adds what another file holds.
    func append(_ path: String) throws(CommandError) {
        guard let source = FileHandle(forReadingAtPath: path) else {
            throw CommandError(.failed, "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        while true {
            let piece: Data?
            do { piece = try source.read(upToCount: 1 << 20) } catch {
                throw CommandError(.failed, "\(path) cannot be read: \((error as NSError).localizedDescription)")
            }
            guard let piece, !piece.isEmpty else { return }
            try write(bytes: [UInt8](piece))
        }
    }

    /// Writes what is left and closes the file.
    func close() throws(CommandError) {
        try put(
            buffer.withLock { buffer in
                defer { buffer = [] }
                return buffer
            })
        guard descriptor != STDOUT_FILENO else { return }
        guard Foundation.close(descriptor) == 0 else { throw failure() }
    }

    private func put(_ bytes: [UInt8]) throws(CommandError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count >= 0 || errno == EINTR else { throw failure() }
            rest = rest.dropFirst(max(0, count))
        }
    }

    private func failure() -> CommandError {
        CommandError(.failed, "\(name) cannot be written: \(String(cString: strerror(errno)))")
    }
}
