import Annotation
import Foundation
import Queue
import Testing

@testable import Work

/// Thousands of random lives of a daemon: whatever the store, the web, the engine and the operator do, the books balance.
@Suite struct RandomTests {
    /// More than the thousand of a short run: as many thousands as GLOSS_RANDOM_LIVES says.
    private static let thousands = ProcessInfo.processInfo.environment["GLOSS_RANDOM_LIVES"].flatMap { Int($0) } ?? 1

    @Test(arguments: 0..<8) func everyLeaseEndsOnce(part: Int) {
        var seen = Checks.Seen()
        for number in 0..<Self.thousands * 125 {
            let seed = UInt64(8 * number + part)
            let life = RandomLife(seed: seed)
            let violations = life.run()
            seen.add(life.seen)
            #expect(violations.isEmpty, "seed \(seed): \(violations.prefix(5))")
            if !violations.isEmpty { return }
        }
        #expect(seen.isComplete, "what these lives are to have in them: \(seen)")
    }
}

/// One random life: settings, jobs, faults and an end, all from a seed.
final class RandomLife {
    private let world: World
    private let settings: WorkSettings
    private var daemon: SimulatedDaemon
    private var dead: [SimulatedDaemon] = []
    private let origins: [String]
    private var enqueuedCount = 0
    private var isToldToStop = false

    init(seed: UInt64) {
        world = World(seed: seed)
        var settings = WorkSettings()
        settings.maxJobs = Int(world.between(1, 20))
        settings.ahead = .seconds(world.between(0, 20))
        settings.maxFetches = Int(world.between(1, 12))
        settings.fetchesPerOrigin = Int(world.between(1, 6))
        settings.maxFileBytes = 1000
        settings.fileBytes = Int(world.between(500, 6000))
        settings.imageBytes = 100
        settings.pixelBytes = Int(world.between(50, 1500))
        settings.decoders = Int(world.between(1, 4))
        settings.engineRows = Int(world.between(1, 60))
        settings.drainTimeout = .seconds(world.between(0, 20))
        self.settings = settings
        let engine = SimulatedEngine()
        engine.token = world.between(0.0001, 0.01)
        daemon = world.addDaemon(settings, engine: engine)
        daemon.slowness = world.chance(0.5) ? world.between(0, 0.1) : 0
        origins = (0..<6).map { "\($0 % 2 == 0 ? "https" : "http")://\($0).org" }
        world.web.decodeBytes = 100
        script()
    }

    var seen: Checks.Seen { (dead + [daemon]).reduce(into: Checks.Seen()) { $0.add($1.checks.seen) } }

    func run() -> [String] {
        daemon.take(.started)
        for _ in 0..<Int(world.between(1, 60)) { enqueue(after: world.between(0, 60)) }
        for _ in 0..<Int(world.between(0, 8)) { disturb(after: world.between(0, 90)) }
        world.run(until: world.between(5, 150))
        isToldToStop = true
        daemon.take(.drainBegan)
        let limit = settings.drainTimeout / .seconds(1) + 2 * (settings.farewell / .seconds(1)) + 1
        let end = world.time + limit
        world.run(until: end) { self.daemon.stopped != nil }
        daemon.checks.isTrue(daemon.stopped != nil, "the drain did not end")
        // What was under way ends later, and nothing comes of it.
        world.run(until: end + 60)
        daemon.checks.atTheEnd(daemon.state)
        defer { world.end() }
        return (dead + [daemon]).flatMap(\.checks.violations)
    }

    private func enqueue(after seconds: Double) {
        let origin = origins.randomElement(using: &world.random)!
        let views = Int(world.between(1, 9))
        // Half of them are about the same images.
        enqueuedCount += 1
        let name = enqueuedCount % 2 == 0 ? "a" : "\(enqueuedCount)"
        var spec = world.chance(0.6) ? Specs.caption("\(origin)/\(name).jpg") : object(views, origin)
        if world.chance(0.3) {
            spec.imageURLs = spec.imageURLs.map { _ in "\(origins.randomElement(using: &world.random)!)/b.jpg" }
        }
        if world.chance(0.05) { spec.imageURLs = spec.imageURLs.map { _ in "data:image/png;base64,AA" } }
        let priority = Int(world.between(-2, 3))
        world.after(seconds) { [world] in world.store.enqueue(spec, priority: priority) }
    }

    /// Half of the objects have follow-up questions; some ignore all that the engine can say.
    private func object(_ views: Int, _ origin: String) -> JobSpec {
        let followUps = ["what colour is the {answer}?", "what is it?", "what is the {answer} made of?"]
        let count = world.chance(0.5) ? Int(world.between(1, 4)) : 0
        let ignored = world.chance(0.05) ? (0..<100).map { "word \($0)" } : []
        return Specs.object(views: views, origin, followUps: Array(followUps.prefix(count)), ignored: ignored)
    }

    /// Answers of all kinds from each origin. The world holds them, so they do not hold it.
    private func script() {
        let blames: [ImageFailure.Blame] = [
            .image, .chance(retryAfter: nil), .origin, .busyOrigin(retryAfter: nil),
            .busyOrigin(retryAfter: .seconds(1)),
            .network(.name, isPermanent: true), .network(.route, isPermanent: false),
            .network(.certificate, isPermanent: true), .machine(wantedBytes: nil), .standstill, .lateDecoder,
            .parkedOrigin, .ownNetwork,
        ]
        let failureRate = world.chance(0.5) ? world.between(0, 0.4) : 0
        for origin in origins {
            let favourite = blames.randomElement(using: &world.random)!
            world.web.answers[origin] = { [unowned world, origins] _ in
                let seconds = world.chance(0.1) ? world.between(1, 10) : world.between(0.01, 0.5)
                if world.chance(failureRate) {
                    let blame = world.chance(0.7) ? favourite : blames.randomElement(using: &world.random)!
                    let blamed = world.chance(0.8) ? origin : origins.randomElement(using: &world.random)!
                    return SimulatedWeb.failure(blame, blamed, seconds: seconds)
                }
                return SimulatedWeb.file(origin, seconds: seconds, byteCount: Int(world.between(1, 1000)))
            }
        }
        let decodeFailureRate = world.chance(0.3) ? 0.1 : 0
        world.web.decodeFailure = { [unowned world] _ in
            guard world.chance(decodeFailureRate) else { return nil }
            let blame = ([.image, .killedDecoder, .lateDecoder, .machine(wantedBytes: nil)] as [ImageFailure.Blame])
                .randomElement(using: &world.random)!
            return ImageFailure(code: "decode", message: "decode", blame: blame)
        }
        let engineFailureRate = world.chance(0.3) ? 0.03 : 0
        daemon.engine.failure = { [unowned world] _ in
            guard world.chance(engineFailureRate) else { return nil }
            return EngineFailure(code: "e", message: "e", isEngineFault: world.chance(0.5))
        }
        world.store.lossProbability = world.chance(0.3) ? 0.1 : 0
    }

    /// The daemon dies, and another one begins; none does once it was told to stop, whether it has looked at that or not.
    private func die() {
        guard daemon.state.phase == .working, !isToldToStop else { return }
        daemon.kill()
        dead.append(daemon)
        let engine = SimulatedEngine()
        (engine.token, engine.failure) = (daemon.engine.token, daemon.engine.failure)
        let slowness = daemon.slowness
        daemon = world.addDaemon(settings, engine: engine)
        daemon.slowness = slowness
        daemon.take(.started)
    }

    /// Something that an operator, a machine or a network does.
    private func disturb(after seconds: Double) {
        let kind = Int(world.between(0, 11))
        let length = world.between(1, 40)
        world.after(seconds) { [self] in
            switch kind {
            case 0, 1:
                world.store.mood = kind == 0 ? .failing : .silent
                if world.chance(0.2) { world.store.problem.kind = .tooLarge }
                world.after(length) { [world] in
                    world.store.mood = .well
                    world.store.problem.kind = .passing
                }
            case 2:
                daemon.freeMemory = 50
                world.after(length) { [self] in daemon.freeMemory = 1 << 40 }
            case 3: world.store.forgetWorkers()
            case 4: for id in world.store.jobs.keys.sorted() where world.chance(0.3) { world.store.cancel(id) }
            case 5: if world.chance(0.2) { world.store.mood = .refusing }
            case 6: die()
            case 7, 8, 9:
                // Together, so that what is gone on with is about other images.
                die()
                for url in Set(world.store.jobs.values.flatMap(\.spec.imageURLs)).sorted() {
                    if world.chance(0.7) { world.web.changes[url, default: 0] += 1 }
                }
            default:
                let part = ImageFailure.NetworkPart.allCases.randomElement(using: &world.random)!
                world.web.everywhere = { origin, _ in
                    SimulatedWeb.failure(.network(part, isPermanent: part == .name), origin)
                }
                world.after(length) { [world] in world.web.everywhere = nil }
            }
        }
    }
}
