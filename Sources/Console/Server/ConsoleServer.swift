import FlyingFox
import FlyingSocks
import Foundation
import Storage

/// The console: pages of results and of the queue over HTTP, on loopback or a Unix socket.
package struct ConsoleServer: Sendable {
    /// Where it listens.
    package enum Place: Sendable, Equatable {
        /// 127.0.0.1; 0 is any free port.
        case loopback(port: Int)
        /// The path of a socket, for a proxy in front of it: who is of its group may connect.
        case socket(String)

        /// Whether only those may connect whom the file system lets.
        var isSocket: Bool { if case .socket = self { true } else { false } }
    }

    /// Why it does not listen.
    package struct Problem: Error {
        package let message: String
    }

    private static let handlerTimeout: TimeInterval = 120
    /// Bytes.
    private static let longestForm = 65_536
    /// Of a review: 1,000 boxes, or 64 KiB of text as forms write it.
    private static let longestReview = 1 << 20

    let place: Place
    /// Who may come in.
    let access: Access
    /// Further names by which it may be asked for, as a proxy passes them on.
    let names: [String]
    let site: Site

    /// - Parameters:
    ///   - access: the header of its proxy counts on a socket only.
    ///   - names: further host names, with their ports where they have one.
    ///   - images: where browsers get images from.
    package init(
        _ place: Place, access: Access, names: [String] = [], readers: ReaderPool, pictures: PictureMaker,
        images: ImageSource = .copies
    ) {
        (self.place, self.access, self.names) = (place, access, names)
        site = Site(readers: readers, pictures: pictures, images: images)
    }

    /// 256 bits that nobody can guess, as letters and digits.
    package static func newToken() -> String {
        var random = SystemRandomNumberGenerator()
        let words = (0..<4).map { _ in String(random.next(), radix: 16) }
        return words.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined()
    }

    /// Whether a token may have it: it stands in an address and in a cookie as it is.
    package static func isTokenCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// Serves until the task is cancelled.
    /// - Parameter onListening: gets the address, with the token if it is one for all: what a person opens, or, on a socket, appends to
    ///   the proxy's.
    /// - Throws: ``Problem`` when it can't listen.
    package func run(onListening: @Sendable (String) -> Void) async throws {
        switch place {
        case .loopback(let port):
            guard let number = UInt16(exactly: port) else { throw Problem(message: "there is no port \(port)") }
            try await serve(
                HTTPServer(
                    address: try .inet(ip4: "127.0.0.1", port: number), timeout: Self.handlerTimeout,
                    logger: .disabled), onListening)
        case .socket(let path):
            try Self.clear(path)
            try await serve(
                HTTPServer(
                    address: .unix(path: path), timeout: Self.handlerTimeout, logger: .disabled), onListening)
        }
    }

    private func serve(_ server: HTTPServer, _ onListening: @Sendable (String) -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let port = LateValue<Int?>()
            await server.appendRoute("*") { request in await reply(to: request, port: await port.value) }
            group.addTask {
                do { try await server.run() } catch let error as SocketError {
                    throw Problem(message: "can't listen on \(where_): \(error.localizedDescription)")
                }
            }
            group.addTask { try await server.waitUntilListening(timeout: 10) }
            try await group.next()
            // Not by umask, which is the whole process's: meanwhile others make files. Until now who may write to the file may
            // connect, by a usual umask its owner; and nobody comes in without the token.
            if case .socket(let path) = place, chmod(path, 0o660) != 0 {
                throw Problem(message: "\(path): \(String(cString: strerror(errno)))")
            }
            let number = await Self.port(server)
            await port.set(number)
            onListening(link(port: number))
            try await group.waitForAll()
        }
    }

    private var where_: String {
        switch place {
        case .loopback(let port): "127.0.0.1:\(port)"
        case .socket(let path): path
        }
    }

    private static func port(_ server: HTTPServer) async -> Int? {
        if case .ip4(_, let port)? = await server.listeningAddress { Int(port) } else { nil }
    }

    private func link(port: Int?) -> String {
        let site = port.map { "http://127.0.0.1:\($0)/" } ?? "/"
        return access.linkToken.map { "\(site)?token=\($0)" } ?? site
    }

    private func door(port: Int?) -> Door {
        let local = ["127.0.0.1", "localhost"].map { name in port.map { "\(name):\($0)" } ?? name }
        return Door(
            hosts: Set((local + names).map { $0.lowercased() }), access: access,
            cookie: port.map { "gloss_console_\($0)" } ?? "gloss_console", isSocket: place.isSocket)
    }

    private func reply(to request: HTTPRequest, port: Int?) async -> HTTPResponse {
        // Names of ASCII alone: what else becomes one of ours in small letters is not ours.
        let names = request.headers.keys.filter { $0.rawValue.utf8.allSatisfy { $0 < 0x80 } }
        let headers = Dictionary(names.map { ($0.rawValue.lowercased(), request.headers[$0] ?? "") }) { $1 }
        let path = request.target.path(percentEncoded: true)
        let query = URLQuery(request.target.query(percentEncoded: true))
        let door = door(port: port)
        let reply: Reply
        switch door.answer(
            Door.Request(method: request.method.rawValue, path: path, query: query, headers: headers))
        {
        case .refuse(let status, let sentence): reply = Layout.problem(sentence, status: status)
        case .signIn(let address, let token): reply = .redirect(to: address, cookie: door.setCookie(token))
        case .enter(let visitor) where request.method == .POST: reply = await act(path, request, visitor)
        case .enter(let visitor): reply = await site.reply(path: path, query: query, visitor)
        }
        return reply.response(isBodyless: request.method == .HEAD, images: site.images)
    }

    /// What a form sends: a few fields.
    private func act(_ path: String, _ request: HTTPRequest, _ visitor: Visitor) async -> Reply {
        let longest = path.hasPrefix("/review/") ? Self.longestReview : Self.longestForm
        guard let length = request.headers[.contentLength].flatMap({ Int($0) }), 0...longest ~= length else {
            return Layout.problem("A form has \(longest) bytes at the most.", status: 413)
        }
        guard let body = try? await request.bodyData else {
            return Layout.problem("The form has not arrived.", status: 400)
        }
        return await site.act(path: path, form: URLQuery(String(decoding: body, as: UTF8.self)), visitor)
    }

    /// Removes a socket that nobody listens on any more.
    private static func clear(_ path: String) throws {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Problem(message: "\(path) is there and is no socket")
        }
        let address = sockaddr_un.unix(path: path)
        if let socket = try? Socket(domain: AF_UNIX), (try? socket.connect(to: address)) != nil {
            try? socket.close()
            throw Problem(message: "somebody listens on \(path) already")
        }
        unlink(path)
    }
}

/// A value that is waited for.
private actor LateValue<Value: Sendable> {
    private var set: Value?
    private var waiting: [CheckedContinuation<Value, Never>] = []

    var value: Value {
        get async {
            if let set { return set }
            return await withCheckedContinuation { waiting.append($0) }
        }
    }

    func set(_ value: Value) {
        set = value
        for continuation in waiting { continuation.resume(returning: value) }
        waiting = []
    }
}
