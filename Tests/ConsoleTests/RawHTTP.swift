import Foundation
import Testing

/// Requests as they are written: no client adds a header, or takes one for its own.
enum RawHTTP {
    enum Place: Sendable {
        case loopback(port: Int)
        case socket(String)
    }

    /// An answer of HTTP.
    struct Answer: Sendable {
        let status: Int
        /// By names in small letters.
        let headers: [String: String]
        let body: Data

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// - Parameter headers: those without a value are left out.
    static func ask(
        _ place: Place, _ method: String, _ target: String, _ headers: [String: String?], body: String
    ) async throws -> Answer {
        let lines = headers.compactMap { name, value in value.map { "\(name): \($0)\r\n" } }
        let request = "\(method) \(target) HTTP/1.1\r\n" + lines.joined() + "\r\n" + body
        let bytes = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try exchange(request, place) }) }
        }
        return try #require(parse(bytes), "\(method) \(target)")
    }

    private static func exchange(_ request: String, _ place: Place) throws -> [UInt8] {
        let family = if case .socket = place { AF_UNIX } else { AF_INET }
        let connection = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(connection) }
        let code =
            switch place {
            case .loopback(let port): open(connection, port: port)
            case .socket(let path): open(connection, path: path)
            }
        guard code == 0 else { throw POSIXError(.ECONNREFUSED) }
        let bytes = Array(request.utf8)
        guard send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw POSIXError(.EPIPE)
        }
        var (answer, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 65_536))
        while case let count = recv(connection, &buffer, buffer.count, 0), count > 0 { answer += buffer[..<count] }
        return answer
    }

    private static func open(_ connection: Int32, port: Int) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func open(_ connection: Int32, path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func parse(_ bytes: [UInt8]) -> Answer? {
        guard let end = Data(bytes).range(of: Data("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        guard let status = lines[0].split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
        let headers = lines.dropFirst().compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
            return (line[..<colon].lowercased(), value)
        }
        return Answer(
            status: status, headers: Dictionary(headers) { $1 }, body: Data(bytes[end.upperBound...]))
    }
}
