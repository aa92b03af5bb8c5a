import Annotation
import Queue
import Testing

@testable import Work

/// Whether a URL fails or its origin.
@Suite struct OriginHealthTests {
    @Test func parkingDoublesUpToAQuarterOfAnHourAndHonoursRetryAfter() {
        var health = OriginHealth()
        var now = ContinuousClock.now
        #expect(health.failed("1", .origin, now) == .unclear(.seconds(300)), "others may know more of it")
        #expect(health.failed("2", .url, now) == .unclear(.seconds(300)))
        var pauses: [Duration] = []
        for _ in 0..<12 {
            guard case .parks(let pause) = health.failed("3", .origin, now) else { break }
            #expect(health.failed("4", .origin, now) == .isParked, "what was under way says nothing new")
            pauses.append(pause)
            now += pause
        }
        #expect(pauses.prefix(3) == [.seconds(15), .seconds(30), .seconds(60)] && pauses.last == .seconds(900))
        #expect(pauses.count == 12)
        health.gaveFile(of: "9", now)
        #expect(health.failed("3", .origin, now) == .urlFails, "it gave another file since")
        #expect(health.failed("3", .patience(retryAfter: .seconds(3000)), now) == .parks(.seconds(3000)))
        #expect(health.pause(now) == .seconds(3000) && health.pause(now + .seconds(3000)) == nil)
    }

    /// Nobody knows whether the URL fails or the origin: more and more time passes between attempts, and none is paid for.
    @Test func aURLAloneWaits() {
        var health = OriginHealth()
        var now = ContinuousClock.now
        var waits: [Duration] = []
        for _ in 0..<12 {
            guard case .unclear(let wait) = health.failed("1", .origin, now) else { break }
            waits.append(wait)
            now += wait
        }
        #expect(waits.dropFirst().prefix(4) == [.seconds(15), .seconds(15), .seconds(30), .seconds(60)])
        #expect(waits.count == 12 && waits.last == .seconds(3600) && health.parkingCount == 0)
    }

    /// 404 ends a row of broken URLs, though not one of an origin that fails by itself.
    @Test func anAnswerEndsARowOfBrokenURLs() {
        let now = ContinuousClock.now
        for failure in [OriginHealth.Failure.url, .origin] {
            var health = OriginHealth()
            for url in ["1", "2"] { _ = health.failed(url, failure, now) }
            health.refused(now)
            #expect((health.failed("3", failure, now) == .parks(.seconds(15))) == (failure == .origin))
        }
    }

    /// Ten thousand histories, and what must hold in each.
    @Test(arguments: 0..<10) func whateverComes(part: Int) {
        for number in 0..<1000 {
            var life = HealthLife(seed: UInt64(10 * number + part))
            for _ in 0..<60 { life.step() }
            #expect(life.violations.isEmpty, "seed \(10 * number + part): \(life.violations.prefix(3))")
            if !life.violations.isEmpty { return }
        }
    }
}

/// A random history of an origin, with books of its own.
private struct HealthLife {
    private var health = OriginHealth()
    private var random: SeededNumbers
    private var now = ContinuousClock.now
    private let urls: [String]
    private(set) var violations: [String] = []
    /// The URLs that failed since the last file, and whether that was ever the origin's by itself.
    private var failed: Set<String> = []
    private var isOrigins = false
    private var parkedUntil: Instant?
    private var wasParked = false
    private var failedAt: [String: Instant] = [:]
    private var fileAt: Instant?

    init(seed: UInt64) {
        random = SeededNumbers(seed: seed)
        let most = [1, 1, 2, 3, 6, 100].randomElement(using: &random)!
        urls = (0..<most).map { "https://a.org/\($0).jpg" }
    }

    private mutating func check(_ holds: Bool, _ what: String) { if !holds { violations.append(what) } }

    private var isParked: Bool { parkedUntil.map { now < $0 } ?? false }

    mutating func step() {
        now += .seconds([0, 1, 10, 100, 2000].randomElement(using: &random)! * random.fraction())
        let url = urls.randomElement(using: &random)!
        switch Int(random.fraction() * 10) {
        case 0:
            health.gaveFile(of: url, now)
            (failed, isOrigins, wasParked, parkedUntil, fileAt) = ([], false, false, nil, now)
            failedAt[url] = nil
        case 1:
            health.refused(now)
            if !isOrigins, !isParked { (failed, wasParked) = ([], false) }
        case 2:
            let after: Duration? = random.fraction() < 0.5 ? nil : .seconds(Int(random.fraction() * 4000))
            fail(url, .patience(retryAfter: after))
        case 3...6: fail(url, .origin)
        default: fail(url, .url)
        }
        checkPauses(url)
    }

    private mutating func fail(_ url: String, _ failure: OriginHealth.Failure) {
        let verdict = health.failed(url, failure, now)
        var isPatience = false
        if case .patience = failure { isPatience = true }
        defer { if !isPatience { failedAt[url] = now } }
        if isParked { return check(verdict == .isParked, "what was under way counted") }
        if !isPatience { failed.insert(url) }
        if failure != .url { isOrigins = true }
        let isOutage = isPatience || wasParked || failed.count >= 3
        switch verdict {
        case .parks(let pause):
            check(isOutage, "\(failed.count) URLs parked it")
            check(pause >= .seconds(1) && (isPatience || pause <= .seconds(900)), "parked for \(pause)")
            (parkedUntil, wasParked) = (now + pause, true)
        case .urlFails:
            check(!isOutage, "an outage costs an attempt")
            let gaveOther = if let fileAt, let before = failedAt[url] { fileAt >= before } else { false }
            check(failure == .url || gaveOther, "nothing shows that the origin works")
        case .unclear(let wait):
            check(!isOutage && (failure == .origin || failedAt[url] == nil || urls.count > 32), "unclear")
            check(wait >= .seconds(15) && wait <= .seconds(3600), "waits for \(wait)")
        case .isParked: check(false, "it is not parked")
        }
    }

    private mutating func checkPauses(_ url: String) {
        let left = health.pause(now)
        check(left == (isParked ? parkedUntil! - now : nil), "another pause than said")
        let own = health.pause(of: [url], now)
        check((own ?? .zero) >= (left ?? .zero), "a URL comes before the pause is over")
        check(left == nil || health.pause(of: ["https://a.org/new.jpg"], now) == left, "a new URL waits longer")
        // Nothing waits for ever.
        let end = now + (left ?? .zero) + .seconds(900)
        check(health.pause(of: urls, end) == nil, "a URL is never asked again")
        check(health.suspectCount <= 32, "\(health.suspectCount) URLs are remembered")
    }
}
