import Annotation
import Queue

@testable import Work

/// The web: each origin answers as the test says.
final class SimulatedWeb {
    /// What comes of a request.
    struct Answer {
        var seconds = 0.05
        /// When the headers are there.
        var headers: Double?
        var byteCount = 100_000
        var result: Result<FetchedFile, ImageFailure>
    }

    /// By origin. A request to an origin that is not here succeeds.
    var answers: [String: (SimulatedDaemon) -> Answer] = [:]
    /// What a request for a URL comes to, before its origin is looked at.
    var urls: [String: (SimulatedDaemon) -> Answer] = [:]
    /// What every request comes to, whatever its origin.
    var everywhere: ((String, SimulatedDaemon) -> Answer?)?
    /// What comes of decoding an image; nil: pixels.
    var decodeFailure: ((ImageID) -> ImageFailure?)?
    var decodeBytes = 1 << 20
    /// The requests to each origin, those of redirects included, and when.
    private(set) var requests: [String: [Double]] = [:]
    /// The requests under way, and the most at a time.
    private(set) var active: [String: Int] = [:], mostActive: [String: Int] = [:]

    /// How often the images of a URL became others.
    var changes: [String: Int] = [:]

    /// What is found under a URL.
    func content(_ url: String) -> String { "\(url) \(changes[url] ?? 0)" }

    static func origin(_ url: String) -> String? {
        guard url.hasPrefix("http") else { return nil }
        return url.split(separator: "/", omittingEmptySubsequences: false).prefix(3).joined(separator: "/")
    }

    func answer(_ url: String, _ daemon: SimulatedDaemon) -> Answer {
        let origin = Self.origin(url) ?? ""
        note(origin, daemon.world.time)
        active[origin, default: 0] += 1
        mostActive[origin] = max(mostActive[origin] ?? 0, active[origin] ?? 0)
        if let answer = everywhere?(origin, daemon) { return answer }
        if let answer = urls[url]?(daemon) { return answer }
        return answers[origin]?(daemon) ?? Self.file(origin, byteCount: min(100_000, daemon.settings.maxFileBytes))
    }

    func ended(_ url: String) { active[Self.origin(url) ?? "", default: 0] -= 1 }

    /// A request of which the origin learns.
    func note(_ origin: String, _ time: Double) { requests[origin, default: []].append(time) }

    static func file(_ origin: String, seconds: Double = 0.05, byteCount: Int = 100_000) -> Answer {
        Answer(
            seconds: seconds, headers: seconds / 2, byteCount: byteCount,
            result: .success(
                FetchedFile(byteCount: byteCount, origin: origin.isEmpty ? nil : origin, seconds: seconds)))
    }

    static func failure(
        _ blame: ImageFailure.Blame, _ origin: String, code: String = "failure", seconds: Double = 0.05
    ) -> Answer {
        Answer(
            seconds: seconds,
            result: .failure(ImageFailure(code: code, message: "\(origin): \(code)", blame: blame, origin: origin)))
    }

    /// Redirects to another origin, which does as it does; unless the daemon avoids it.
    func redirect(to target: String) -> (SimulatedDaemon) -> Answer {
        { [unowned self] daemon in
            if daemon.avoids(target) { return Self.failure(.parkedOrigin, target, code: "parked") }
            note(target, daemon.world.time)
            return answers[target]?(daemon) ?? Self.file(target)
        }
    }
}

/// The engine: one query after another, those of the lowest priority first.
final class SimulatedEngine {
    /// Seconds of an image, a prefill and a token.
    var image = 0.01, prefill = 0.01, token = 0.001
    /// The share of the most tokens that is decoded.
    var share = 0.25
    /// What comes of a query; nil: an answer.
    var failure: ((EngineQuery) -> EngineFailure?)?
    unowned var daemon: SimulatedDaemon!
    private var line: [EngineQuery] = []
    private var current: EngineQuery?
    private(set) var submittedIDs: Set<Int> = []

    var waiting: Set<Int> { Set(line.map(\.id)) }
    var isIdle: Bool { current == nil }
    private(set) var busySeconds = 0.0

    func submit(_ queries: [EngineQuery]) {
        for query in queries {
            daemon.checks.isTrue(submittedIDs.insert(query.id).inserted, "a query was submitted twice")
        }
        line += queries
        line.sort { ($0.priority, $0.id) < ($1.priority, $1.id) }
        next()
    }

    func cancel(_ ids: [Int]) {
        let gone = Set(ids)
        line.removeAll { gone.contains($0.id) }
        if let query = current, gone.contains(query.id) { current = nil }
        next()
    }

    private func next() {
        guard current == nil, !line.isEmpty else { return }
        let query = line.removeFirst()
        current = query
        let tokens = max(1, Int(Double(query.settings.samples * query.settings.maxTokens) * share))
        let images = Double(query.images.count)
        let cost = EngineCost(
            visionSeconds: images * image, prefillSeconds: prefill, decodeSeconds: Double(tokens) * token,
            images: images, prefills: 1, tokens: tokens)
        let seconds = cost.visionSeconds + cost.prefillSeconds + cost.decodeSeconds
        daemon.world.after(seconds) { [self] in
            guard current?.id == query.id else { return }
            current = nil
            busySeconds += seconds
            let result: Result<[Generation], EngineFailure> =
                failure?(query).map { .failure($0) } ?? .success(Self.generations(query, tokens))
            daemon.take(.answered(EngineAnswer(query: query.id, result: result, cost: cost)))
            next()
        }
    }

    private static func generations(_ query: EngineQuery, _ tokens: Int) -> [Generation] {
        (0..<query.settings.samples).map { sample in
            Generation(
                text: "word \(query.prompt.utf8.count + sample)", tokens: [1, 2], logProbabilities: [-0.5, -0.5],
                finishReason: .eos,
                prefixTokenCount: 10)
        }
    }
}
