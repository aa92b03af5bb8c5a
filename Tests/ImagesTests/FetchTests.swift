import Foundation
import TestSupport
import Testing

@testable import Images

@Suite struct FetchTests {
    @Test func fetchesAFile() async throws {
        let file = try Fixtures.file("photo.jpg")
        let server = try LoopbackServer(["/a.jpg": { $0.answer(200, file, headers: ["Content-Type: image/jpeg"]) }])
        let fetched = try await ImageFetcher(policy: loopbackPolicy()).fetch(server.url("/a.jpg"))
        #expect(fetched.bytes == file)
        #expect(fetched.sha256 == SHA256Digest.hex(file))
        #expect(fetched.contentType == "image/jpeg")
        #expect(fetched.finalURL == server.url("/a.jpg"))
        #expect(fetched.remoteAddress == "127.0.0.1")
        #expect(fetched.seconds > 0)
        #expect(server.requests.first?.contains("User-Agent: Gloss/") == true)
    }

    @Test func keepsConnectionsAlive() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, "bytes") }])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for _ in 0..<20 { #expect(try await fetcher.fetch(server.url("/a")).bytes == Array("bytes".utf8)) }
        #expect(server.requests.count == 20)
    }

    @Test(arguments: [400, 401, 403, 404, 405, 410, 451, 418])
    func takesClientErrorsForPermanent(_ status: Int) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(status, "no") }])
        let error = try await fetchError(server.url("/a"))
        #expect(error?.code == .httpStatus(status))
        #expect(error?.disposition == .permanent)
        #expect(error?.isHostFailure == false)
    }

    @Test(arguments: [408, 425, 500, 502, 503, 504])
    func retriesLater(_ status: Int) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(status, "later") }])
        let error = try await fetchError(server.url("/a"))
        #expect(error?.code == .httpStatus(status))
        #expect(error?.disposition == .retry(after: nil))
        #expect(error?.isHostFailure == [502, 503, 504].contains(status))
    }

    @Test(arguments: [("120", 120), ("999999", 3600), ("nonsense", nil)] as [(String, Int?)])
    func readsRetryAfter(_ value: String, _ seconds: Int?) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(503, "", headers: ["Retry-After: \(value)"]) }])
        let error = try await fetchError(server.url("/a"))
        #expect(error?.retryAfter == seconds.map { .seconds($0) })
    }

    @Test func readsRetryAfterDates() async throws {
        let form = DateFormatter()
        form.locale = Locale(identifier: "en_US_POSIX")
        form.timeZone = TimeZone(identifier: "GMT")
        form.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        let date = form.string(from: Date(timeIntervalSinceNow: 600))
        let server = try LoopbackServer(["/a": { $0.answer(429, "", headers: ["Retry-After: \(date)"]) }])
        let wait = try #require(try await fetchError(server.url("/a"))?.retryAfter)
        #expect((Duration.seconds(590)...Duration.seconds(601)).contains(wait))
    }

    @Test func refusesEmptyFiles() async throws {
        let server = try LoopbackServer([
            "/a": { $0.answer(200, "") }, "/b": { $0.send("HTTP/1.1 204 None\r\n\r\n") },
        ])
        for path in ["/a", "/b"] {
            let error = try await fetchError(server.url(path))
            #expect(error?.code == .emptyBody)
            #expect(error?.disposition == .permanent)
        }
    }

    @Test func capsAnnouncedAndEndlessBodies() async throws {
        let server = try LoopbackServer([
            "/announced": { $0.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nx") },
            "/endless": {
                $0.send("HTTP/1.1 200 OK\r\n\r\n")
                while $0.send([UInt8](repeating: 1, count: 65536)) {}
            },
        ])
        for path in ["/announced", "/endless"] {
            let error = try await fetchError(server.url(path), loopbackPolicy { $0.maxBytes = 1 << 20 })
            #expect(error?.code == .tooLarge)
            #expect(error?.disposition == .permanent)
        }
    }

    @Test func acceptsExactlyTheCap() async throws {
        let server = try LoopbackServer(["/a": { $0.answer(200, [UInt8](repeating: 7, count: 5000)) }])
        #expect(try await fetchError(server.url("/a"), loopbackPolicy { $0.maxBytes = 5000 }) == nil)
        #expect(try await fetchError(server.url("/a"), loopbackPolicy { $0.maxBytes = 4999 })?.code == .tooLarge)
    }

    @Test func capsAfterContentDecoding() async throws {
        let server = try LoopbackServer([
            "/a": { $0.answer(200, zippedZeros, headers: ["Content-Encoding: gzip"]) }
        ])
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        #expect(try await fetcher.fetch(server.url("/a")).bytes.count == 65536)
        let error = try await fetchError(server.url("/a"), loopbackPolicy { $0.maxBytes = 10_000 })
        #expect(error?.code == .tooLarge)
    }

    @Test func retriesBrokenTransfers() async throws {
        let server = try LoopbackServer([
            "/short": {
                $0.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
                $0.end()
            },
            "/reset": {
                $0.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                $0.reset()
            },
            "/silent": { $0.end() },
        ])
        for path in ["/short", "/reset", "/silent"] {
            let error = try await fetchError(server.url(path))
            #expect(error?.code == .connectionLost, "\(path)")
            #expect(error?.disposition == .retry(after: nil))
        }
    }

    @Test func retriesRefusedConnections() async throws {
        let port = try LoopbackServer([:]).port  // gone again
        let error = try await fetchError("http://127.0.0.9:\(port)/")
        #expect(error?.code == .connectFailed)
        #expect(error?.disposition == .retry(after: nil))
        #expect(error?.isHostFailure == true)
    }

    @Test func stopsAtTheDeadline() async throws {
        let server = try LoopbackServer(["/hang": { $0.waitForHangUp() }])
        let error = try await fetchError(server.url("/hang"), loopbackPolicy { $0.totalTimeout = .milliseconds(150) })
        #expect(error?.code == .timeout)
        #expect(error?.disposition == .retry(after: nil))
        #expect(error?.isHostFailure == true)
    }

    @Test func givesUpOnDrips() async throws {
        let server = try LoopbackServer([
            "/drip": {
                $0.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while $0.send("x") && !$0.waitForHangUp(milliseconds: 50) {}
            }
        ])
        let error = try await fetchError(server.url("/drip"), loopbackPolicy { $0.throughputWindow = .seconds(1) })
        #expect(error?.code == .tooSlow)
        #expect(error?.disposition == .retry(after: nil))
    }

    @Test func refusesWhatIsNotHTTP() async throws {
        let server = try LoopbackServer([
            "/noise": {
                $0.send("SSH-2.0-OpenSSH\r\n")
                $0.end()
            },
            "/headers": { exchange in
                exchange.send("HTTP/1.1 200 OK\r\n")
                while exchange.send("X-Padding: \(String(repeating: "x", count: 1000))\r\n") {}
            },
        ])
        for path in ["/noise", "/headers"] {
            #expect(try await fetchError(server.url(path))?.code == .badResponse, "\(path)")
        }
    }
}

/// 65,536 zeros in gzip.
private let zippedZeros = [UInt8](
    Data(
        base64Encoded:
            "H4sIAAAAAAACA+3BAQEAAACAkP6v7ggKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            + "AAAAAAAAAAAAAAAAauuOl9cAAAEA") ?? Data())
