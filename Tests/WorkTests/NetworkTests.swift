import Annotation
import Queue
import Testing

@testable import Work

/// Failures that may be this machine's own: nobody's jobs die of them.
@Suite struct NetworkTests {
    private func attempts(_ world: World) -> Int { world.store.jobs.values.reduce(0) { $0 + $1.attemptCount } }

    private func isHeldUp(_ daemon: SimulatedDaemon) -> Bool { daemon.status.holdup != nil }

    /// 40 jobs of 40 hosts; one daemon's resolver says of each that it does not exist, the other's is well.
    @Test(arguments: [
        ImageFailure.Blame.network(.name, isPermanent: true), .network(.certificate, isPermanent: true),
        .network(.route, isPermanent: false), .network(.name, isPermanent: false),
    ])
    func oneSickDaemonKillsNothing(blame: ImageFailure.Blame) throws {
        let world = World()
        for index in 0..<40 { world.store.enqueue(Specs.caption("https://host\(index).org/a.jpg")) }
        let sick = world.addDaemon()
        let well = world.addDaemon()
        world.web.everywhere = { origin, daemon in
            daemon === sick ? SimulatedWeb.failure(blame, origin, code: "host_not_found") : nil
        }
        sick.take(.started)
        world.run(until: 20)
        #expect(isHeldUp(sick), "it says that it can't work")
        #expect(try #require(sick.status.holdup).contains("reaches none of several hosts"))
        well.take(.started)
        #expect(world.run(until: 300) { world.store.openCount == 0 }, "\(world.store.openCount) left")
        #expect(world.store.doneCount == 40 && world.store.deadCount == 0)
        #expect(attempts(world) == 0, "and none costs an attempt")
        #expect(sick.checks.violations.isEmpty && well.checks.violations.isEmpty)
    }

    /// The network comes back: the daemon finds out with a job now and then, and goes on.
    @Test func anOutageEnds() {
        let world = World()
        for index in 0..<60 { world.store.enqueue(Specs.caption("https://host\(index).org/a.jpg")) }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 100) { world.store.doneCount >= 20 }
        var requestCount = 0
        world.web.everywhere = { origin, _ in
            requestCount += 1
            return SimulatedWeb.failure(.network(.route, isPermanent: false), origin)
        }
        world.run(until: world.time + 3600)
        #expect(isHeldUp(daemon) && attempts(world) == 0 && world.store.deadCount == 0)
        #expect(requestCount < 60, "an hour's outage is not knocked at all the time: \(requestCount)")
        let released = world.store.jobs.values.filter { $0.releases[.outage] ?? 0 > 0 }
        #expect(!released.isEmpty && world.store.heldCount(by: daemon) <= 1)
        world.web.everywhere = nil
        #expect(world.run(until: world.time + 3600) { world.store.openCount == 0 }, "\(world.store.openCount) left")
        #expect(!isHeldUp(daemon) && world.store.doneCount == 60)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// A host that does not exist, among others that do: its job is dead with the next success elsewhere.
    @Test func aSuccessElsewhereMakesAFailureCertain() throws {
        let world = World()
        let missing = world.store.enqueue(Specs.caption("https://missing.org/a.jpg"))
        for index in 0..<20 { world.store.enqueue(Specs.caption("https://host\(index).org/a.jpg")) }
        world.web.answers["https://missing.org"] = { _ in
            SimulatedWeb.failure(.network(.name, isPermanent: true), "https://missing.org", code: "host_not_found")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 30) { world.store.jobs[missing]?.endedAt != nil })
        #expect(
            world.store.jobs[missing]?.place == .dead("host_not_found") && world.store.jobs[missing]?.attemptCount == 1)
        #expect(world.run(until: 60) { world.store.doneCount == 20 } && !isHeldUp(daemon))
    }

    /// A certificate may be wrong because this machine's clock is: an answer without TLS says nothing of that.
    @Test func onlyTLSShowsThatTheClockIsRight() {
        let world = World()
        let bad = world.store.enqueue(Specs.caption("https://bad.org/a.jpg"))
        for index in 0..<5 { world.store.enqueue(Specs.caption("http://host\(index).org/a.jpg")) }
        world.web.answers["https://bad.org"] = { _ in
            SimulatedWeb.failure(.network(.certificate, isPermanent: true), "https://bad.org", code: "bad_certificate")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 4) { world.store.doneCount == 5 }
        #expect(world.store.doneCount == 5 && world.store.jobs[bad]?.endedAt == nil)
        world.store.enqueue(Specs.caption("https://good.org/a.jpg"))
        #expect(world.run(until: 60) { world.store.jobs[bad]?.endedAt != nil })
        #expect(daemon.checks.violations.isEmpty)
    }

    /// One host that does not exist and nothing else to fetch: each try burns an attempt, until the host is left alone for a while.
    @Test func aLoneFailureDoesNotWaitForEver() {
        let world = World()
        let lone = world.store.enqueue(Specs.caption("https://missing.org/a.jpg"))
        world.web.answers["https://missing.org"] = { _ in
            SimulatedWeb.failure(.network(.name, isPermanent: true), "https://missing.org", code: "host_not_found")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 600)
        let job = world.store.jobs[lone]
        #expect((1...3).contains(job?.attemptCount ?? 0) && job?.releases[.host] ?? 0 > 0, "\(String(describing: job))")
        #expect(world.store.parked.isEmpty, "other daemons may see the host")
        #expect(!isHeldUp(daemon) && daemon.checks.violations.isEmpty)
    }

    @Test func whatAnOriginShows() {
        func shown(_ origin: String) -> Set<ImageFailure.NetworkPart> { ImageFailure.NetworkPart.shown(by: origin) }
        #expect(shown("https://a.org") == [.name, .certificate, .route])
        #expect(shown("http://a.org:8080") == [.name, .route])
        #expect(shown("http://10.0.0.1:80") == [.route] && shown("https://[fe80::1]") == [.certificate, .route])
        #expect(shown("") == [])
    }
}
