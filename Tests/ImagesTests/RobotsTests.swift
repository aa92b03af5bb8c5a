import Testing

@testable import Images

/// robots.txt by RFC 9309. `scripts/check-all robots` compares drawn files with Google's parser.
@Suite struct RobotsTests {
    private func refusal(_ file: String, _ path: String = "/a.jpg", obeysOthers: Bool = false) -> String? {
        RobotsRules(Array(file.utf8), agent: "gloss", obeysOthers: obeysOthers).refusal(of: path)
    }

    @Test func groupsThatNameUs() {
        #expect(refusal("User-agent: gloss\nDisallow: /") != nil)
        #expect(refusal("user-AGENT : GLOSS/2.0 (any)\r\ndisallow:/") != nil)
        #expect(refusal("User-agent: other\nUser-agent: gloss\nDisallow: /") != nil)
        #expect(
            refusal("User-agent: gloss\nCrawl-delay: 5\nUser-agent: other\nDisallow: /") != nil,
            "what is no rule ends no list of agents")
        #expect(
            refusal("User-agent: gloss\nDisallow: /x\n\nUser-agent: b\nDisallow: /\n\nUser-agent: gloss\nDisallow: /a")
                != nil)
        #expect(refusal("User-agent: glossy\nDisallow: /") == nil)
        #expect(refusal("User-agent: gl\nDisallow: /") == nil)
        #expect(refusal("Disallow: /") == nil, "for nobody")
        #expect(refusal("User-agent: gloss\nDisallow:") == nil)
        #expect(refusal("User-agent: gloss\nDisallow: a.jpg") == nil, "a path begins with a slash")
        #expect(refusal("") == nil)
    }

    @Test func groupsForEverybodyAreForTheStrict() {
        let file = "User-agent: *\nDisallow: /"
        #expect(refusal(file) == nil)
        #expect(refusal(file, obeysOthers: true) != nil)
        #expect(
            refusal(file + "\nUser-agent: gloss\nDisallow:", obeysOthers: true) == nil,
            "a group that names us is the only one")
    }

    @Test func theLongestMatchCounts() {
        let file =
            "User-agent: gloss\nDisallow: /p\nAllow: /p/open\nDisallow: /p/open/not\nDisallow: /same\nAllow: /same"
        let refused = ["/p", "/page", "/p/x", "/p/open/not.jpg"].map { refusal(file, $0) != nil }
        #expect(refused == [true, true, true, true])
        #expect(["/", "/p/open", "/p/open/no", "/same", "/P"].allSatisfy { refusal(file, $0) == nil })
    }

    // Patterns, paths that match, and paths that do not.
    private static let patternCases: [(pattern: String, matching: [String], others: [String])] = [
        ("/*.jpg", ["/a.jpg", "/a/b.jpg?x", "/.jpg"], ["/a.jpeg", "/a.JPG"]),
        ("/*.jpg$", ["/a.jpg", "/a.jpg.jpg"], ["/a.jpg?x", "/a.jpgs"]),
        ("/fish*", ["/fish", "/fishes"], ["/Fish", "/catfish"]),
        ("*/fish", ["/fish", "/a/fish/x"], ["/catfish"]),
        ("/a*b*c", ["/abc", "/a1b2c3"], ["/acb", "/ab"]),
        ("/aab*aab", ["/aabaab", "/aabaaab"], ["/aab", "/aabab"]),
        ("/$", ["/"], ["/a", "//"]),
        ("/a$b", ["/a$b", "/a%24b"], ["/a"]),
        ("/*$", ["/", "/a?b"], []),
        ("/%2a", ["/*", "/%2A"], ["/a"]),
        ("/foo/bar?baz=https://foo.bar", ["/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https://foo.bar/x"], []),
        ("/foo/bar/ツ", ["/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84x"], ["/foo/bar/%E3%83%85"]),
        ("/foo/bar/%62%61%7A", ["/foo/bar/baz", "/foo/b%61r/baz"], []),
        ("/a%2Fb", ["/a%2fb"], ["/a/b"]),
        ("/a%3Fb", ["/a%3fb"], ["/a?b"]),
        ("/%zz%4", ["/%zz%4", "/%25zz%254"], ["/"]),
        ("/~u", ["/%7Eu", "/~u"], []),
        ("/a # b", ["/a", "/ab"], ["/b"]),
    ]

    @Test(arguments: patternCases)
    func patterns(pattern: String, matching: [String], others: [String]) {
        let file = "User-agent: gloss\nDisallow: \(pattern)"
        for path in matching { #expect(refusal(file, path) != nil, "\(path)") }
        for path in others { #expect(refusal(file, path) == nil, "\(path)") }
    }

    @Test func readsWhatPeopleWrite() {
        for rule in ["disalow: /", "Disallow /", "disallow\t/", " DISALLOW :/ # all"] {
            #expect(refusal("\u{FEFF}User agent: gloss\r\(rule)") != nil, "\(rule)")
        }
        #expect(refusal("User-agent: gloss\n\u{0}\u{0}\n:\n: /\nDisallow") == nil)
        #expect(refusal("<!doctype html>\n<html lang=\"en\">") == nil)
    }

    @Test func saysWhichRule() {
        let file = "# rules\n\nUser-agent: gloss\nDisallow: /a\u{7}\(String(repeating: "b", count: 100))"
        let path = "/a%07" + String(repeating: "b", count: 101)
        let rule = "\"Disallow: /a?\(String(repeating: "b", count: 77))…\" for user agent gloss (line 4)"
        #expect(refusal(file, path) == rule)
        #expect(refusal("User-agent: *\nDisallow: /", obeysOthers: true) == "\"Disallow: /\" for user agent * (line 2)")
    }

    /// The rules behind 500 KiB, and the line that is cut there, do not count.
    @Test func aLongFileIsReadInPart() {
        let head = "User-agent: gloss\nDisallow: /first\n"
        let filler = String(repeating: "# filler\n", count: (RobotsRules.byteLimit - head.utf8.count) / 9)
        let room = RobotsRules.byteLimit - head.utf8.count - filler.utf8.count
        #expect((0..<9).contains(room))
        let file = head + filler + "Disallow: /second\n"
        #expect(refusal(file, "/first") != nil)
        #expect(refusal(file, "/second") == nil)
        #expect(refusal(file, "/d") == nil)
        #expect(refusal(head + String(filler.dropLast(36)) + "Disallow: /s\nDisallow: /second\n", "/second") != nil)
    }

    @Test func theNameInTheHeader() {
        #expect(OptOuts.productToken(of: FetchPolicy().userAgent) == "gloss")
        #expect(OptOuts.productToken(of: "Acme-Bot_x/1.0") == "acme-bot_x")
        #expect(OptOuts.productToken(of: "Mozilla/5.0 (compatible; AcmeBot/2.0; +https://acme.example)") == "acmebot")
        #expect(OptOuts.productToken(of: "Mozilla/5.0 (X11; Linux)") == "mozilla")
        #expect(OptOuts.productToken(of: "4711") == "")
        #expect(
            RobotsRules(Array("User-agent: 4711\nDisallow: /".utf8), agent: "", obeysOthers: false).refusal(of: "/")
                == nil)
    }

    // Header lines, and what of them refuses: when what is named counts, and when all does.
    private static let tagCases: [(lines: [String], named: String?, strict: String?)] = [
        (["X-Robots-Tag: noai"], "X-Robots-Tag: noai", "X-Robots-Tag: noai"),
        (["x-robots-tag:NoImageAI , noindex"], "X-Robots-Tag: noimageai", "X-Robots-Tag: noimageai"),
        (["X-Robots-Tag: noindex, nofollow"], nil, "X-Robots-Tag: noindex"),
        (["X-Robots-Tag: none"], nil, "X-Robots-Tag: none"),
        (["X-Robots-Tag: noimageindex"], nil, "X-Robots-Tag: noimageindex"),
        (["X-Robots-Tag: gloss: noindex"], "X-Robots-Tag: gloss: noindex", "X-Robots-Tag: gloss: noindex"),
        (["X-Robots-Tag: Gloss/1.0: nofollow, noai"], "X-Robots-Tag: gloss: noai", "X-Robots-Tag: gloss: noai"),
        (["X-Robots-Tag: googlebot: noai, noindex"], nil, nil),
        (["X-Robots-Tag: googlebot: noindex, gloss: noai"], "X-Robots-Tag: gloss: noai", "X-Robots-Tag: gloss: noai"),
        (
            ["X-Robots-Tag: googlebot: noai", "X-Robots-Tag: nosnippet", "X-Robots-Tag: noai"], "X-Robots-Tag: noai",
            "X-Robots-Tag: noai"
        ),
        (["X-Robots-Tag: *: noai"], "X-Robots-Tag: noai", "X-Robots-Tag: noai"),
        (
            ["X-Robots-Tag: unavailable_after: Wednesday, 25 Jun 2010 15:00:00 PST, noai"], "X-Robots-Tag: noai",
            "X-Robots-Tag: noai"
        ),
        (["X-Robots-Tag: max-snippet: 5, noai"], "X-Robots-Tag: noai", "X-Robots-Tag: noai"),
        (["X-Robots-Tag: all", "X-Robots-Tag:", "X-Robots-Tag: noaid, no ai", "X-Robots: noai"], nil, nil),
        (["TDM-Reservation: 1"], "TDM-Reservation: 1", "TDM-Reservation: 1"),
        (["tdm-reservation:1 \r\n"], "TDM-Reservation: 1", "TDM-Reservation: 1"),
        (["TDM-Reservation: 0"], nil, nil), (["TDM-Reservation: 10"], nil, nil), (["TDM-Policy: 1"], nil, nil),
        (["X-Robots-Tag: noai", "HTTP/1.1 200 OK"], nil, nil),
    ]

    @Test(arguments: tagCases)
    func headers(lines: [String], named: String?, strict: String?) {
        var head = AnswerHead()
        for line in lines { Array((line + "\r\n").utf8).withUnsafeBytes { _ = head.read($0) } }
        let headers = OptOutHeaders(head)
        #expect(headers.refusal(agent: "gloss", .named) == named)
        #expect(headers.refusal(agent: "gloss", .strict) == strict)
        #expect(headers.refusal(agent: "gloss", .off) == nil)
    }
}

/// What is remembered of robots.txt, and who waits.
@Suite struct RobotsCacheTests {
    private typealias Cache = RobotsCache<Int, ContinuousClock.Instant>
    private let start = ContinuousClock.now
    private let rules = RobotsRules(Array("User-agent: gloss\nDisallow: /x".utf8), agent: "gloss", obeysOthers: false)

    private func word(_ verdict: Cache.Verdict) -> String {
        switch verdict {
        case .allowed: "allowed"
        case .refused: "refused"
        case .failed: "failed"
        case .waits(let isFirst): isFirst ? "first" : "waits"
        }
    }

    @Test func oneAsksForMany() {
        var cache = Cache()
        let asked = (1...3).map { word(cache.judge($0, origin: "a", path: "/x", now: start)) }
        #expect(asked == ["first", "waits", "waits"])
        #expect(word(cache.judge(4, origin: "b", path: "/x", now: start)) == "first")
        cache.withdraw(1, origin: "a")
        cache.withdraw(2, origin: "a")
        cache.withdraw(3, origin: "a")
        #expect(word(cache.judge(5, origin: "a", path: "/", now: start)) == "waits", "it is still being asked for")
        #expect(cache.learn(.rules(rules), origin: "a", now: start) == [5])
        #expect(word(cache.judge(6, origin: "a", path: "/x", now: start)) == "refused")
        #expect(word(cache.judge(6, origin: "a", path: "/y", now: start + .seconds(86399))) == "allowed")
        #expect(word(cache.judge(6, origin: "a", path: "/y", now: start + .seconds(86400))) == "first", "a day later")
        #expect(cache.giveUp(origin: "b") == [4])
    }

    @Test func whatIsNotKnownIsAskedAgain() {
        var cache = Cache()
        _ = cache.judge(1, origin: "a", path: "/", now: start)
        let error = ImageError(.robotsUnreachable, "HTTP 500", retryAfter: .seconds(90))
        #expect(cache.learn(.unknown(error), origin: "a", now: start) == [1])
        #expect(word(cache.judge(1, origin: "a", path: "/", now: start + .seconds(89))) == "failed")
        #expect(word(cache.judge(1, origin: "a", path: "/", now: start + .seconds(90))) == "first")
        #expect(error.disposition == .release(after: .seconds(90)), "it costs no attempt")
        #expect(error.blame == .origin)
    }

    @Test func itIsBounded() {
        var cache = Cache()
        for index in 0..<10_000 {
            _ = cache.judge(index, origin: "\(index)", path: "/", now: start + .seconds(index))
            _ = cache.learn(.rules(rules), origin: "\(index)", now: start + .seconds(index))
        }
        #expect((2048...4096).contains(cache.size.count))
        #expect(
            word(cache.judge(0, origin: "9999", path: "/x", now: start + .seconds(9999))) == "refused",
            "the last ones stay")
        let lines = (0..<20_000).map { "Disallow: /\($0)/some/path/of/some/length\n" }.joined()
        let large = RobotsRules(Array(("User-agent: gloss\n" + lines).utf8), agent: "gloss", obeysOthers: false)
        for index in 0..<40 { _ = cache.learn(.rules(large), origin: "large \(index)", now: start + .seconds(9999)) }
        #expect(cache.size.bytes < 33 << 20)
        #expect(cache.size.count > 0)
    }
}
