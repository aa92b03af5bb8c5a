import Annotation
import Queue
import Testing

@testable import Work

/// Registration, heartbeats, a database that is away, and the end.
@Suite struct LifeTests {
    private func isDrained(_ world: World, _ daemon: SimulatedDaemon, within seconds: Double) -> Bool {
        daemon.take(.drainBegan)
        return world.run(until: world.time + seconds) { daemon.stopped != nil }
    }

    private func slowEngine() -> SimulatedEngine {
        let engine = SimulatedEngine()
        (engine.image, engine.prefill, engine.token) = (0.5, 1.0, 0.04)
        return engine
    }

    @Test func registersUntilTheDatabaseIsThere() {
        let world = World()
        world.store.mood = .failing
        world.store.enqueue(Specs.caption())
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 30)
        #expect(daemon.status.phase == .registering && daemon.status.failing[.register] == "the database is away")
        world.store.mood = .well
        #expect(world.run(until: 45) { world.store.doneCount == 1 })
        #expect(daemon.status.phase == .working && daemon.status.failing.isEmpty)
    }

    @Test func stopsAtOnceWhileItRegisters() {
        let world = World()
        world.store.mood = .silent
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 3)
        daemon.take(.drainBegan)
        #expect(daemon.stopped == .asTold && daemon.status.phase == .stopped)
    }

    /// What is refused for good ends the daemon, and what it holds goes back.
    @Test func aRefusalEndsIt() {
        let world = World()
        for index in 0..<50 { world.store.enqueue(Specs.caption("https://\(index).org/a")) }
        let daemon = world.addDaemon(engine: slowEngine())
        daemon.take(.started)
        world.run(until: 5)
        world.store.mood = .refusing
        #expect(world.run(until: 60) { daemon.stopped != nil })
        #expect(daemon.stopped == .refused("permission denied"))
        #expect(daemon.checks.violations.isEmpty)
    }

    // MARK: A database that is away

    /// The engine goes on with what it holds, and its results are recorded when the database is back.
    @Test(arguments: [SimulatedStore.Mood.silent, .failing]) func theEngineGoesOn(mood: SimulatedStore.Mood) {
        let world = World()
        for index in 0..<200 { world.store.enqueue(Specs.caption("https://\(index % 20).org/a")) }
        let engine = slowEngine()
        let daemon = world.addDaemon(engine: engine)
        daemon.take(.started)
        world.run(until: 200) { world.store.heldCount(by: daemon) > 15 }
        world.store.mood = mood
        let (began, busy) = (world.time, engine.busySeconds)
        world.run(until: began + 30)
        #expect(engine.busySeconds - busy > 25, "no second of it was lost: \(engine.busySeconds - busy)")
        #expect(!daemon.status.failing.isEmpty)
        world.store.mood = .well
        #expect(world.run(until: 4000) { world.store.doneCount == 200 })
        #expect(world.store.jobs.values.allSatisfy { $0.attemptCount == 0 && $0.releases.isEmpty })
        #expect(daemon.status.failing.isEmpty && daemon.checks.violations.isEmpty)
    }

    /// Finished views that can't be kept keep nobody waiting.
    @Test func checkpointsAreNotWaitedFor() {
        let world = World()
        world.store.enqueue(Specs.object())
        let engine = slowEngine()
        let daemon = world.addDaemon(engine: engine)
        daemon.take(.started)
        world.run(until: 5) { engine.busySeconds > 0 }
        world.store.mood = .silent
        world.run(until: 100)
        #expect(engine.isIdle && engine.busySeconds > 80, "all views are computed")
        world.store.mood = .well
        #expect(world.run(until: 160) { world.store.doneCount == 1 })
        #expect(daemon.checks.violations.isEmpty)
    }

    // MARK: The end

    /// What the engine has begun is finished and recorded; the rest goes back at once.
    @Test func drainsWhatItHasBegun() {
        let world = World()
        for _ in 0..<10 { world.store.enqueue(Specs.object()) }
        let daemon = world.addDaemon(engine: slowEngine())
        daemon.take(.started)
        world.run(until: 30)
        let before = world.time
        #expect(isDrained(world, daemon, within: 120) && daemon.stopped == .asTold)
        #expect(world.time - before > 50, "the object in work is finished")
        #expect(world.store.doneCount == 1 && world.store.heldCount(by: daemon) == 0)
        #expect(world.store.jobs.values.contains { $0.releases == [.shutdown: 1] })
        #expect(world.store.jobs.values.allSatisfy { $0.attemptCount == 0 } && daemon.checks.violations.isEmpty)
    }

    @Test func theEndOfADrainIsPrompt() {
        let world = World()
        for _ in 0..<10 { world.store.enqueue(Specs.object()) }
        var settings = WorkSettings()
        settings.drainTimeout = .seconds(10)
        let daemon = world.addDaemon(settings, engine: slowEngine())
        daemon.take(.started)
        world.run(until: 30)
        #expect(isDrained(world, daemon, within: 10.1))
        #expect(world.store.doneCount == 0 && world.store.heldCount(by: daemon) == 0, "all went back")
        #expect(daemon.checks.violations.isEmpty)
    }

    /// A database that is silent delays the end by the last statements' time, and no more.
    @Test func aSilentDatabaseDoesNotDelayTheEnd() {
        let world = World()
        for _ in 0..<10 { world.store.enqueue(Specs.object()) }
        var settings = WorkSettings()
        settings.drainTimeout = .seconds(10)
        let daemon = world.addDaemon(settings, engine: slowEngine())
        daemon.take(.started)
        world.run(until: 30)
        world.store.mood = .silent
        #expect(isDrained(world, daemon, within: 20.1), "10 s to drain, twice 5 s for the last statements")
        #expect(daemon.notes.contains { if case .unrecorded = $0 { true } else { false } })
        #expect(daemon.checks.violations.isEmpty)
    }

    @Test func anIdleDaemonStopsAtOnce() {
        let world = World()
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 30)
        #expect(isDrained(world, daemon, within: 0.1))
    }

    // MARK: Leases

    /// A running job that is cancelled is not worked on any more: neither fetched nor computed nor recorded.
    @Test func aLostLeaseEndsTheWork() {
        let world = World()
        let (computing, fetching) = (
            world.store.enqueue(Specs.object(views: 2)), world.store.enqueue(Specs.caption("https://slow.org/a"))
        )
        world.web.answers["https://slow.org"] = { _ in SimulatedWeb.file("https://slow.org", seconds: 1000) }
        let daemon = world.addDaemon(engine: slowEngine())
        daemon.take(.started)
        world.run(until: 8)
        #expect(world.web.active["https://slow.org"] == 1 && !daemon.engine.isIdle)
        world.store.cancel(computing)
        world.store.cancel(fetching)
        world.run(until: 12)
        #expect(daemon.state.jobs.isEmpty && daemon.engine.isIdle && daemon.engine.waiting.isEmpty)
        #expect(world.web.active["https://slow.org"] == 0 && daemon.state.budget.files.used == 0)
        #expect(world.store.doneCount == 0 && daemon.checks.violations.isEmpty)
    }

    /// A daemon that was taken for dead drops what it holds and registers again, as another worker.
    @Test func registersAgain() {
        let world = World()
        for index in 0..<20 { world.store.enqueue(Specs.caption("https://\(index).org/a")) }
        let daemon = world.addDaemon(engine: slowEngine())
        daemon.take(.started)
        world.run(until: 10)
        let first = daemon.state.worker
        world.store.forgetWorkers()
        #expect(world.run(until: 400) { world.store.doneCount == 20 })
        #expect(daemon.state.worker != first && daemon.checks.violations.isEmpty)
    }

    /// Rescuing is for one whose own heart has beaten for longer than others may be silent: after an outage all have been silent.
    @Test func rescuesOnlyWhenItsOwnHeartIsSteady() {
        let world = World()
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 15)
        #expect(world.store.rescueCount == 0)
        world.run(until: 25)
        #expect(world.store.rescueCount > 0)
        world.store.mood = .silent
        world.run(until: 60)
        world.store.mood = .well
        let count = world.store.rescueCount
        world.run(until: 75)
        #expect(world.store.rescueCount == count, "the outage has made every daemon silent")
        world.run(until: 110)
        #expect(world.store.rescueCount > count)
    }

    /// A daemon that dies: jobs that its engine had begun are suspects, the others are not.
    @Test func onlyBegunJobsAreSuspects() {
        let world = World()
        for index in 0..<40 { world.store.enqueue(Specs.caption("https://\(index % 10).org/a")) }
        var settings = WorkSettings()
        settings.engineRows = 3
        let victim = world.addDaemon(settings, engine: slowEngine())
        victim.take(.started)
        world.run(until: 100) { world.store.heldCount(by: victim) > 10 }
        let held = world.store.jobs.values.filter { if case .leased = $0.place { true } else { false } }
        victim.kill()
        let heir = world.addDaemon()
        heir.take(.started)
        #expect(world.run(until: 400) { world.store.openCount == 0 } && world.store.deadCount == 0)
        let suspects = world.store.jobs.values.filter { $0.rescueCount > 0 }
        #expect((1...4).contains(suspects.count) && held.count > 10, "\(suspects.count) of \(held.count)")
        #expect(heir.checks.violations.isEmpty)
    }

    @Test func aPauseBreaksTheSteadyTime() {
        var (timer, start) = (SteadyTimer(longestPause: .seconds(5)), ContinuousClock.now)
        #expect([0, 4, 8, 13].map { timer.beat(start + .seconds($0)) } == [0, 4, 8, 13].map { .seconds($0) })
        start += .seconds(19)
        #expect(timer.beat(start) == .zero, "the database stood still, and every daemon was silent")
        #expect(timer.beat(start + .seconds(3)) == .seconds(3))
        timer.miss()
        #expect(timer.beat(start + .seconds(4)) == .zero)
    }
}
