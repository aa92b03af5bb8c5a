import Foundation
import TestSupport
import Testing

@testable import Images

/// Answers that are not quite right: where a browser shows the image, it is fetched; where it may come another time, it is asked for again.
@Suite(.timeLimit(.minutes(5))) struct AnswerTests {
    private static let image = (try? Fixtures.file("palette.png")) ?? []
    private static let fixed = "HTTP/1.1 200 OK\r\n"

    /// Fetches and decodes; the error, or nil.
    private func outcome(_ fetcher: ImageFetcher, _ url: String) async -> ImageError? {
        do throws(ImageError) {
            let file = try await fetcher.fetch(url)
            do throws(ImageError) { _ = try ImageDecoder.decode(file.bytes) } catch { throw file.judged(error) }
            return nil
        } catch {
            return error
        }
    }

    // MARK: Where a file ends

    /// Neither a length nor a last chunk: what is whole is whole, and what is not may be whole another time.
    @Test(arguments: ["", "Transfer-Encoding: chunked\r\n"])
    func aBodyWithoutAnEndIsJudgedByTheImage(_ field: String) async throws {
        let (image, half) = (Self.image, Array(Self.image.prefix(Self.image.count / 2)))
        @Sendable func body(_ bytes: [UInt8]) -> LoopbackServer.Script {
            { exchange in
                let size = field.isEmpty ? "" : String(bytes.count, radix: 16) + "\r\n"
                exchange.send(Array("\(Self.fixed)\(field)\r\n\(size)".utf8) + bytes)
                exchange.end()
            }
        }
        let server = try LoopbackServer(["/whole": body(image), "/half": body(half), "/none": body([])])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        #expect(await outcome(fetcher, server.url("/whole")) == nil)
        let cut = try #require(await outcome(fetcher, server.url("/half")))
        #expect(cut.code == .truncated && cut.disposition == .retry(after: nil) && cut.blame == .url)
        let none = try #require(await outcome(fetcher, server.url("/none")))
        #expect([.emptyBody, .connectionLost].contains(none.code) && none.disposition == .retry(after: nil))
    }

    /// Where the server says where the file ends, a short file is short for good.
    @Test(arguments: ["Content-Length: 40\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n28\r\n"])
    func aFileThatIsShortWithAnEndIsFinal(_ head: String) async throws {
        let last = head.contains("chunked") ? "\r\n0\r\n\r\n" : ""
        let server = try LoopbackServer([
            "/a": { $0.send(Array((Self.fixed + head).utf8) + Self.image.prefix(40) + Array(last.utf8)) }
        ])
        let error = try #require(await outcome(try ImageFetcher(policy: loopbackPolicy()), server.url("/a")))
        #expect(error.code == .truncated && error.disposition == .permanent)
    }

    /// TLS that ends without its last word: OpenSSL 3 calls that an error, and the file may be whole all the same.
    @Test(arguments: [true, false])
    func tlsWithoutALastWordIsJudgedByTheImage(_ isWhole: Bool) async throws {
        let name = ScriptedName("no-notify-\(isWhole)", ["127.0.0.1"])
        let authority = try await PrivateCA()
        let server = try await ScriptedTLSServer(authority, name: name.name)
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.certificateAuthorities = authority.certificate })
        let task = Task { await outcome(fetcher, "https://\(name.name):\(server.port)/a") }
        try await server.wait(for: "GET /a")
        await server.say(Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + (isWhole ? Self.image : Self.image.dropLast(30)))
        await server.hangUp()
        let error = await task.value
        #expect(isWhole ? error == nil : error?.disposition == .retry(after: nil), "\(String(describing: error))")
    }

    // MARK: Status before size, and patience

    @Test func theStatusComesBeforeTheSize() async throws {
        let huge = "Content-Length: 99999999\r\n"
        let server = try LoopbackServer([
            "/404": { $0.send("HTTP/1.1 404 No\r\n\(huge)\r\nx") },
            "/503": {
                $0.send("HTTP/1.1 503 Later\r\nRetry-After: 7\r\n\(huge)\r\n" + String(repeating: "x", count: 1 << 20))
            },
            "/302": {
                $0.send("HTTP/1.1 302 Moved\r\nLocation: good\r\n\(huge)\r\n" + String(repeating: "x", count: 1 << 20))
            },
            "/cut": {
                $0.send("HTTP/1.1 404 No\r\nContent-Length: 1000\r\n\r\ncut")
                $0.end()
            },
            "/coded": { $0.answer(404, "no", headers: ["Content-Encoding: utf-8"]) },
            "/good": { $0.answer(200, Self.image) },
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for path in ["/404", "/cut", "/coded"] {
            let error = try #require(await outcome(fetcher, server.url(path)))
            #expect(error.code == .httpStatus(404) && error.disposition == .permanent, "\(path)")
        }
        let later = try #require(await outcome(fetcher, server.url("/503")))
        #expect(later.code == .httpStatus(503) && later.disposition == .release(after: .seconds(7)))
        #expect(await outcome(fetcher, server.url("/302")) == nil)
    }

    @Test(arguments: [("0", 1), ("00", 1), ("7", 7)])
    func retryAfterMeansRetry(_ value: String, _ seconds: Int) async throws {
        for (status, isThrottled) in [(403, true), (404, false), (410, false), (200, false), (503, true), (501, false)]
        {
            let server = try LoopbackServer([
                "/a": { $0.answer(status, "<html>wait", headers: ["Retry-After: \(value)"]) }
            ])
            let error = try #require(await outcome(try ImageFetcher(policy: loopbackPolicy()), server.url("/a")))
            #expect(error.code == .httpStatus(status))
            let after = Duration.seconds(seconds)
            #expect(error.disposition == (isThrottled ? .release(after: after) : .retry(after: after)), "\(status)")
            #expect(error.blame == (isThrottled ? .origin : .url), "\(status)")
        }
    }

    @Test func anImageIsAnImageWhateverItsHeadSays() async throws {
        let server = try LoopbackServer([
            "/a": { $0.answer(200, Self.image, headers: ["Retry-After: 7", "Content-Type: text/html"]) },
            "/b": { $0.answer(202, Self.image) },
            "/c": { $0.answer(203, Self.image, headers: ["cf-mitigated: challenge"]) },
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for path in ["/a", "/b", "/c"] { #expect(await outcome(fetcher, server.url(path)) == nil, "\(path)") }
    }

    @Test(arguments: [
        (403, "cf-mitigated: challenge"), (200, "CF-Mitigated: challenge"), (202, "x-amzn-waf-action: challenge"),
        (405, "x-amzn-waf-action: captcha"), (403, "x-vercel-mitigated: challenge"),
    ])
    func aChallengeMayPass(_ status: Int, _ field: String) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(status, "<html>Are you human?", headers: [field]) }])
        let error = try #require(await outcome(try ImageFetcher(policy: loopbackPolicy()), server.url("/a")))
        #expect(error.code == .httpStatus(status) && error.message.hasSuffix("it wants to see a browser"))
        #expect(error.disposition == .retry(after: nil) && error.blame == .origin && error.isHostFailure)
    }

    /// A part that nobody asked for is a cache's mistake; one that has all of the file is the file.
    @Test func judgesPartsThatNobodyAskedFor() async throws {
        let image = Self.image
        func part(_ range: String?, _ bytes: [UInt8] = image) -> LoopbackServer.Script {
            { $0.answer(206, bytes, headers: range.map { ["Content-Range: \($0)"] } ?? []) }
        }
        let server = try LoopbackServer([
            "/whole": part("bytes 0-\(image.count - 1)/\(image.count)"), "/silent": part(nil),
            "/first": part("bytes 0-39/\(image.count)", Array(image.prefix(40))),
            "/last": part("bytes 40-\(image.count - 1)/\(image.count)", Array(image.dropFirst(40))),
            "/unknown": part("bytes 0-39/*", Array(image.prefix(40))), "/odd": part("lines 1-2/3"),
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for path in ["/whole", "/silent"] { #expect(await outcome(fetcher, server.url(path)) == nil, "\(path)") }
        for (path, code) in [("/first", 206), ("/last", 206), ("/odd", 206), ("/unknown", 0)] {
            let error = try #require(await outcome(fetcher, server.url(path)))
            #expect(error.code == (code == 0 ? .truncated : .httpStatus(code)), "\(path)")
            #expect(error.disposition == .retry(after: nil), "\(path)")
        }
    }

    // MARK: Codings

    /// Codings that nobody knows are no reason not to look; and some servers say gzip of what is none.
    @Test(arguments: ["utf-8", "binary", "aws-chunked", "none, utf-8", "gzip", "br", "zstd", "x-unknown"])
    func looksAtFilesOfUnknownCodings(_ coding: String) async throws {
        let server = try LoopbackServer([
            "/a": { $0.answer(200, Self.image, headers: ["Content-Encoding: \(coding)"]) },
            "/b": { $0.answer(200, "<html>", headers: ["Content-Encoding: \(coding)"]) },
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        let file = try await fetcher.fetch(server.url("/a"))
        #expect(file.bytes == Self.image)
        #expect(server.requests.count == 2 && server.requests[0].contains("Accept-Encoding:"))
        #expect(!server.requests[1].contains("Accept-Encoding:"))
        let page = try #require(await outcome(fetcher, server.url("/b")))
        #expect(page.code == .notAnImage && page.disposition == .permanent)
    }

    // MARK: Redirects

    @Test func aCircleOfRedirectsIsSeenAtOnce() async throws {
        let server = try LoopbackServer([
            "/1": { $0.redirect(to: "/2#part") }, "/2": { $0.redirect(to: "/1#other") },
            "/self": { $0.redirect(to: "self") },
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for (path, count) in [("/1", 2), ("/self", 3)] {
            let error = try #require(await outcome(fetcher, server.url(path)))
            #expect(error.code == .tooManyRedirects && error.message.hasSuffix("redirects in a circle"))
            #expect(error.disposition == .permanent && server.requests.count == count)
        }
    }

    @Test(arguments: [300, 301, 302, 303, 307, 308])
    func followsEachKindOfRedirect(_ status: Int) async throws {
        let server = try LoopbackServer([
            "/a": { $0.redirect(to: "/b", status: status) }, "/b": { $0.answer(200, Self.image) },
        ])
        #expect(await outcome(try ImageFetcher(policy: loopbackPolicy()), server.url("/a")) == nil)
    }

    // MARK: Heads

    /// One line of more than libcurl takes is no want of memory of ours, and interim heads are passed over.
    @Test func heads() async throws {
        let server = try LoopbackServer([
            "/long": { $0.send("HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 200_000) + "\r\n\r\nbytes") },
            "/interim": {
                $0.send("HTTP/1.1 103 Early\r\nContent-Length: 99999999\r\nRetry-After: 9\r\n\r\n")
                $0.answer(200, Self.image)
            },
            "/trailer": {
                $0.send(
                    Array(
                        "\(Self.fixed)Transfer-Encoding: chunked\r\n\r\n\(String(Self.image.count, radix: 16))\r\n".utf8
                    )
                        + Self.image + Array("\r\n0\r\nRetry-After: 9\r\n\r\n".utf8))
            },
            "/twice": {
                $0.send("\(Self.fixed)Content-Length: 5\r\nContent-Length: 9\r\n\r\nbytes")
                $0.end()
            },
            "/switch": {
                $0.send("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n")
                $0.end()
            },
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for path in ["/interim", "/trailer"] { #expect(await outcome(fetcher, server.url(path)) == nil, "\(path)") }
        for path in ["/long", "/switch"] {
            let error = try #require(await outcome(fetcher, server.url(path)))
            #expect(error.disposition == .retry(after: nil), "\(path): \(error.code)")
        }
        let twice = await outcome(fetcher, server.url("/twice"))
        #expect(twice?.disposition != .fatal, "\(String(describing: twice))")
    }
}
