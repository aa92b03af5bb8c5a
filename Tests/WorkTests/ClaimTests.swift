import Annotation
import Queue
import Testing

@testable import Work

/// How much a daemon claims, and when.
@Suite struct ClaimTests {
    /// 86 s of an object: 32 queries of 2.7 s.
    private func slowEngine() -> SimulatedEngine {
        let engine = SimulatedEngine()
        (engine.image, engine.prefill, engine.token) = (0.5, 1.0, 0.04)
        return engine
    }

    /// 64 objects are work for both: neither takes what the other could do.
    @Test func twoDaemonsWorkToTheEnd() throws {
        let world = World()
        for _ in 0..<64 { world.store.enqueue(Specs.object()) }
        let daemons = [world.addDaemon(engine: slowEngine()), world.addDaemon(engine: slowEngine())]
        for daemon in daemons { daemon.take(.started) }
        var most = 0
        #expect(
            world.run(until: 20_000) {
                most = max(most, daemons.map { world.store.heldCount(by: $0) }.max() ?? 0)
                return world.store.openCount == 0
            })
        let fairShare = daemons.map(\.engine.busySeconds).reduce(0, +) / 2
        #expect(world.time <= 1.2 * fairShare, "\(world.time) s, fair were \(fairShare) s")
        #expect(most <= 3, "one in work, one that is fetched, one on its way to the store: \(most)")
        #expect(world.store.doneCount == 64)
        #expect(daemons.allSatisfy { $0.checks.violations.isEmpty })
    }

    /// What is urgent starts within seconds, although objects fill the queue and the engines.
    @Test
    func anUrgentJobOvertakes() throws {
        let world = World()
        for _ in 0..<64 { world.store.enqueue(Specs.object()) }
        let daemons = [world.addDaemon(engine: slowEngine()), world.addDaemon(engine: slowEngine())]
        for daemon in daemons { daemon.take(.started) }
        world.run(until: 1000) { world.store.doneCount == 10 }
        let object = world.time / 5
        let (urgent, enqueuedAt) = (world.store.enqueue(Specs.object(), priority: -100), world.time)
        #expect(world.run(until: 20_000) { world.store.jobs[urgent]?.beganAt != nil })
        #expect(world.time - enqueuedAt <= 5, "\(world.time - enqueuedAt) s, an object takes \(object) s")
        // The engine goes on with the query that it computes, and then takes the urgent ones.
        #expect(world.run(until: 20_000) { world.store.jobs[urgent]?.endedAt != nil })
        #expect(world.time - enqueuedAt <= 1.1 * object, "\(world.time - enqueuedAt) s")
        #expect(daemons.allSatisfy { world.store.heldCount(by: $0) <= 3 && $0.checks.violations.isEmpty })
    }

    /// Before costs are known one job is claimed, and few are held.
    @Test func beginsWithOneJob() {
        let world = World()
        for _ in 0..<100 { world.store.enqueue(Specs.object()) }
        let daemon = world.addDaemon(engine: slowEngine())
        daemon.take(.started)
        world.run(until: 2)
        #expect(world.store.claims.map(\.jobs).allSatisfy { $0 == 1 })
        #expect(world.store.heldCount(by: daemon) == 2, "one in work, one that is fetched")
    }

    /// Small jobs are held about 30 s ahead by their measured cost: more than two, and not all.
    @Test func holdsAMeasuredTimeAhead() {
        let world = World()
        for index in 0..<2000 { world.store.enqueue(Specs.caption("https://\(index % 50).org/a")) }
        let engine = SimulatedEngine()
        (engine.image, engine.prefill, engine.token) = (0.5, 0.5, 0.0625)  // 2 s a job at a quarter of 64 tokens
        var settings = WorkSettings()
        settings.engineRows = 4
        let daemon = world.addDaemon(settings, engine: engine)
        daemon.take(.started)
        world.run(until: 200)
        // Four run; 30 s are fifteen jobs, of which it lets half go before it claims again.
        var held: [Int] = []
        for second in 0..<100 {
            world.run(until: 200 + Double(second))
            held.append(world.store.heldCount(by: daemon))
        }
        #expect(held.allSatisfy { (10...21).contains($0) }, "\(held)")
        let weights = world.store.claims.last?.weights
        #expect(abs((weights?.tasks["caption"] ?? 0) - 0.25) < 0.01, "tokens that are decoded, not those allowed")
        #expect(abs((weights?.token ?? 0) - 0.0625) < 0.001 && abs((weights?.prefill ?? 0) - 0.5) < 0.001)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// Costs that turn out ten times as high: what others could do goes back, and costs no attempt.
    @Test func givesBackWhatTurnsOutTooMuch() {
        let world = World()
        for index in 0..<200 { world.store.enqueue(Specs.caption("https://\(index % 50).org/a")) }
        let engine = SimulatedEngine()
        (engine.image, engine.prefill, engine.token) = (0.1, 0.1, 0.01)
        var settings = WorkSettings()
        settings.engineRows = 2
        let daemon = world.addDaemon(settings, engine: engine)
        daemon.take(.started)
        world.run(until: 60) { world.store.heldCount(by: daemon) > 50 }
        (engine.image, engine.prefill, engine.token) = (10, 10, 1)
        world.run(until: 800)
        #expect(world.store.heldCount(by: daemon) <= 6)
        let releases = world.store.jobs.values.reduce(0) { $0 + ($1.releases[.surplus] ?? 0) }
        #expect(releases > 20 && world.store.jobs.values.allSatisfy { $0.attemptCount == 0 })
        #expect(daemon.checks.violations.isEmpty)
    }

    @Test func aNotificationWakesADaemonThatFoundNothing() {
        let world = World()
        var settings = WorkSettings()
        settings.pollInterval = .seconds(3600)
        let daemon = world.addDaemon(settings)
        daemon.take(.started)
        world.run(until: 100)
        #expect(world.store.claims.count == 1, "it does not ask again and again")
        world.store.enqueue(Specs.caption())
        #expect(world.run(until: 101) { world.store.doneCount == 1 })
    }

    /// A notification that comes while a claim is under way is not forgotten.
    @Test func aNotificationDuringAClaimIsKept() {
        var harness = Harness()
        harness.register()
        harness.take(.memory(free: .max))
        harness.take(.claimed([], by: harness.worker))
        #expect(harness.take(.wokenUp(isNotified: false)).contains { if case .claim = $0 { true } else { false } })
        harness.take(.wokenUp(isNotified: true))
        let effects = harness.take(.claimed([], by: harness.worker))
        #expect(effects.contains { if case .claim = $0 { true } else { false } })
    }

    /// A claim that the database finds too large is asked for with half the bytes.
    @Test func aClaimThatIsTooLargeIsHalved() {
        let world = World()
        world.store.enqueue(Specs.caption())
        world.store.mostClaimBytes = 1 << 20
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 30) { world.store.doneCount == 1 })
        #expect(world.store.claims.prefix(4).map(\.bytes) == [8 << 20, 4 << 20, 2 << 20, 1 << 20])
        #expect(daemon.checks.violations.isEmpty)
    }

    /// Leases of which a living daemon knows nothing go back, however they came about.
    @Test func leasesThatNobodyWorksOnGoBack() throws {
        let world = World()
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 5)
        for index in 0..<20 { world.store.enqueue(Specs.caption("https://\(index).org/a")) }
        world.store.leaseUnknown(20, to: try #require(daemon.state.worker), world.now)
        #expect(world.run(until: 60) { world.store.doneCount == 20 }, "\(world.store.doneCount)")
        #expect(daemon.checks.violations.isEmpty)
    }

    /// A claim whose answer was lost may have leased jobs: they go back before the next claim.
    @Test func jobsOfALostAnswerGoBack() {
        let world = World(seed: 3)
        for index in 0..<300 { world.store.enqueue(Specs.caption("https://\(index % 9).org/a")) }
        world.store.lossProbability = 0.2
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 600) { world.store.openCount == 0 })
        let gaveBack = daemon.notes.contains { if case .gaveBack = $0 { true } else { false } }
        #expect(gaveBack && world.store.doneCount == 300 && daemon.checks.violations.isEmpty)
    }
}
