import Foundation

/// Reads a file that was written, line by line, to check it.
struct LineReader {
    /// A line, without its end.
    struct Line {
        let name: String
        /// From 1.
        let number: Int
        let bytes: [UInt8]

        /// The line as JSON.
        func decoded<Value: Decodable>(_ type: Value.Type) throws -> Value {
            guard let value = try? JSONDecoder().decode(type, from: Data(bytes)) else {
                throw fault("cannot be read as JSON, or a field is missing")
            }
            return value
        }

        /// - Throws: `CommandError` with the line's number, unless the condition holds.
        func require(_ holds: Bool, _ problem: @autoclosure () -> String) throws {
            guard holds else { throw fault(problem()) }
        }

        private func fault(_ problem: String) -> CommandError {
            CommandError(.failed, "\(name), line \(number): \(problem)")
        }
    }

    private let path: String
    private let name: String

    /// - Parameter name: how messages call the file.
    init(_ path: String, _ name: String) { (self.path, self.name) = (path, name) }

    /// Hands over each line with its number.
    func each(_ body: (Int, Line) throws -> Void) throws {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw CommandError(.failed, "\(name): is not there")
        }
        var (rest, number) = (Data(), 0)
        while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
            rest.append(piece)
            var start = rest.startIndex
            while let end = rest[start...].firstIndex(of: 0x0A) {
                number += 1
                try body(number, Line(name: name, number: number, bytes: [UInt8](rest[start..<end])))
                start = end + 1
            }
            rest = Data(rest[start...])
        }
        guard rest.isEmpty else { throw CommandError(.failed, "\(name): its last line has no end") }
    }
}
