import Annotation
import Foundation
import Images
import Queue
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Console

/// A console on loopback with a queue behind it, asked as a browser asks.
final class ConsoleWorld: Sendable {
    static let token = String(repeating: "k", count: 64)
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    /// Beside the test bundle, which is this program: it decodes images when it is asked to.
    static let glossctl: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(filePath: bundle).deletingLastPathComponent().appending(path: "glossctl").path
    }()

    let database: TestDatabase
    let port: Int
    /// Where pictures are fetched from; it goes with the world.
    private let images: LoopbackServer?
    private let server: Task<Void, any Error>
    private let folder: String

    /// - Parameters:
    ///   - images: a web server that pictures may be fetched from.
    ///   - user: whose login the console has.
    ///   - timeout: of a statement.
    init(
        _ database: TestDatabase, images: LoopbackServer? = nil, as user: TestDatabase.User = .reader,
        timeout: Duration = .seconds(60), cacheLimit: Int = 1 << 20
    ) async throws {
        (self.database, self.images) = (database, images)
        folder = NSTemporaryDirectory() + "gloss-console-" + UUID().uuidString
        var policy = FetchPolicy()
        policy.allowDataURLs = true
        if let images {
            policy.allowedNetworks = [try #require(CIDR("127.0.0.0/8"))]
            policy.allowedPorts = [images.port]
        }
        var settings = database.settings(as: user)
        settings.statementTimeout = timeout
        let console = ConsoleServer(
            .loopback(port: 0), token: Self.token, names: ["annotations.example.org"],
            readers: ReaderPool(settings),
            pictures: try PictureMaker(
                policy: policy, maxPixels: 10_000_000, decoder: Self.glossctl,
                cache: try PictureCache(path: folder, limit: cacheLimit)))
        let (addresses, continuation) = AsyncStream.makeStream(of: String.self)
        server = Task {
            defer { continuation.finish() }
            try await console.run { continuation.yield($0) }
        }
        var first = addresses.makeAsyncIterator()
        let address = try #require(await first.next())
        port = try #require(URLComponents(string: address)?.port)
        #expect(address == "http://127.0.0.1:\(port)/?token=\(Self.token)")
    }

    deinit {
        server.cancel()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The pictures that are kept.
    var pictures: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] }

    /// An answer of HTTP.
    struct Answer: Sendable {
        let status: Int
        /// By names in small letters.
        let headers: [String: String]
        let body: Data

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// Asks for an address with the cookie that the link gives.
    func get(_ target: String) async throws -> Answer { try await ask("GET", target) }

    /// Sends a form of one of the console's own pages.
    func post(_ target: String, _ form: URLQuery = URLQuery()) async throws -> Answer {
        try await ask(
            "POST", target, ["Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:\(port)"], body: form.text)
    }

    /// Sends one request as it is written here, and no other.
    /// - Parameter headers: beside or in place of the browser's.
    func ask(
        _ method: String, _ target: String, _ headers: [String: String?] = [:], body: String = ""
    ) async throws -> Answer {
        let usual: [String: String?] = [
            "Host": "127.0.0.1:\(port)", "Cookie": "gloss_console_\(port)=\(Self.token)", "Connection": "close",
            "Content-Length": "\(body.utf8.count)",
        ]
        let lines = usual.merging(headers) { $1 }.compactMap { name, value in value.map { "\(name): \($0)" } }
        let request = "\(method) \(target) HTTP/1.1\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n" + body
        let port = port
        let bytes = try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try Self.exchange(request, port: port) }) }
        }
        return try #require(Self.parse(bytes), "\(method) \(target)")
    }

    private static func exchange(_ request: String, port: Int) throws -> [UInt8] {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
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

extension ConsoleWorld {
    static let markup = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"
    static let turned = "safe\u{202E}gnp.exe\u{2066}"
    static let endless = String(repeating: "wörd", count: 2500)

    /// A queue in which something of everything has ended, all of it named by somebody hostile.
    static func hostileQueue(_ images: String = "https://images.invalid") async throws -> TestDatabase {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let jobs: [(String, [SQLValue])] = [
            (
                "select gloss.enqueue_caption($1, key => $2, batch => $3, token_scores => true)",
                [SQLValue("\(images)/a.jpg"), SQLValue(markup), SQLValue(markup)]
            ),
            (
                "select gloss.enqueue_vqa($1, $2, key => 'answer', batch => 'b')",
                [SQLValue("\(images)/a.jpg"), SQLValue("why \(markup)")]
            ),
            (
                "select gloss.enqueue_detect($1, array['cat', 'dog'], key => 'boxes', batch => 'b')",
                [SQLValue("\(images)/a.jpg")]
            ),
            (
                "select gloss.enqueue_multiview($1, array[$2, $2], array['what?', 'which?'], 2, batch => 'b')",
                [SQLValue("object \(turned)"), SQLValue("\(images)/a.jpg")]
            ),
            (
                "select gloss.enqueue_caption($1, key => 'gone', batch => 'b')",
                [SQLValue("https://Gone.Example/x.jpg")]
            ),
            (
                "select gloss.enqueue_caption($1, key => 'waiting', batch => 'b', run_at => now() + interval '1 day')",
                [SQLValue("\(images)/a.jpg")]
            ),
        ]
        for (sql, values) in jobs { try await database.query(sql, values) }
        return database
    }

    /// Ends the jobs of a queue.
    /// - Parameter sha256: of the image's file.
    static func finish(_ database: TestDatabase, _ images: String = "https://images.invalid", sha256: String)
        async throws
    {
        let worker = Worker(database)
        let image = Samples.image("\(images)/a.jpg", sha256: sha256)
        for job in try await worker.claim() {
            switch (job.spec.task, job.key) {
            case (_, "gone"): try await worker.fail(job, code: "http_404", reason: "gone: \(markup)")
            case (.caption, _):
                let response = ScoredText(
                    text: markup + turned + endless, sumLogprob: -0.5, normLogprob: -0.25, tokenCount: 2,
                    finishReason: .length, tokenScores: [-0.1, -1.5])
                try await worker.complete(job, Samples.result([response], prompts: job.spec.prompts), images: [image])
            case (.vqa, _):
                let responses = [Worker.text(markup), Worker.text("so", -2)]
                try await worker.complete(job, Samples.result(responses, prompts: job.spec.prompts), images: [image])
            case (.detect, _):
                let boxes = [
                    Finding(label: "cat", score: 0.75, box: Box(y1: 0.125, x1: 0.25, y2: 0.5, x2: 1)),
                    Finding(label: endless, score: 0.25, box: Box(y1: 0, x1: 0, y2: 1, x2: 1)),
                    Finding(label: markup + turned, score: 0.5, box: Box(y1: 0.5, x1: 0.7, y2: 0.9, x2: 0.9)),
                ]
                try await worker.complete(
                    job, Samples.result([Worker.text("<loc0001> cat")], prompts: job.spec.prompts, findings: boxes),
                    images: [image])
            default:
                let views = (0...1).map { view in
                    ViewResponses(
                        view: view,
                        responses: [
                            [Worker.text("mug"), Worker.text(view == 0 ? "mug" : markup)],
                            [Worker.text("mug"), Worker.text("cup")],
                        ], images: [image])
                }
                let shares = [
                    AggregatedAnswer(answer: "mug", probability: 0.625),
                    AggregatedAnswer(answer: markup, probability: 0.375),
                ]
                try await worker.complete(job, Samples.result(shares, prompts: job.spec.prompts, views: views))
            }
        }
    }
}

/// Whether markup is well-formed: each element that is opened is closed, in order, and each attribute is quoted.
struct Markup {
    private static let void: Set<String> = ["meta", "link", "img", "input", "br", "hr"]

    /// What is wrong; nil: nothing.
    static func problem(in html: String) -> String? {
        let (bytes, start) = (Array(html.utf8), "<!doctype html>")
        guard html.hasPrefix(start) else { return "no doctype" }
        var (open, place) = ([String](), start.utf8.count)
        func near(_ place: Int) -> String { String(decoding: bytes[place...].prefix(100), as: UTF8.self) }
        while place < bytes.count {
            if bytes[place] == UInt8(ascii: ">") { return "a > in a text: \(near(max(0, place - 40)))" }
            guard bytes[place] == UInt8(ascii: "<") else {
                place += 1
                continue
            }
            var (end, isQuoted) = (place + 1, false)
            while end < bytes.count, isQuoted || bytes[end] != UInt8(ascii: ">") {
                if bytes[end] == UInt8(ascii: "<") { return "a < in a tag: \(near(place))" }
                if bytes[end] == UInt8(ascii: "\"") {
                    if !isQuoted, bytes[end - 1] != UInt8(ascii: "=") {
                        return "a quote without a name: \(near(place))"
                    }
                    isQuoted.toggle()
                } else if bytes[end] == UInt8(ascii: "="), !isQuoted, bytes[end + 1] != UInt8(ascii: "\"") {
                    return "an attribute without quotes: \(near(place))"
                }
                end += 1
            }
            guard end < bytes.count else { return "a tag without an end: \(near(place))" }
            let tag = String(decoding: bytes[place + 1..<end], as: UTF8.self)
            let name = tag.drop { $0 == "/" }.prefix { $0.isLetter || $0.isNumber }.lowercased()
            if tag.hasPrefix("/") {
                guard open.popLast() == name else { return "</\(name)> closes nothing: \(near(max(0, place - 60)))" }
            } else if !tag.hasSuffix("/"), !void.contains(name) {
                open.append(name)
            }
            place = end + 1
        }
        return open.isEmpty ? nil : "not closed: \(open)"
    }
}
