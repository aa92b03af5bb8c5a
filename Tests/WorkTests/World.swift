import Annotation
import Queue

@testable import Work

/// A world for daemons: a store, a web, engines and a clock that jumps from event to event. Everything random comes from a seed.
final class World {
    /// A thing that will happen.
    private struct Coming {
        let at: Instant
        let number: Int
        let action: () -> Void
    }

    let start = ContinuousClock.now
    private(set) var now: Instant
    var random: SeededNumbers
    let store: SimulatedStore
    let web = SimulatedWeb()
    private(set) var daemons: [SimulatedDaemon] = []
    private var coming: [Coming] = []
    private var lastNumber = 0

    init(seed: UInt64 = 1) {
        now = start
        random = SeededNumbers(seed: seed)
        store = SimulatedStore()
    }

    @discardableResult
    func addDaemon(_ settings: WorkSettings = WorkSettings(), engine: SimulatedEngine = SimulatedEngine())
        -> SimulatedDaemon
    {
        let daemon = SimulatedDaemon(
            number: daemons.count, settings, engine, self, seed: UInt64.random(in: 0..<1 << 32, using: &random))
        daemons.append(daemon)
        return daemon
    }

    /// Seconds since the beginning.
    var time: Double { (now - start) / .seconds(1) }

    func after(_ seconds: Double, _ action: @escaping () -> Void) {
        lastNumber += 1
        let one = Coming(at: now + .seconds(max(0, seconds)), number: lastNumber, action: action)
        // A binary search: what is due first stands last.
        var (low, high) = (0, coming.count)
        while low < high {
            let middle = (low + high) / 2
            if (coming[middle].at, coming[middle].number) > (one.at, one.number) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        coming.insert(one, at: low)
    }

    func chance(_ probability: Double) -> Bool { random.fraction() < probability }

    func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * random.fraction() }

    /// Forgets what would still come: it holds the daemons, which hold the world.
    func end() { coming = [] }

    /// Goes on until nothing more comes, a time is reached or a condition holds; whether it holds.
    @discardableResult
    func run(until end: Double, _ isDone: () -> Bool = { false }) -> Bool {
        while !isDone() {
            guard let next = coming.last, next.at <= start + .seconds(end) else {
                now = max(now, start + .seconds(end))
                return false
            }
            coming.removeLast()
            now = next.at
            next.action()
        }
        return true
    }
}

/// A daemon of the simulated world: carries effects out, and checks each.
final class SimulatedDaemon {
    let number: Int
    let settings: WorkSettings
    let engine: SimulatedEngine
    unowned let world: World
    private(set) var state: WorkState
    let checks: Checks
    private(set) var stopped: StopReason?
    private(set) var status = WorkStatus()
    private(set) var notes: [Note] = []
    var freeMemory = 1 << 40
    /// Seconds until it looks at what happened, at most.
    var slowness = 0.0
    private var pending: [Event] = []
    private var avoided: [String: Instant] = [:]
    private var timer = 0
    private var cancelled: Set<FileID> = []
    private var urls: [FileID: String] = [:]
    private var fileOf: [ImageID: FileID] = [:]
    /// The statements that are under way.
    private(set) var statements: [Statement: Int] = [:]
    /// The daemon ended without a word.
    private(set) var isKilled = false

    init(number: Int, _ settings: WorkSettings, _ engine: SimulatedEngine, _ world: World, seed: UInt64) {
        (self.number, self.settings, self.engine, self.world) = (number, settings, engine, world)
        let identity = EngineIdentity(model: "m", digest: "digest", precision: "f32", version: "1")
        state = WorkState(
            settings, engine: EngineDescription(identity: identity, vocabulary: NoVocabulary()),
            originOf: SimulatedWeb.origin, seed: seed, now: world.now)
        checks = Checks(settings)
        engine.daemon = self
    }

    func avoids(_ origin: String) -> Bool { avoided[origin].map { $0 > world.now } ?? false }

    func kill() { isKilled = true }

    /// Hands an event in, and carries the effects out; with others, if it takes its time.
    func take(_ event: Event) {
        guard slowness > 0 else { return take([event]) }
        pending.append(event)
        guard pending.count == 1 else { return }
        world.after(world.between(0, slowness)) { [self] in
            let events = pending
            pending = []
            take(events)
        }
    }

    private func take(_ events: [Event]) {
        guard !isKilled else { return }
        for event in events { checks.before(event, world.now) }
        let effects = state.handle(events, now: world.now)
        if stopped != nil { checks.isTrue(effects.isEmpty, "effects after the end") }
        for effect in effects {
            checks.effect(effect, world.now, freeMemory: freeMemory)
            carryOut(effect)
        }
        checks.after(state)
    }

    func take(_ event: Event, after seconds: Double) { world.after(seconds) { [self] in take(event) } }

    private func carryOut(_ effect: Effect) {
        switch effect {
        case .fetch(let file, let url): fetch(file, url)
        case .cancelFetch(let file): cancelled.insert(file)
        case .discardFile: break
        case .decode(let image, let file, _, _):
            fileOf[image] = file
            take(.imageMeasured(image, decodeBytes: world.web.decodeBytes), after: 0.001)
        case .proceed(let image): decode(image)
        case .refuse(let image):
            let failure = ImageFailure(code: "cancelled", message: "refused", blame: .cancelled)
            take(.imageFailed(image, failure), after: 0.001)
        case .discard: break
        case .avoid(let origin, let pause): avoided[origin] = world.now + pause
        case .allow(let origin): avoided[origin] = nil
        case .share: break
        case .submit(let queries): engine.submit(queries)
        case .cancelQueries(let queries): engine.cancel(queries)
        case .letGo: break
        case .askWaiting: take(.waiting(engine.waiting), after: 0.05)
        case .measureMemory: take(.memory(free: freeMemory), after: 0.001)
        case .setTimer(let instant):
            timer += 1
            let mine = timer
            world.after((instant - world.now) / .seconds(1)) { [self] in if mine == timer { take(.timer) } }
        case .status(let status): self.status = status
        case .note(let note): notes.append(note)
        case .stop(let reason): stopped = reason
        case .waitForWork(let timeout): wait(timeout)
        default: carryOutStatement(effect)
        }
    }

    private func wait(_ timeout: Duration) {
        var isOver = false
        let wake = { [self] (isNotified: Bool) in
            if isOver { return }
            isOver = true
            take(.wokenUp(isNotified: isNotified))
        }
        world.after(timeout / .seconds(1)) { wake(false) }
        world.store.onEnqueue { [self] in world.after(0.002) { wake(true) } }
    }

    private func fetch(_ file: FileID, _ url: String) {
        urls[file] = url
        let answer = world.web.answer(url, self)
        let isHeard = { [self] in !cancelled.contains(file) }
        if let headers = answer.headers {
            world.after(headers) { [self] in if isHeard() { take(.fileSized(file, byteCount: answer.byteCount)) } }
        }
        var isOver = false
        world.after(answer.seconds) { [self] in
            guard isHeard() else { return }
            isOver = true
            world.web.ended(url)
            switch answer.result {
            case .success(let fetched): take(.fileFetched(file, fetched))
            case .failure(let failure): take(.fileFailed(file, failure))
            }
        }
        watchCancellation(file, url) { isOver }
    }

    /// A cancelled fetch ends soon, and says so.
    private func watchCancellation(_ file: FileID, _ url: String, _ isOver: @escaping () -> Bool) {
        world.after(0.05) { [self] in
            if isOver() { return }
            guard cancelled.contains(file) else { return watchCancellation(file, url, isOver) }
            world.web.ended(url)
            take(.fileFailed(file, ImageFailure(code: "cancelled", message: "cancelled", blame: .cancelled)))
        }
    }

    private func decode(_ image: ImageID) {
        if let failure = world.web.decodeFailure?(image) {
            return take(.imageFailed(image, failure), after: 0.02)
        }
        let info = ImageInfo(
            sha256: world.web.content(fileOf[image].flatMap { urls[$0] } ?? ""), width: 8, height: 8, orientation: 1,
            format: "png",
            byteCount: 100)
        let decoded = DecodedImage(
            source: SourceImage(info: info, finalURL: "http://x/"), byteCount: settings.imageBytes, seconds: 0.01)
        take(.imageDecoded(image, decoded), after: 0.01)
    }

    /// Runs a statement of the store; its answer comes later, or never arrives.
    private func carryOutStatement(_ effect: Effect) {
        let statement = world.store.statement(effect)
        statements[statement, default: 0] += 1
        checks.isTrue(statements[statement] == 1 || statement == .park, "two statements at a time: \(statement)")
        let run = world.store.plan(statement, world)
        world.after(run.seconds / 2) { [self] in
            guard !isKilled else { return }
            let answer = run.isExecuted ? world.store.execute(effect, world) : nil
            world.after(run.seconds / 2) { [self] in
                statements[statement, default: 0] -= 1
                if let problem = run.problem { return take(.storeFailed(statement, problem)) }
                if let answer { take(answer) }
            }
        }
    }
}

/// No special tokens.
struct NoVocabulary: Vocabulary {
    var locations: [Int: Int] { [:] }
    var codes: [Int: Int] { [:] }
    var separators: Set<Int> { [] }
    func decode(_ ids: [Int]) -> String { ids.map(String.init).joined(separator: " ") }
}
