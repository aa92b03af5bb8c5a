import Foundation
import Inference
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

    /// The questions about a view stay together; answers are bounded as well as prompts.
    @Test func chunksKeepViewsTogether() {
        func query(_ job: Int, _ view: Int, _ question: Int, samples: Int = 1) -> Query {
            Query(
                job: job, view: view, question: question, images: [], prompt: "", settings: .init(samples: samples))
        }
        func sizes(_ queries: [Query], _ limit: Int) -> [Int] { chunks(queries, limit: limit).map(\.count) }
        let object = (0..<8).flatMap { view in (0..<4).map { query(1, view, $0, samples: 5) } }
        #expect(sizes(object, 32) == [32])
        #expect(sizes([query(0, 0, 0)] + object, 32) == [29, 4])
        #expect(sizes(object, 3) == Array(repeating: [3, 1], count: 8).flatMap(\.self))
        #expect(sizes((0..<6).map { query($0, 0, 0, samples: 64) }, 32) == [4, 2])
        #expect(sizes([], 32) == [])
        #expect(chunks(object, limit: 10).flatMap(\.self).map(\.question) == object.map(\.question))
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
        let failure = Failure(code: "http_404", reason: "gone", disposition: .permanent)
        metrics.reported(.failed(failure), .recorded)
        for line in metrics.text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.wholeMatch(of: /gloss_[a-z_]+(\{[a-z]+="[a-z0-9_]+"\})? [0-9.e+-]+/) != nil, "\(line)")
        }
    }
}
