import Foundation

/// A file of jobs cannot be read, or is no good as a whole.
public struct FileProblem: Error, Equatable {
    /// What is wrong, for a person.
    public let message: String

    init(_ message: String) { self.message = message }
}

/// Bytes of a file or of standard input, one by one, read in large pieces. A byte order mark at the start is left out.
public struct ByteReader {
    private static let pieceSize = 1 << 18
    private let source: () throws -> [UInt8]
    private var piece: [UInt8] = []
    private var index = 0
    private var isAtEnd = false
    /// Bytes taken so far.
    public private(set) var position = 0

    /// Bytes in memory.
    public init(_ text: String) {
        var rest = [Array(text.utf8)]
        self.init { rest.popLast() ?? [] }
    }

    /// A file; `-` is standard input.
    public init(path: String) throws(FileProblem) {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw FileProblem("\(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        self.init {
            var buffer = [UInt8](repeating: 0, count: Self.pieceSize)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count >= 0 { return Array(buffer.prefix(count)) }
                guard errno == EINTR else {
                    throw FileProblem("\(path) cannot be read: \(String(cString: strerror(errno)))")
                }
            }
        }
    }

    private init(_ source: @escaping () throws -> [UInt8]) { self.source = source }

    /// The next byte, which stays; nil at the end.
    mutating func peek() throws -> UInt8? {
        if index == piece.count && !isAtEnd {
            let isFirst = position == 0
            (piece, index) = (try source(), 0)
            isAtEnd = piece.isEmpty
            if isFirst && piece.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
        }
        return index < piece.count ? piece[index] : nil
    }

    /// The next byte; nil at the end.
    mutating func next() throws -> UInt8? {
        guard let byte = try peek() else { return nil }
        index += 1
        position += 1
        return byte
    }

    /// The next line without its end; nil at the end.
    mutating func line() throws -> [UInt8]? {
        guard try peek() != nil else { return nil }
        var line: [UInt8] = []
        while let byte = try next(), byte != UInt8(ascii: "\n") { line.append(byte) }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        return line
    }
}
