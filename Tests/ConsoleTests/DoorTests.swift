import Foundation
import Storage
import Testing

@testable import Console

/// Who may come in.
@Suite struct DoorTests {
    private static let token = String(repeating: "t", count: 64)
    private let tester = Visitor(name: "tester", role: .reviewer)
    private var door: Door { makeDoor(Access(token: Self.token, visitor: tester)) }

    private func makeDoor(_ access: Access, isSocket: Bool = false) -> Door {
        Door(
            hosts: ["127.0.0.1:9472", "localhost:9472"], access: access, cookie: "gloss_console_9472",
            isSocket: isSocket)
    }

    private func answer(
        _ headers: [String: String], _ method: String = "GET", path: String = "/", query: String = "",
        at door: Door? = nil
    ) -> Door.Answer {
        (door ?? self.door).answer(Door.Request(method: method, path: path, query: URLQuery(query), headers: headers))
    }

    private func status(_ answer: Door.Answer) -> Int? {
        if case .refuse(let status, _) = answer { status } else { nil }
    }

    private var cookie: String { "gloss_console_9472=\(Self.token)" }

    /// A name that an attacker points at 127.0.0.1 is not ours, whatever else the request has.
    @Test(arguments: [
        nil, "evil.example", "evil.example:9472", "127.0.0.1", "127.0.0.1:80", "localhost:9472.evil.example",
        "[::1]:9472",
        "127.0.0.1:9472@evil.example", "",
    ])
    func namesOfOthersAreMisdirected(host: String?) {
        var headers = ["cookie": cookie, "origin": "http://127.0.0.1:9472", "sec-fetch-site": "same-origin"]
        headers["host"] = host
        for method in ["GET", "POST", "HEAD"] { #expect(status(answer(headers, method)) == 421, "\(host ?? "none")") }
        #expect(status(answer(headers, query: "token=\(Self.token)")) == 421)
    }

    @Test func theTokenLetsIn() {
        let host = ["host": "localhost:9472"]
        #expect(status(answer(host)) == 401)
        #expect(
            answer(host, path: "/results", query: "task=vqa&token=\(Self.token)&low=.5")
                == .signIn(to: "/results?task=vqa&low=.5", token: Self.token))
        #expect(status(answer(host, query: "token=\(Self.token.dropLast())")) == 403)
        #expect(status(answer(host, query: "token=\(String(repeating: "u", count: 64))")) == 403)
        #expect(answer(host.merging(["cookie": "a=b; \(cookie)"]) { $1 }) == .enter(tester))
        #expect(status(answer(host.merging(["cookie": "other=\(Self.token)"]) { $1 })) == 401)
        #expect(status(answer(host.merging(["cookie": cookie + "x"]) { $1 })) == 401)
        #expect(answer(host.merging(["authorization": "Bearer \(Self.token)"]) { $1 }) == .enter(tester))
        #expect(status(answer(host.merging(["authorization": "Basic \(Self.token)"]) { $1 })) == 401)
        #expect(door.setCookie(Self.token).hasSuffix("; Path=/; HttpOnly; SameSite=Strict"))
    }

    /// A page of another origin cannot send what changes something.
    @Test(
        arguments: [
            ([:], 403), (["sec-fetch-site": "cross-site"], 403), (["sec-fetch-site": "same-site"], 403),
            (["sec-fetch-site": "none"], 403), (["origin": "null"], 403), (["origin": "http://evil.example"], 403),
            (["origin": "http://127.0.0.1:9473"], 403), (["origin": "http://127.0.0.1:9472.evil.example"], 403),
            (["sec-fetch-site": "same-origin", "origin": "http://evil.example"], 403),
            (["sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:9472"], 403),
            (["sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:9472"], nil),
            (["origin": "http://127.0.0.1:9472"], nil), (["sec-fetch-site": "same-origin"], nil),
        ] as [([String: String], Int?)])
    func postsOfOthersAreForbidden(headers: [String: String], expected: Int?) {
        let all = headers.merging(["host": "127.0.0.1:9472", "cookie": cookie]) { $1 }
        #expect(status(answer(all, "POST")) == expected)
    }

    @Test(arguments: ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"])
    func otherMethodsAreNotAllowed(method: String) {
        #expect(status(answer(["host": "127.0.0.1:9472", "cookie": cookie], method)) == 405)
    }

    /// Each token is one person's, and so is the cookie that comes of it.
    @Test func tokensAreTheirHolders() throws {
        let people = [Visitor(name: "ada", role: .admin), Visitor(name: "bob", role: .reader)]
        let tokens = ["a", "b"].map { String(repeating: $0, count: 40) }
        let door = makeDoor(Access(zip(tokens, people).map { TokenFile.Line(token: $0, visitor: $1) }))
        let host = ["host": "127.0.0.1:9472"]
        for (token, person) in zip(tokens, people) {
            #expect(answer(host, query: "token=\(token)", at: door) == .signIn(to: "/", token: token))
            let cookie = String(door.setCookie(token).prefix { $0 != ";" })
            for header in [["cookie": cookie], ["authorization": "Bearer \(token)"]] {
                #expect(answer(host.merging(header) { $1 }, at: door) == .enter(person))
            }
        }
        for wrong in ["ada", tokens[0] + tokens[1], String(tokens[0].dropLast()) + "b", ""] {
            let header = ["cookie": "gloss_console_9472=\(wrong)"]
            #expect(status(answer(host.merging(header) { $1 }, at: door)) == 401, "\(wrong)")
        }
        #expect(status(answer(host.merging(["cookie": cookie]) { $1 }, at: door)) == 401, "a token of another start")
    }

    /// A proxy's word counts on its socket alone: whoever can connect to a port can write any header.
    @Test func headersCountOnSocketsOnly() {
        let proxy = Access.Proxy(header: "X-Forwarded-User", users: ["ada": .admin, "eve": .reader], defaultRole: nil)
        let access = Access(token: Self.token, visitor: tester, proxy: proxy)
        let (port, socket) = (makeDoor(access), makeDoor(access, isSocket: true))
        func headers(_ name: String, _ more: [String: String] = [:]) -> [String: String] {
            ["host": "127.0.0.1:9472", "x-forwarded-user": name].merging(more) { $1 }
        }
        #expect(status(answer(headers("ada"), at: port)) == 401)
        #expect(answer(headers("ada", ["cookie": cookie]), at: port) == .enter(tester))
        #expect(answer(headers("ada"), at: socket) == .enter(Visitor(name: "ada", role: .admin)))
        #expect(
            answer(headers("eve", ["cookie": cookie]), at: socket) == .enter(Visitor(name: "eve", role: .reader)),
            "who is signed in is who the proxy says")
        for name in ["bob", "ada, eve", "ada\u{0}", " ada", "ADA", String(repeating: "a", count: 65)] {
            #expect(status(answer(headers(name), at: socket)) == 403, "\(name)")
        }
        #expect(status(answer(headers(""), at: socket)) == 401)
        #expect(status(answer(headers("ada", ["sec-fetch-site": "cross-site"]), "POST", at: socket)) == 403)
        #expect(status(answer(["x-forwarded-user": "ada"], at: socket)) == 421)
        let open = makeDoor(
            Access([], proxy: Access.Proxy(header: "Remote-User", users: [:], defaultRole: .reader)), isSocket: true)
        let stranger = ["host": "localhost:9472", "remote-user": "somebody@example.org"]
        #expect(answer(stranger, at: open) == .enter(Visitor(name: "somebody@example.org", role: .reader)))
        #expect(status(answer(["host": "localhost:9472"], at: open)) == 401)
    }

    @Test func tokensAreLongAndNew() {
        let (one, two) = (ConsoleServer.newToken(), ConsoleServer.newToken())
        #expect(one.utf8.count == 64 && one != two && one.utf8.allSatisfy(ConsoleServer.isTokenCharacter))
    }
}

/// Addresses, and what is asked of the database.
@Suite struct AddressTests {
    @Test func queriesAreReadAsFormsWriteThem() {
        let query = URLQuery("a=1&b=x+y%26z&c=&d&b=second&%E7%8C%AB=%F0%9F%99%82&bad=%FF")
        #expect(query["a"] == "1" && query["b"] == "x y&z" && query["c"] == nil && query["d"] == nil)
        #expect(query["猫"] == "🙂" && query["bad"] == nil)
        #expect(URLQuery("a=1&a=2").setting("a", "3").text == "a=3")
        #expect(URLQuery("a=1&b=2").setting("a", nil).address("/x") == "/x?b=2")
        #expect(URLQuery().address("/x") == "/x")
    }

    @Test(arguments: ["", "a b", "<script>\"'&", "100%", "猫+🙂", "a=b&c=d#e", "\u{0}\n"])
    func whatIsWrittenIsRead(text: String) {
        let written = URLQuery().setting("q", text).text
        #expect(URLQuery(written)["q"] == (text.isEmpty ? nil : text))
        #expect(written.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"<>'&#".utf8.contains($0) })
    }

    @Test func valuesAreParameters() {
        let evil = "x'; drop table gloss.job; --"
        let inner: Statement = "b = \(evil)"
        let statement: Statement = "select \(7)::int where a = \(nil as String?) and \(inner) and c = any (\([1, 2]))"
        #expect(statement.sql == "select $1::int where a = $2 and b = $3 and c = any ($4)")
        #expect(statement.parameters == ["7", nil, "x'; drop table gloss.job; --", "{1,2}"])
        #expect(
            statement.text
                == "select '7'::int where a = null and b = 'x''; drop table gloss.job; --' and c = any ('{1,2}')")
        #expect(Statement.all([]).sql == "true")
    }

    @Test(
        arguments: [
            ("1", 1), ("907", 907), ("0", nil), ("01", nil), ("-1", nil), ("+1", nil), ("1e3", nil), ("٣", nil),
            ("", nil), ("99999999999999999999", nil),
        ] as [(String, Int64?)])
    func numbersAreWrittenAsWeWriteThem(text: String, expected: Int64?) { #expect(Site.number(text) == expected) }

    /// Nothing but literals may be taken for markup.
    @Test func nothingTrustsATextAsMarkup() throws {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Console")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var count = 0
        for case let file as URL in files where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            count += 1
            #expect(!text.contains("HTML(stringLiteral"), "\(file.lastPathComponent)")
            // A value stands in quotes, or in an element; the server's own files write no markup.
            if !file.path.contains("/Server/"), !file.path.contains("/Assets/") {
                #expect(!text.contains("=\\("), "\(file.lastPathComponent)")
            }
        }
        #expect(count > 20)
    }
}
