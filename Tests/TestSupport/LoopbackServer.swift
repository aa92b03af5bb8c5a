import Foundation
import Glibc
import Synchronization

/// A web server on a loopback address that answers each path as a test scripts it, down to the bytes.
public final class LoopbackServer: Sendable {
    /// Answers one request.
    public typealias Script = @Sendable (Exchange) -> Void

    /// Where it listens.
    public let host: String
    /// A free port.
    public let port: Int
    private let listener: Int32
    private let log = Log()

    private final class Log: Sendable {
        struct State {
            var requests: [String] = []
            var activeCount = 0
            var mostActive = 0
        }
        let state = Mutex(State())
    }

    /// Listens; `scripts` by path, whatever the query, 404 for the others.
    public init(host: String = "127.0.0.1", _ scripts: [String: Script]) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr(host)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let fd = listener
        let code = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, length) == 0 && listen(fd, 128) == 0 ? getsockname(fd, $0, &length) : -1
            }
        }
        guard code == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        self.host = host
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [listener, log] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { break }
                Thread.detachNewThread { Self.serve(connection, scripts, log) }
            }
            close(listener)
        }
    }

    deinit { Glibc.shutdown(listener, Int32(SHUT_RDWR)) }

    /// A path's URL.
    public func url(_ path: String) -> String { "http://\(host):\(port)\(path)" }

    /// Every request's head so far.
    public var requests: [String] { log.state.withLock { $0.requests } }

    /// The requests whose whole answer is not yet on its way.
    public var active: Int { log.state.withLock { $0.activeCount } }

    /// The most of them at one time.
    public var mostActive: Int { log.state.withLock { $0.mostActive } }

    private static func serve(_ connection: Int32, _ scripts: [String: Script], _ log: Log) {
        let exchange = Exchange(connection)
        while let head = exchange.readHead() {
            log.state.withLock { state in
                state.requests.append(head)
                state.activeCount += 1
                state.mostActive = max(state.mostActive, state.activeCount)
            }
            let path = head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
            exchange.beforeTheAnswer = { log.state.withLock { $0.activeCount -= 1 } }
            (scripts[path] ?? scripts[String(path.prefix { $0 != "?" })] ?? { $0.answer(404, "not found") })(exchange)
            exchange.isAnswering()
        }
        close(connection)
    }
}

/// One connection, from the server's side.
public final class Exchange {
    private let connection: Int32
    /// Called once a request. Who counts requests must have done so before the client can ask for more.
    fileprivate var beforeTheAnswer: (() -> Void)?
    /// POLLRDHUP, which glibc's headers hide.
    private static let peerHungUp: Int16 = 0x2000

    init(_ connection: Int32) { self.connection = connection }

    /// A whole answer.
    public func answer(_ status: Int, _ body: some Sequence<UInt8>, headers: [String] = []) {
        let body = Array(body)
        let lines = ["HTTP/1.1 \(status) Scripted", "Content-Length: \(body.count)"] + headers
        isAnswering()
        send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
    }

    fileprivate func isAnswering() {
        beforeTheAnswer?()
        beforeTheAnswer = nil
    }

    /// A whole answer of text.
    public func answer(_ status: Int, _ body: String, headers: [String] = []) {
        answer(status, body.utf8, headers: headers)
    }

    /// Sends the client elsewhere.
    public func redirect(to target: String, status: Int = 302) {
        answer(status, "elsewhere", headers: ["Location: \(target)"])
    }

    /// False once the client is gone.
    @discardableResult public func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// False once the client is gone.
    @discardableResult public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    /// Waits until the client hangs up, at most so long. True when it did.
    @discardableResult public func waitForHangUp(milliseconds: Int32 = 20_000) -> Bool {
        var entry = pollfd(fd: connection, events: Self.peerHungUp, revents: 0)
        return poll(&entry, 1, milliseconds) > 0
    }

    /// Ends the connection in good order.
    public func end() { Glibc.shutdown(connection, Int32(SHUT_RDWR)) }

    /// Ends the connection with a TCP reset.
    public func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        // Connecting to "no family" drops a TCP connection at once.
        var none = sockaddr(sa_family: sa_family_t(AF_UNSPEC), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        connect(connection, &none, socklen_t(MemoryLayout<sockaddr>.size))
    }

    func readHead() -> String? {
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            head.append(byte)
        }
        return String(decoding: head, as: UTF8.self)
    }
}
