import Foundation
import Queue
import Testing

@testable import Daemon

/// The daemon's states, without I/O.
@Suite struct StateTests {
    @Test func aHostIsParkedAfterThreeFailuresInARow() {
        let hosts = HostHealth()
        #expect(hosts.failed("a", retryAfter: nil) == nil)
        #expect(hosts.failed("a", retryAfter: nil) == nil)
        hosts.succeeded("a")
        #expect(hosts.failed("a", retryAfter: nil) == nil)
        #expect(hosts.failed("b", retryAfter: nil) == nil)
        #expect(hosts.failed("a", retryAfter: nil) == nil)
        #expect(hosts.failed("a", retryAfter: nil) == .seconds(15))
    }

    @Test func parkingDoublesUpToAQuarterOfAnHourAndHonoursRetryAfter() {
        let hosts = HostHealth()
        let pauses = (0..<30).compactMap { _ in hosts.failed("a", retryAfter: nil) }
        #expect(pauses.prefix(3) == [.seconds(15), .seconds(30), .seconds(60)])
        #expect(pauses.last == .seconds(900))
        _ = hosts.failed("b", retryAfter: nil)
        _ = hosts.failed("b", retryAfter: nil)
        #expect(hosts.failed("b", retryAfter: .seconds(3000)) == .seconds(3000))
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
