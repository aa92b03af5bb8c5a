import Foundation
@testable import Inference
import Queue
import Synchronization
import TestSupport
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

    /// Only what waits for that host is given up.
    @Test func fetchesOfAParkedHostAreGivenUp() async {
        let fetches = Fetches<String>()
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        func fetch(_ host: String, until gate: AsyncStream<Void>) -> Task<Bool, Never> {
            Task {
                await fetches.run(host) {
                    start.yield()
                    for await _ in gate {}
                    return Task.isCancelled
                }
            }
        }
        let (never, _) = AsyncStream.makeStream(of: Void.self)
        let (gate, end) = AsyncStream.makeStream(of: Void.self)
        let (slow, other) = (fetch("a", until: never), fetch("b", until: gate))
        var begun = started.makeAsyncIterator()
        for _ in 0..<2 { await begun.next() }
        fetches.cancel("a")
        #expect(await slow.value)
        end.finish()
        #expect(await !other.value)
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

    @Test func aPauseBreaksTheRhythm() {
        var (rhythm, start) = (Rhythm(longestPause: .seconds(5)), ContinuousClock.now)
        #expect([0, 4, 8, 13].map { rhythm.beat(at: start + .seconds($0)) } == [0, 4, 8, 13].map { .seconds($0) })
        start += .seconds(19)
        #expect(rhythm.beat(at: start) == .zero, "the database stood still, and every daemon was silent")
        #expect(rhythm.beat(at: start + .seconds(3)) == .seconds(3))
        rhythm.miss()
        #expect(rhythm.beat(at: start + .seconds(4)) == .zero)
    }

    @Test func onlyHeldLeasesAreLost() {
        let leases = HeldLeases()
        let (a, b) = (Lease(job: JobID(rawValue: 1), fence: 1), Lease(job: JobID(rawValue: 2), fence: 2))
        leases.add([a])
        leases.lose([a, b])
        #expect(leases.isLost(a) && !leases.isLost(b))
        leases.remove([a])
        #expect(!leases.isLost(a) && leases.all.isEmpty)
        leases.add([a])
        leases.move([a], to: .record)
        #expect(leases.lose([a]).isEmpty, "gone because it was recorded a moment ago")
    }

    @Test func leasesThatAreLostAreTold() async {
        let (losses, loss) = AsyncStream.makeStream(of: [Lease].self)
        let leases = HeldLeases(onLoss: { loss.yield($0) })
        let held = Lease(job: JobID(rawValue: 1), fence: 1)
        leases.add([held])
        leases.lose([held, Lease(job: JobID(rawValue: 2), fence: 2)])
        #expect(await losses.first { _ in true } == [held])
        leases.remove([held])
        #expect(await leases.removals.first { _ in true } != nil)
        #expect(leases.count == 0)
    }

    @Test func imagesWaitInOrderForRoom() async {
        let room = ImageRoom(limit: 10)
        #expect(await room.enter(20), "more than there is, but alone")
        let next = Task { await room.enter(9) }
        room.leave(20)
        #expect(await next.value)
        let given = Task { await room.enter(2) }
        given.cancel()
        #expect(await !given.value)
        #expect(await room.enter(1))
        room.leave(10)
        #expect(await room.enter(10))
    }

    @Test func reportsAreTakenTogetherUntilTheEnd() async {
        let outbox = Outbox()
        let job = ClaimedJob(lease: Lease(job: JobID(rawValue: 1), fence: 1), spec: Samples.caption())
        let report = JobReport(job, Samples.completed())
        outbox.put([report])
        outbox.put([report, report])
        #expect(await outbox.take()?.count == 3)
        outbox.put([report])
        outbox.finish()
        #expect(await outbox.take()?.count == 1)
        #expect(await outbox.take() == nil)
    }

    @Test func freeMemoryIsThatOfTheControlGroup() {
        #expect(FreeMemory.groupPath("1:cpu:/old\n0::/system.slice/glossd.service\n") == "/system.slice/glossd.service")
        #expect(FreeMemory.groupPath("") == "/")
        let stat = "anon 5\ninactive_file 300\nactive_file 7\n"
        #expect(FreeMemory.left(limit: "1000\n", used: "800\n", stat: stat) == 500)
        #expect(FreeMemory.left(limit: "700\n", used: "1100\n", stat: stat) == 0)
        #expect(FreeMemory.left(limit: "max\n", used: "800\n", stat: stat) == nil)
        #expect(FreeMemory.kilobytes("MemAvailable", in: "MemFree:  1 kB\nMemAvailable:   77 kB\n") == 77)
        #expect(FreeMemory.bytes() > 0 && FreeMemory.bytes() < 1 << 50)
        #expect((64 << 20...4 << 30).contains(FreeMemory.keyValueBytes()))
    }

    /// A thread that has no work turns; a call that hangs becomes the oldest, however many others end.
    @Test func aWatchdogTellsStandingStillFromHavingNothingToDo() {
        let turns = Atomic(0)
        let watchdog = Watchdog(threads: [("thread", { turns.load(ordering: .relaxed) })])
        func turn() { turns.add(1, ordering: .relaxed) }
        #expect(watchdog.standing().isEmpty)
        #expect(watchdog.standing() == ["thread"])
        turn()
        let (hanging, other) = (watchdog.began("decode"), watchdog.began("claim"))
        #expect(watchdog.standing().isEmpty, "it has just begun")
        turn()
        watchdog.ended(other)
        #expect(watchdog.standing() == ["decode"])
        watchdog.ended(hanging)
        let next = watchdog.began("decode")
        #expect(watchdog.standing().isEmpty, "another one, and the thread has turned")
        watchdog.ended(next)
        #expect(watchdog.standing() == ["thread"])
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
        let last = ClaimedJob(
            lease: Lease(job: JobID(rawValue: 1), fence: 1), attempt: 2, maxAttempts: 2, spec: Samples.caption())
        metrics.reported(JobReport(last, .failed(failure)), .recorded)
        metrics.reported(JobReport(last, Samples.failed(.retry(after: nil))), .recorded)
        #expect(metrics.text.contains("gloss_jobs_ended_total{outcome=\"dead\"} 2.0"), "the last attempt ends the job")
        metrics.condition.holdUp("no memory")
        var statistics = Scheduler.Statistics()
        (statistics.seconds.extend, statistics.extendCount, statistics.extendRowCount) = (2, 10, 300)
        metrics.computed(statistics)
        metrics.spent(.idle, seconds: 4)
        #expect(metrics.stages["extend"] == StageTotals(seconds: 2, units: 10, rows: 300))
        #expect(metrics.text.contains("gloss_stage_rows_total{stage=\"extend\"} 300.0"))
        #expect(metrics.text.contains("gloss_held_up 1.0") && metrics.text.contains("gloss_database_up 1.0"))
        #expect(metrics.text.contains("gloss_engine_idle_seconds_total 4.0"))
        for line in metrics.text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.wholeMatch(of: /gloss_[a-z_]+(\{[a-z]+="[a-z0-9_]+"\})? [0-9.e+-]+/) != nil, "\(line)")
        }
    }
}
