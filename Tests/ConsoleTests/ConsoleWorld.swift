import Annotation
import Foundation
import Images
import Queue
import Storage
import Synchronization
import TestSupport
import Testing

@testable import Console

/// A console with a queue behind it, on loopback or on a socket, asked as a browser or a proxy asks.
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
    /// 0 where it is on a socket.
    let port: Int
    private let place: RawHTTP.Place
    /// Where pictures are fetched from; it goes with the world.
    private let images: LoopbackServer?
    private let server: Task<Void, any Error>
    private let folder: String

    /// Whoever has ``token``.
    static let everybody = Access(token: token, visitor: Visitor(name: "tester", role: .admin))

    /// - Parameters:
    ///   - images: a web server that pictures may be fetched from.
    ///   - user: whose login the console has.
    ///   - login: another login; nil: that of `user`.
    ///   - previews: a folder of a daemon's.
    init(
        _ database: TestDatabase, images: LoopbackServer? = nil, as user: TestDatabase.User = .reader,
        login: ConnectionSettings? = nil, access: Access = ConsoleWorld.everybody, isSocket: Bool = false,
        cacheLimit: Int = 1 << 20, previews: PictureCache? = nil, source: ImageSource = .copies
    ) async throws {
        (self.database, self.images) = (database, images)
        folder = NSTemporaryDirectory() + "gloss-console-" + UUID().uuidString
        var policy = FetchPolicy()
        policy.allowDataURLs = true
        if let images {
            policy.allowedNetworks = [try #require(CIDR("127.0.0.0/8"))]
            policy.allowedPorts = [images.port]
        }
        let console = ConsoleServer(
            isSocket ? .socket(folder + ".socket") : .loopback(port: 0), access: access,
            names: ["annotations.example.org"], readers: ReaderPool(login ?? database.settings(as: user)),
            pictures: try PictureMaker(
                policy: policy, maxPixels: 10_000_000, decoder: Self.glossctl,
                cache: try PictureCache(path: folder, limit: cacheLimit), previews: previews), images: source)
        let (addresses, continuation) = AsyncStream.makeStream(of: String.self)
        server = Task {
            defer { continuation.finish() }
            try await console.run { continuation.yield($0) }
        }
        var first = addresses.makeAsyncIterator()
        let address = try #require(await first.next())
        port = isSocket ? 0 : try #require(URLComponents(string: address)?.port)
        place = isSocket ? .socket(folder + ".socket") : .loopback(port: port)
        let site = isSocket ? "/" : "http://127.0.0.1:\(port)/"
        #expect(address == (access.linkToken.map { "\(site)?token=\($0)" } ?? site))
    }

    deinit {
        server.cancel()
        for path in [folder, folder + ".socket"] { try? FileManager.default.removeItem(atPath: path) }
    }

    /// The pictures that are kept.
    var pictures: [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] }

    /// Asks for an address with the cookie that the link gives.
    func get(_ target: String) async throws -> RawHTTP.Answer { try await ask("GET", target) }

    /// Sends a form of one of the console's own pages.
    func post(
        _ target: String, _ form: URLQuery = URLQuery(), _ headers: [String: String?] = [:]
    ) async throws -> RawHTTP.Answer {
        let own: [String: String?] = ["Sec-Fetch-Site": "same-origin", "Origin": "http://\(host)"]
        return try await ask("POST", target, own.merging(headers) { $1 }, body: form.text)
    }

    private var host: String { port == 0 ? "localhost" : "127.0.0.1:\(port)" }

    /// What a browser keeps of a token.
    func cookie(_ token: String) -> String { port == 0 ? "gloss_console=\(token)" : "gloss_console_\(port)=\(token)" }

    /// Sends one request as it is written here, and no other.
    /// - Parameter headers: beside or in place of the browser's.
    func ask(
        _ method: String, _ target: String, _ headers: [String: String?] = [:], body: String = ""
    ) async throws -> RawHTTP.Answer {
        let usual: [String: String?] = [
            "Host": host, "Cookie": cookie(Self.token), "Connection": "close", "Content-Length": "\(body.utf8.count)",
        ]
        return try await RawHTTP.ask(place, method, target, usual.merging(headers) { $1 }, body: body)
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
