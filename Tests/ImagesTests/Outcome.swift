import Foundation
import TestSupport

@testable import Images

/// A row of docs/fetching.md's table: what happens, and what becomes of it.
struct Outcome {
    /// What happens.
    let what: String
    let code: ImageError.Code
    let disposition: ImageError.Disposition
    let blame: ImageError.Blame
    /// How it is brought about here; or the test that does so elsewhere.
    let cause: Cause

    enum Cause {
        /// A server's answer to `/a`.
        case answer(LoopbackServer.Script)
        /// A server's answer to the object `s3://images/a`.
        case object(LoopbackServer.Script)
        /// A URL under a policy.
        case url(String, FetchPolicy)
        /// A test that brings it about.
        case elsewhere(String)
    }

    /// As docs/fetching.md has it.
    var row: String {
        let test = if case .elsewhere(let name) = cause { name } else { "OutcomeTests" }
        let word = code == .httpStatus(0) ? "http_404" : code.word
        return "| \(what) | `\(word)` | \(fate) | \(owner) | \(test) |"
    }

    private var fate: String {
        switch disposition {
        case .permanent: "dead"
        case .retry: "again, for an attempt"
        case .release: "again, for free"
        case .fatal: "waits, the daemon pauses"
        }
    }

    private var owner: String {
        switch blame {
        case .url: "the URL's"
        case .origin: "the origin's"
        case .ourselves: "ours"
        }
    }

    /// A cause that each code has but once is named by it.
    private init(
        _ what: String, _ code: ImageError.Code, _ disposition: ImageError.Disposition, _ blame: ImageError.Blame,
        _ cause: Cause
    ) {
        (self.what, self.code, self.disposition, self.blame, self.cause) = (what, code, disposition, blame, cause)
    }

    private static let again = ImageError.Disposition.retry(after: nil)
    private static let image = (try? Fixtures.file("palette.png")) ?? []

    /// All of them.
    static let all: [Outcome] = requests + network + answers + files + ours

    private static let requests: [Outcome] = [
        Outcome("a text that is no URL", .invalidURL, .permanent, .url, .url("example.org/a.jpg", FetchPolicy())),
        Outcome(
            "another scheme, or a bucket that is not allowed", .schemeNotAllowed, .permanent, .url,
            .url("s3://images/a", FetchPolicy())),
        Outcome(
            "a port that is not allowed", .portNotAllowed, .permanent, .url,
            .url("http://example.org:22/", FetchPolicy())),
        Outcome("a user name in the URL", .userinfo, .permanent, .url, .url("http://a@example.org/", FetchPolicy())),
        Outcome(
            "an address that is not public", .addressNotAllowed, .permanent, .url,
            .url("http://10.0.0.1/", FetchPolicy())),
        Outcome(
            "a local file elsewhere than below `fetch.local_roots`", .pathNotAllowed, .permanent, .url,
            .url("file:///etc/passwd", loopbackPolicy { $0.localRoots = ["/usr"] })),
        Outcome(
            "a local file that is not there", .fileNotFound, .permanent, .url,
            .url("file:///usr/none", loopbackPolicy { $0.localRoots = ["/usr"] })),
        Outcome(
            "more redirects than are followed, or a circle", .tooManyRedirects, .permanent, .url,
            .answer { $0.redirect(to: "/a") }),
    ]

    private static let network: [Outcome] = [
        Outcome(
            "a name that does not exist, beside others that do", .hostNotFound, .permanent, .origin,
            .elsewhere("OutageTests.believesANameServerThatKnowsOtherNames")),
        Outcome(
            "a name whose name server does not answer", .nameServerFailure, again, .origin,
            .elsewhere("OutageTests.oneSilentDomainIsItsOwnFault")),
        Outcome(
            "a refused connection, or no route beside hosts that answer", .connectFailed, again, .origin,
            .url("http://127.0.0.9:1/", loopbackPolicy())),
        Outcome(
            "a connection that ends before the announced length", .connectionLost, again, .url,
            .answer {
                $0.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
                $0.end()
            }),
        Outcome(
            "a connection that ends without an answer", .connectionLost, again, .origin, .answer { $0.end() }),
        Outcome("a TLS handshake that fails", .tls, again, .origin, .elsewhere("OutcomeTests.tlsThatIsNone")),
        Outcome(
            "a certificate that is not valid, beside others that are", .badCertificate, .permanent, .origin,
            .elsewhere("OutageTests.onlyATrustedServerShowsThatACertificateIsBad")),
        Outcome("no answer in time", .timeout, again, .origin, .elsewhere("FetchTests.stopsAtTheDeadline")),
        Outcome("less than the least throughput", .tooSlow, again, .origin, .elsewhere("FetchTests.givesUpOnDrips")),
        Outcome(
            "an origin that is parked", .originParked, .release(after: nil), .origin,
            .elsewhere("ParkTests.asksNothingOfAParkedOrigin")),
        Outcome(
            "a robots.txt that cannot be had", .robotsUnreachable, .release(after: nil), .origin,
            .elsewhere("OptOutTests.whatRobotsMean")),
        Outcome(
            "a site that does not want its images used", .optedOut, .permanent, .url,
            .elsewhere("OptOutTests.headersOfTheImage")),
    ]

    private static let answers: [Outcome] = [
        Outcome("a status that stays", .httpStatus(0), .permanent, .url, .elsewhere("OutcomeTests.eachStatus")),
        Outcome(
            "a status that passes", .httpStatus(500), again, .url, .answer { $0.answer(500, "") }),
        Outcome(
            "a status that speaks of the whole host", .httpStatus(503), again, .origin, .answer { $0.answer(503, "") }),
        Outcome(
            "the same, or 403, with `Retry-After`", .httpStatus(403), .release(after: .seconds(7)), .origin,
            .answer { $0.answer(403, "", headers: ["Retry-After: 7"]) }),
        Outcome(
            "too many requests", .httpStatus(429), .release(after: nil), .origin, .answer { $0.answer(429, "") }),
        Outcome(
            "any other answer with `Retry-After` that is no image", .httpStatus(404), .retry(after: .seconds(7)), .url,
            .answer { $0.answer(404, "", headers: ["Retry-After: 7"]) }),
        Outcome(
            "a challenge for browsers", .httpStatus(403), again, .origin,
            .answer { $0.answer(403, "<html>", headers: ["cf-mitigated: challenge"]) }),
        Outcome(
            "HTTP 202 without an image", .httpStatus(202), again, .url, .answer { $0.answer(202, "<html>soon") }),
        Outcome(
            "HTTP 206 with a part of the file", .httpStatus(206), again, .url,
            .answer { $0.answer(206, image.prefix(9), headers: ["Content-Range: bytes 0-8/900"]) }),
        Outcome(
            "what is no HTTP, or damaged", .badResponse, again, .url,
            .answer {
                $0.send("SSH-2.0-OpenSSH\r\n")
                $0.end()
            }),
        Outcome(
            "a file with more bytes than are taken", .tooLarge, .permanent, .url,
            .answer { $0.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nx") }),
        Outcome("an empty file", .emptyBody, .permanent, .url, .answer { $0.answer(200, "") }),
        Outcome(
            "an empty answer of unknown length", .emptyBody, again, .url,
            .answer {
                $0.send("HTTP/1.1 200 OK\r\n\r\n")
                $0.end()
            }),
        Outcome(
            "an object store that refuses our key", .credentials, .permanent, .url,
            .object { $0.answer(403, "<Error><Code>AccessDenied</Code></Error>") }),
        Outcome(
            "a key that has expired, or a clock that is wrong", .credentials, again, .url,
            .object { $0.answer(403, "<Error><Code>ExpiredToken</Code></Error>") }),
        Outcome(
            "an object store that asks for fewer requests", .httpStatus(503), .release(after: .seconds(1)), .origin,
            .object { $0.answer(503, "<Error><Code>SlowDown</Code></Error>") }),
    ]

    private static let files: [Outcome] = [
        Outcome(
            "a file that is no image, such as an error page with status 200", .notAnImage, .permanent, .url,
            .answer { $0.answer(200, "<!doctype html><title>502 Bad Gateway</title>") }),
        Outcome(
            "an image of another format", .unsupportedFormat, .permanent, .url,
            .answer { $0.answer(200, "8BPS\0\u{1}" + String(repeating: "\0", count: 90)) }),
        Outcome(
            "a file that ends too soon, as long as announced", .truncated, .permanent, .url,
            .answer { $0.answer(200, image.prefix(60)) }),
        Outcome(
            "a file that ends too soon, and nothing said where it ends", .truncated, again, .url,
            .answer {
                $0.send(Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + image.prefix(60))
                $0.end()
            }),
        Outcome(
            "a damaged file", .corrupt, .permanent, .url,
            .answer { $0.answer(200, image.prefix(29) + [99, 99] + image.dropFirst(31)) }),
        Outcome(
            "an image with more pixels than are decoded", .tooManyPixels, .permanent, .url,
            .elsewhere("DamagedFileTests.refusesHugeImagesUnread")),
        Outcome(
            "an image with a side shorter than `images.min_side`", .tooSmall, .permanent, .url,
            .elsewhere("FormatTests.wantsNoSmallImages")),
        Outcome(
            "an image longer and narrower than `images.max_aspect_ratio`", .aspectRatio, .permanent, .url,
            .elsewhere("FormatTests.wantsNoNarrowImages")),
        Outcome(
            "a file that `images.placeholders` lists", .placeholder, .permanent, .url,
            .elsewhere("DecoderTests.decodesWhatIsWanted")),
        Outcome(
            "a decoder that dies of the file", .decoderFailed, again, .url,
            .elsewhere("DecoderTests.saysHowADecoderDied")),
        Outcome(
            "a decoder that computes too long", .decoderCPULimit, .permanent, .url,
            .elsewhere("DecoderTests.saysHowADecoderDied")),
        Outcome(
            "a decoder that is late by the clock", .decoderLate, .release(after: nil), .ourselves,
            .elsewhere("DecoderTests.givesUpOnADecoderThatHangs")),
    ]

    private static let ours: [Outcome] = [
        Outcome(
            "no name server, no route, no host, or no certificate that works", .outage, .fatal, .ourselves,
            .elsewhere("OutageTests.aNameServerThatKnowsNothingIsOurOwnOutage")),
        Outcome("no memory", .outOfMemory, .fatal, .ourselves, .elsewhere("CurlFailureTests.anyAllocationMayFail")),
        Outcome(
            "no sockets, no processes", .localFailure, .fatal, .ourselves,
            .elsewhere("DecoderTests.saysThatNoneCanBeStarted")),
        Outcome(
            "the daemon stood still meanwhile", .stoodStill, .release(after: nil), .ourselves,
            .elsewhere("ImageTests.aStandstillIsNobodysFault")),
        Outcome(
            "a cancelled job, or the daemon's end", .cancelled, .release(after: nil), .ourselves,
            .elsewhere("ConcurrencyTests.cancellingAbortsTheTransfer")),
    ]
}

/// A row of docs/fetching.md's table of statuses.
struct StatusOutcome {
    let row: String
    let statuses: [Int]
    /// Without `Retry-After`, and with 7 seconds in it.
    let plain, patient: (ImageError.Disposition, ImageError.Blame)

    private static let dead = (ImageError.Disposition.permanent, ImageError.Blame.url)
    private static let again = (ImageError.Disposition.retry(after: nil), ImageError.Blame.url)
    private static let later = (ImageError.Disposition.retry(after: .seconds(7)), ImageError.Blame.url)
    private static let host = (ImageError.Disposition.retry(after: nil), ImageError.Blame.origin)
    private static let free = (ImageError.Disposition.release(after: .seconds(7)), ImageError.Blame.origin)

    /// Those with a row of their own.
    private static let special: [StatusOutcome] = [
        StatusOutcome(
            row: "| 304, 408, 409, 421, 423, 425, 499 | again, for an attempt | again then, for an attempt |",
            statuses: [304, 408, 409, 421, 423, 425, 499], plain: again, patient: later),
        StatusOutcome(
            row: "| 403 | dead | again then, for free; the origin's |", statuses: [403], plain: dead, patient: free),
        StatusOutcome(
            row: "| 429 | again, for free; the origin's | again then, for free; the origin's |", statuses: [429],
            plain: (.release(after: nil), .origin), patient: free),
        StatusOutcome(
            row:
                "| 420, 430, 502, 503, 504, 509, 520–527, 529, 530 | again, for an attempt; the origin's | again then, for free; the origin's |",
            statuses: [420, 430, 502, 503, 504, 509, 529, 530] + Array(520...527), plain: host, patient: free),
    ]

    /// All of 300 to 599, where no redirect is followed, and a number that is none.
    static let all: [StatusOutcome] = {
        let known = Set(special.flatMap(\.statuses))
        let servers = StatusOutcome(
            row: "| every other 5xx | again, for an attempt | again then, for an attempt |",
            statuses: (500...599).filter { !known.contains($0) }, plain: again, patient: later)
        let others = StatusOutcome(
            row: "| every other | dead | again then, for an attempt |",
            statuses: (300...499).filter { !known.contains($0) } + [999], plain: dead, patient: later)
        return special + [servers, others]
    }()
}

/// A row of docs/fetching.md's table of what an origin's failures mean together. `Work.OriginHealth` decides it.
struct OriginOutcome {
    let what, owner, fate, test: String

    var row: String { "| \(what) | \(owner) | \(fate) | \(test) |" }

    static let all = [
        OriginOutcome(
            what: "one or two URLs fail with the URL's fault", owner: "the URL's", fate: "again, for an attempt",
            test: "OutageOfHostTests.aURLThatAnswers500CostsItsJobAlone"),
        OriginOutcome(
            what: "one or two URLs fail with the origin's fault, and it gives other files", owner: "the URL's",
            fate: "again, for an attempt", test: "OutageOfHostTests.aBadImageParksNobody"),
        OriginOutcome(
            what: "the same, and it gives no other file meanwhile", owner: "not known",
            fate: "again, for two attempts; then for free, later and later",
            test: "OutageOfHostTests.aBadImageParksNobody"),
        OriginOutcome(
            what: "three URLs fail in a row, with whatever fault", owner: "the origin's: it is parked",
            fate: "again, for free", test: "OutageOfHostTests.aHostThatFailsForAllItIsAskedIsLeftAlone"),
        OriginOutcome(
            what: "one that was parked fails again", owner: "the origin's: it is parked for longer",
            fate: "again, for free",
            test: "OriginHealthTests.parkingDoublesUpToAQuarterOfAnHourAndHonoursRetryAfter"),
        OriginOutcome(
            what: "somebody resumes one that is parked", owner: "nobody's", fate: "at once, on every daemon",
            test: "ResumedHostTests.jobsOfAResumedHostGoOn"),
        OriginOutcome(
            what: "a host fails for longer than `give_up_after`", owner: "the origin's",
            fate: "dead, `host_unavailable`", test: "CleanTests.aJobThatOnlyWaitsForItsHostDies"),
    ]
}
