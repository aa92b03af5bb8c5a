import Annotation
import Foundation
import Queue
import Testing

@testable import Work

/// Hosts that fail for a while, and good ones with bad URLs among theirs.
@Suite struct OutageOfHostTests {
    private func attempts(_ world: World) -> Int { world.store.jobs.values.reduce(0) { $0 + $1.attemptCount } }

    /// The fault that was seen: an image that hangs, tried before a good one, kept its host parked.
    @Test(arguments: [1, 2]) func aBadImageParksNobody(badCount: Int) {
        let world = World()
        defer { world.end() }
        for index in 0..<badCount {
            world.store.enqueue(Specs.caption("https://a.org/bad\(index)"))
            world.web.urls["https://a.org/bad\(index)"] = { _ in
                SimulatedWeb.failure(.origin, "https://a.org", code: "timeout", seconds: 30)
            }
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 1000)
        #expect(world.store.parked.isEmpty && world.store.deadCount == 0)
        #expect(attempts(world) == 2 * badCount, "the others wait, since nobody knows whose fault it is")
        #expect(world.web.requests["https://a.org"]?.count ?? 0 <= 9 * badCount)
        world.store.enqueue(Specs.caption("https://a.org/good"))
        #expect(world.run(until: 1040) { world.store.doneCount == 1 }, "a good one need not wait")
        // While others come, what does not come costs its attempts.
        for index in 0..<20 {
            world.after(Double(index) * 600) { world.store.enqueue(Specs.caption("https://a.org/\(index)")) }
        }
        #expect(world.run(until: 20_000) { world.store.deadCount == badCount }, "\(attempts(world))")
        #expect(world.store.parked.isEmpty && world.store.doneCount > 1)
        #expect(daemon.checks.violations.isEmpty, "\(daemon.checks.violations.prefix(3))")
    }

    /// Every URL answers 500 for a while: no job dies of it.
    @Test func aHostThatFailsForAllItIsAskedIsLeftAlone() {
        let world = World()
        defer { world.end() }
        for index in 0..<40 { world.store.enqueue(Specs.caption("https://a.org/\(index)")) }
        world.web.answers["https://a.org"] = { _ in
            SimulatedWeb.failure(.chance(retryAfter: nil), "https://a.org", code: "http_500")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 600)
        #expect(world.store.deadCount == 0 && attempts(world) <= 3 && world.store.parked["https://a.org"] != nil)
        #expect(world.web.requests["https://a.org"]?.count ?? 0 < 15)
        world.web.answers["https://a.org"] = nil
        #expect(world.run(until: 2000) { world.store.openCount == 0 } && world.store.doneCount == 40)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// One URL that answers 500 costs its own job alone.
    @Test func aURLThatAnswers500CostsItsJobAlone() {
        let world = World()
        defer { world.end() }
        for index in 0..<200 { world.store.enqueue(Specs.caption("https://a.org/\(index)")) }
        world.web.urls["https://a.org/3"] = { _ in
            SimulatedWeb.failure(.chance(retryAfter: nil), "https://a.org", code: "http_500")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 200) { world.store.openCount == 0 })
        #expect(world.store.doneCount == 199 && world.store.deadCount == 1 && attempts(world) == 5)
        #expect(world.store.parked.isEmpty && daemon.checks.violations.isEmpty)
    }

    /// After a pause another image is tried than the one that failed.
    @Test func anotherImageIsTriedFirst() {
        let world = World()
        defer { world.end() }
        for index in 0..<10 { world.store.enqueue(Specs.caption("https://a.org/\(index)")) }
        for index in 0..<3 {
            world.web.urls["https://a.org/\(index)"] = { _ in
                SimulatedWeb.failure(.origin, "https://a.org", code: "timeout", seconds: 10)
            }
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 90) { world.store.doneCount == 7 }, "\(world.store.doneCount) at \(world.time) s")
        #expect(daemon.checks.violations.isEmpty)
    }

    /// Worlds of hosts that are down for up to two minutes, and of good ones with bad URLs: 160, or as many thousands as
    /// GLOSS_RANDOM_LIVES says.
    @Test(arguments: 0..<8) func nothingIsLostThatPasses(part: Int) {
        let thousands = ProcessInfo.processInfo.environment["GLOSS_RANDOM_LIVES"].flatMap { Int($0) }
        for number in 0..<(thousands.map { $0 * 125 } ?? 20) {
            let seed = UInt64(8 * number + part)
            let violations = OutageWorld(seed: seed).run()
            #expect(violations.isEmpty, "seed \(seed): \(violations.prefix(5))")
            if !violations.isEmpty { return }
        }
    }
}

/// Some hosts, some of them down for a while and some with bad URLs.
private final class OutageWorld {
    private let world: World
    private var bad: Set<String> = []
    private var down: Set<String> = []
    private var violations: [String] = []
    private var daemons: [SimulatedDaemon] = []

    init(seed: UInt64) {
        world = World(seed: seed)
        for host in 0..<Int(world.between(1, 4)) { add("https://\(host).org") }
        for _ in 0..<Int(world.between(1, 4)) { daemons.append(world.addDaemon()) }
    }

    /// How it fails, with which seconds.
    private func failure(_ origin: String, isHosts: Bool) -> (SimulatedDaemon) -> SimulatedWeb.Answer {
        let seconds = world.chance(0.3) ? world.between(1, 30) : 0.05
        return { _ in SimulatedWeb.failure(isHosts ? .origin : .chance(retryAfter: nil), origin, seconds: seconds) }
    }

    private func add(_ origin: String) {
        let count = Int(world.between(1, 30))
        for index in 0..<count {
            let url = "\(origin)/\(index).jpg"
            world.after(world.between(0, 20)) { [world] in world.store.enqueue(Specs.caption(url)) }
        }
        if world.chance(0.5) {
            down.insert(origin)
            // Where a daemon sees fewer than three URLs, it cannot tell whether they or their host answer 500.
            let isHosts = count < 9 || world.chance(0.5)
            let answer = failure(origin, isHosts: isHosts)
            world.after(isHosts ? world.between(0, 20) : 0) { [world] in world.web.answers[origin] = answer }
            world.after(world.between(20, 120)) { [world] in world.web.answers[origin] = nil }
        } else {
            for index in 0..<min(count, Int(world.between(0, 3))) {
                bad.insert("\(origin)/\(index).jpg")
                world.web.urls["\(origin)/\(index).jpg"] = failure(origin, isHosts: world.chance(0.5))
            }
        }
    }

    private func isTrue(_ holds: Bool, _ what: @autoclosure () -> String) { if !holds { violations.append(what()) } }

    private var goodLeft: Int {
        world.store.jobs.values.filter { !bad.contains($0.spec.imageURLs[0]) && $0.place != .done }.count
    }

    func run() -> [String] {
        defer { world.end() }
        for daemon in daemons { daemon.take(.started) }
        world.run(until: 21)
        isTrue(world.run(until: 1500) { self.goodLeft == 0 }, "\(goodLeft) good ones are left")
        for job in world.store.jobs.values {
            let url = job.spec.imageURLs[0]
            if bad.contains(url) {
                isTrue(job.attemptCount <= 5 && job.place != .done, "\(url) \(job.attemptCount)")
            } else {
                isTrue(
                    job.place == .done && job.attemptCount <= 4, "\(url): \(job.place), \(job.attemptCount) attempts")
            }
        }
        for origin in world.store.parked.keys { isTrue(down.contains(origin), "\(origin) was parked") }
        for daemon in daemons { violations += daemon.checks.violations }
        return violations
    }
}
