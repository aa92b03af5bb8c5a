import Annotation
import Queue
import Testing

@testable import Work

/// Hosts that are slow, busy, dead or lead elsewhere.
@Suite struct OriginTests {
    private func enqueue(_ world: World, _ count: Int, _ origin: String) {
        for index in 0..<count { world.store.enqueue(Specs.caption("\(origin)/\(index).jpg")) }
    }

    private func attempts(_ world: World) -> Int { world.store.jobs.values.reduce(0) { $0 + $1.attemptCount } }

    /// 150 jobs of a host that takes a second each stand before 150 of a fast one.
    @Test func aSlowHostAtTheHeadHoldsUpNobodyElse() {
        let world = World()
        enqueue(world, 150, "https://slow.org")
        enqueue(world, 150, "https://fast.org")
        world.web.answers["https://slow.org"] = { _ in SimulatedWeb.file("https://slow.org", seconds: 1) }
        let daemon = world.addDaemon()
        daemon.take(.started)
        func done(_ origin: String) -> Int {
            world.store.jobs.values.filter { $0.place == .done && $0.spec.imageURLs[0].hasPrefix(origin) }.count
        }
        #expect(world.run(until: 8) { done("https://fast.org") > 0 }, "the first fast one after \(world.time) s")
        #expect(world.run(until: 30) { done("https://fast.org") == 150 }, "\(done("https://fast.org")) are done")
        #expect(world.run(until: 120) { world.store.openCount == 0 }, "\(world.store.openCount) are left")
        #expect(world.time < 60, "the slow ones take 37.5 s, four at a time: \(world.time) s")
        #expect(attempts(world) == 0 && world.store.deadCount == 0)
        #expect(daemon.checks.violations.isEmpty, "\(daemon.checks.violations.prefix(3))")
    }

    /// Hosts that hang leave places and bytes for others.
    @Test func hangingHostsLeaveRoom() {
        let world = World()
        var settings = WorkSettings()
        (settings.maxFetches, settings.fileBytes, settings.maxFileBytes) = (16, 16 << 20, 1 << 20)
        for host in 0..<8 {
            enqueue(world, 8, "https://hang\(host).org")
            world.web.answers["https://hang\(host).org"] = { _ in
                SimulatedWeb.failure(.origin, "https://hang\(host).org", code: "timeout", seconds: 60)
            }
        }
        enqueue(world, 30, "https://good.org")
        let daemon = world.addDaemon(settings)
        daemon.take(.started)
        #expect(world.run(until: 20) { world.store.doneCount == 30 }, "\(world.store.doneCount) at \(world.time) s")
        #expect(daemon.checks.violations.isEmpty)
    }

    /// Every second request gets 429 with Retry-After: 1.
    @Test func patienceThatIsAskedForCostsNoAttempt() {
        let world = World()
        enqueue(world, 200, "https://busy.org")
        var count = 0
        world.web.answers["https://busy.org"] = { _ in
            count += 1
            return count % 2 == 0
                ? SimulatedWeb.failure(.busyOrigin(retryAfter: .seconds(1)), "https://busy.org", code: "http_429")
                : SimulatedWeb.file("https://busy.org")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 1000) { world.store.openCount == 0 }, "\(world.store.openCount) left")
        #expect(world.store.doneCount == 200 && attempts(world) == 0)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// A redirects to B, which asks for a minute's patience: B is asked a few times, not once for each of A's 600 jobs.
    @Test func aParkedTargetIsLeftAlone() {
        let world = World()
        enqueue(world, 600, "https://a.org")
        enqueue(world, 20, "https://c.org")
        world.web.answers["https://b.org"] = { _ in
            SimulatedWeb.failure(.busyOrigin(retryAfter: .seconds(60)), "https://b.org", code: "http_429")
        }
        world.web.answers["https://a.org"] = world.web.redirect(to: "https://b.org")
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 50)
        #expect(world.web.requests["https://b.org"]?.count ?? 0 <= 4)
        #expect(world.web.requests["https://a.org"]?.count ?? 0 <= 12, "A is known to lead to B")
        #expect(world.store.doneCount == 20 && attempts(world) == 0)
        #expect(world.store.jobs.values.contains { $0.releases[.host] != nil })
        world.run(until: 200)
        #expect(world.web.requests["https://b.org"]?.count ?? 0 <= 12, "and again each time that its pause is over")
        world.web.answers["https://b.org"] = nil
        #expect(world.run(until: 1000) { world.store.openCount == 0 })
        #expect(daemon.checks.violations.isEmpty)
    }

    /// A host asks for an hour's patience. A person says after half a minute that it is well: its jobs go on within seconds, whichever
    /// daemon left it alone, and whether their URLs lead there or are its own.
    @Test(arguments: [false, true], [1, 3]) func aHostThatIsTakenUpGoesOn(isTarget: Bool, daemonCount: Int) {
        let world = World()
        enqueue(world, 40, isTarget ? "https://a.org" : "https://b.org")
        world.web.answers["https://b.org"] = { _ in
            SimulatedWeb.failure(.busyOrigin(retryAfter: .seconds(3600)), "https://b.org", code: "http_429")
        }
        if isTarget { world.web.answers["https://a.org"] = world.web.redirect(to: "https://b.org") }
        let daemons = (0..<daemonCount).map { _ in world.addDaemon() }
        for daemon in daemons { daemon.take(.started) }
        world.run(until: 30)
        #expect(world.store.parked["https://b.org"] != nil && world.store.doneCount == 0)
        world.web.answers["https://b.org"] = nil
        world.store.unpark("https://b.org")
        #expect(world.run(until: 60) { world.store.openCount == 0 }, "\(world.store.openCount) are left")
        #expect(world.store.deadCount == 0 && attempts(world) == 0)
        #expect(daemons.allSatisfy { $0.checks.violations.isEmpty })
    }

    /// Taken up too early, it is left alone again, after one request and at no cost.
    @Test(arguments: [ImageFailure.Blame.busyOrigin(retryAfter: .seconds(3600)), .origin])
    func aHostThatIsTakenUpAndStillFailsIsParkedAgain(blame: ImageFailure.Blame) {
        let world = World()
        enqueue(world, 40, "https://b.org")
        world.web.answers["https://b.org"] = { _ in SimulatedWeb.failure(blame, "https://b.org", code: "down") }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 10)
        let (paid, asked) = (attempts(world), world.web.requests["https://b.org"]?.count ?? 0)
        #expect(world.store.parked["https://b.org"] != nil)
        world.store.unpark("https://b.org")
        #expect(world.run(until: 14) { world.store.parked["https://b.org"] != nil }, "it is not parked again")
        #expect(attempts(world) == paid && world.web.requests["https://b.org"]?.count == asked + 1)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// Jobs of a dead host wait without burning attempts, released for the host's sake: the store bounds that.
    @Test func jobsOfADeadHostAreReleasedForTheHost() {
        let world = World()
        enqueue(world, 20, "https://dead.org")
        enqueue(world, 20, "https://good.org")
        world.web.answers["https://dead.org"] = { _ in
            SimulatedWeb.failure(.origin, "https://dead.org", code: "connect_failed")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 600)
        #expect(world.store.doneCount == 20 && world.store.deadCount == 0)
        #expect(attempts(world) <= 4, "those before it was known that the host is dead: \(attempts(world))")
        let dead = world.store.jobs.values.filter { $0.spec.imageURLs[0].hasPrefix("https://dead.org") }
        #expect(dead.allSatisfy { $0.releases.keys.allSatisfy { $0 == .host } && $0.releases[.host] ?? 0 > 0 })
        #expect(world.store.parked["https://dead.org"] != nil, "all daemons know")
        #expect(world.web.requests["https://dead.org"]?.count ?? 0 < 20)
    }

    /// No more requests at a time than the host allows to all daemons together.
    @Test func daemonsShareWhatAHostAllows() {
        let world = World()
        enqueue(world, 400, "https://a.org")
        let daemons = (0..<2).map { _ in world.addDaemon() }
        for daemon in daemons { daemon.take(.started) }
        world.run(until: 5)
        world.web.answers["https://a.org"] = { _ in SimulatedWeb.file("https://a.org", seconds: 0.2) }
        #expect(world.run(until: 300) { world.store.openCount == 0 })
        #expect((3...8).contains(world.web.mostActive["https://a.org"] ?? 0))
        #expect(daemons.allSatisfy { $0.state.origins.daemonCount == 2 })
    }

    /// A list of the web names many hosts: what is known of those at rest is forgotten.
    @Test func hostsAtRestAreForgotten() {
        var origins = Origins(WorkSettings())
        let now = ContinuousClock.now
        for index in 0..<10_000 {
            let at = now + .seconds(index)
            origins.enqueue(FileID(index), "https://\(index).org", at)
            _ = origins.next(at) { _ in true }
            let origin = "https://\(index).org"
            _ = origins.failed(origin, via: origin, url: "\(origin)/a.jpg", .origin, reason: "", at)
            origins.ended(FileID(index), "https://\(index).org", seconds: nil, at)
        }
        #expect(origins.recordCount <= 2048 && origins.activeCount == 0)
    }

    @Test func whatIsParkedIsRemembered() {
        var origins = Origins(WorkSettings())
        var now = ContinuousClock.now
        let patience = OriginHealth.Failure.patience(retryAfter: .seconds(3000))
        #expect(origins.failed("a", via: "a", url: "a/1", patience, reason: "", now) == .parks(.seconds(3000)))
        #expect(origins.pause(of: "a", now)?.left == .seconds(3000) && origins.parked(now) == ["a"])
        now += .seconds(3000)
        #expect(origins.pause(of: "a", now) == nil && origins.parked(now).isEmpty)
        for index in 1...3 { _ = origins.failed("b", via: "b", url: "b/\(index)", .origin, reason: "", now) }
        #expect(origins.parked(now) == ["b"] && origins.spareCount("b", now) == 0)
        #expect(origins.succeeded("b", via: "b", url: "b/1", now) == ["b"] && origins.parked(now).isEmpty)
    }
}
