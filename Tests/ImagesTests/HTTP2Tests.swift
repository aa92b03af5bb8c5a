import Foundation
import TestSupport
import Testing

@testable import Images

/// Servers whose HTTP/2 breaks: the same fetch asks in HTTP/1.1, and so do all that follow. No attempt is lost.
@Suite(.timeLimit(.minutes(5))) struct HTTP2Tests {
    private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
    private static let acknowledgement: [UInt8] = [0, 0, 0, 4, 1, 0, 0, 0, 0]

    /// A frame about stream `last`, with an error's number.
    private static func frame(_ type: UInt8, last: UInt8, error: UInt8) -> [UInt8] {
        type == 7
            ? [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, error]
            : [0, 0, 4, 3, 0, 0, 0, 0, last, 0, 0, 0, error]
    }

    /// What a server says once it was asked for stream 1, and whether it ends the connection: some clients would wait, and others keep
    /// it, and this server has but one.
    private static let breaks: [(name: String, bytes: [UInt8], hangsUp: Bool)] = [
        ("GOAWAY, nothing done", frame(7, last: 0, error: 0), false),
        ("GOAWAY, in the middle", frame(7, last: 1, error: 2), true),
        ("refused", frame(3, last: 1, error: 7), false), ("internal error", frame(3, last: 1, error: 2), true),
        ("HTTP/1.1 required", frame(3, last: 1, error: 13), true),
        ("a bad frame", [0, 0, 1, 6, 0, 0, 0, 0, 0, 9], false),
        ("nonsense", Array("no frames at all, but text".utf8), false), ("nothing", [], true),
    ]

    @Test(arguments: breaks.indices)
    func asksInHTTP1WhenHTTP2Breaks(_ index: Int) async throws {
        let (name, bytes, hangsUp) = Self.breaks[index]
        let host = ScriptedName("h2-\(index)", ["127.0.0.1"])
        let authority = try await PrivateCA()
        let server = try await ScriptedTLSServer(authority, name: host.name, protocols: "h2,http/1.1")
        let fetcher = try ImageFetcher(policy: loopbackPolicy { $0.certificateAuthorities = authority.certificate })
        let url = "https://\(host.name):\(server.port)/a"
        let speaker = Task {
            // Each connection in HTTP/2 breaks; libcurl itself may try some.
            var (breakCount, answerCount) = (0, 0)
            while answerCount < 2 {
                if server.count("PRI * HTTP/2") > breakCount {
                    breakCount += 1
                    await server.say(Self.settings + Self.acknowledgement + bytes)
                    if hangsUp { await server.hangUp() }
                } else if server.count("GET /a") > answerCount {
                    answerCount += 1
                    await server.say(
                        Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbytes".utf8))
                }
                try Task.checkCancellation()
                await Task.yield()
            }
        }
        #expect(try await fetcher.fetch(url).bytes == Array("bytes".utf8), "\(name)")
        let count = server.count("PRI * HTTP/2")
        #expect(count >= 1, "\(name)")
        #expect(try await fetcher.fetch(url).bytes == Array("bytes".utf8), "\(name)")
        // Remembered: HTTP/1.1 at once. (Where it is required, libcurl itself sees to it, each time.)
        if name != "HTTP/1.1 required" { #expect(server.count("PRI * HTTP/2") == count, "\(name)") }
        speaker.cancel()
    }

    /// A server that says 421 of a connection, or 505 of a version, is asked in HTTP/1.1. Over HTTP/1.1 there is nothing left to try.
    @Test(arguments: [421, 505])
    func aStatusOfTheVersionIsRetried(_ status: Int) async throws {
        let server = try LoopbackServer(["/a": { $0.answer(status, "") }])
        let error = try await fetchError(server.url("/a"))
        #expect(error?.code == .httpStatus(status) && error?.disposition == .retry(after: nil))
        #expect(server.requests.count == 1)
    }

    @Test func remembersSoManyOriginsForAnHour() {
        var origins = HTTP1Origins<ContinuousClock.Instant>(limit: 3)
        let start = ContinuousClock.now
        for name in ["a", "b", "a", "c", "d"] { origins.insert(name, now: start) }
        let known = ["a", "b", "c", "d"].filter { origins.contains($0, now: start) }
        #expect(known == ["a", "c", "d"])
        #expect(
            origins.contains("d", now: start + .seconds(3599)) && !origins.contains("d", now: start + .seconds(3600)))
    }
}
