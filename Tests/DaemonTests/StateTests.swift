import Foundation
import Queue
import Testing

@testable import Daemon

/// The daemon's states, without I/O.
@Suite struct StateTests {
    @Test func aHostIsParkedAfterThreeFailuresInARow() {
        let hosts = HostHealth()
        #expect(hosts.failed("a") == nil)
        #expect(hosts.failed("a") == nil)
        hosts.succeeded("a")
        #expect(hosts.failed("a") == nil)
        #expect(hosts.failed("b") == nil)
        #expect(hosts.failed("a") == nil)
        #expect(hosts.pause(of: "a") == nil)
        #expect(hosts.failed("a") == .seconds(15))
        #expect(hosts.pause(of: "a") != nil && hosts.pause(of: "b") == nil)
    }

    /// A batch fails at once: that is one failure of the host, not sixty.
    @Test func whatWasUnderWayWhenAHostIsParkedSaysNothingNew() {
        let (hosts, start) = (HostHealth(), ContinuousClock.now)
        let pauses = (0..<60).compactMap { _ in hosts.failed("a", at: start) }
        #expect(pauses == [.seconds(15)])
        #expect(hosts.pause(of: "a", at: start + .seconds(5)) == .seconds(10))
        #expect(hosts.pause(of: "a", at: start + .seconds(15)) == nil)
    }

    @Test func parkingDoublesUpToAQuarterOfAnHourAndHonoursRetryAfter() {
        let hosts = HostHealth()
        var now = ContinuousClock.now
        var pauses: [Duration] = []
        for _ in 0..<12 {
            let pause = (0..<3).compactMap { _ in hosts.failed("a", at: now) }.first ?? .zero
            pauses.append(pause)
            now += pause
        }
        #expect(pauses.prefix(3) == [.seconds(15), .seconds(30), .seconds(60)])
        #expect(pauses.last == .seconds(900))
        hosts.succeeded("a")
        #expect((0..<3).compactMap { _ in hosts.failed("a", retryAfter: .seconds(3000), at: now) } == [.seconds(3000)])
    }

    @Test func onlyHeldLeasesAreLost() {
        let leases = HeldLeases()
        let (a, b) = (Lease(job: JobID(rawValue: 1), fence: 1), Lease(job: JobID(rawValue: 2), fence: 2))
        leases.add([a])
        leases.lose([a, b])
        #expect(leases.isLost(a) && !leases.isLost(b))
        leases.remove([a])
        #expect(!leases.isLost(a) && leases.all.isEmpty)
    }

    @Test func drainingEnds() {
        let drain = Drain(timeout: .zero)
        #expect(!drain.hasBegun && !drain.isOver)
        drain.begin()
        #expect(drain.hasBegun && drain.isOver)
        let patient = Drain(timeout: .seconds(1000))
        patient.begin()
        #expect(patient.hasBegun && !patient.isOver)
    }

    @Test func metricsAreValidPrometheusText() {
        let metrics = Metrics()
        metrics.fetched(bytes: 10, seconds: 0.5)
        metrics.fetchFailed(code: "http_404")
        for line in metrics.text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.wholeMatch(of: /gloss_[a-z_]+(\{[a-z]+="[a-z0-9_]+"\})? [0-9.e+-]+/) != nil, "\(line)")
        }
    }
}
