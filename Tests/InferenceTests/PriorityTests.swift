import Annotation
import Foundation
import Testing

@testable import Inference

/// Who is next: priorities in line, in passes, and in what a scheduler says of them.
@Suite struct PriorityTests {
    private let model: PaliGemma
    private let images: [Scheduler.Image]

    init() throws {
        let golden = try Golden(Golden.fixtures.appending(path: "tiny2"))
        let model = try golden.model()
        let names = golden.imageNames
        images = zip(names, golden.pixels(names, model)).map { Scheduler.Image($1, key: $0) }
        self.model = model
    }

    private func query(
        _ id: Int, image: Int? = nil, _ prompt: String? = nil, samples: Int = 1, maxTokens: Int = 6, priority: Int = 0
    ) -> Scheduler.Query {
        Scheduler.Query(
            id: id, images: [images[(image ?? id) % images.count]], prompt: prompt ?? "answer en \(id)",
            settings: DecodeSettings(maxTokens: maxTokens, samples: samples, temperature: 1), priority: priority)
    }

    /// The line's slow twin: all queries in a row, sorted each time.
    private struct SlowLine {
        struct Entry {
            let key: WaitingPrefix.Key
            var queries: [(id: Int, priority: Int, arrival: Int)]
            var best: (Int, Int) { queries.map { ($0.priority, $0.arrival) }.min { $0 < $1 }! }
        }
        var entries: [Entry] = []
        var arrivals = 0

        mutating func add(_ key: WaitingPrefix.Key, _ id: Int, _ priority: Int, mayShare: (Int) -> Bool) -> Bool {
            arrivals += 1
            if let last = entries.lastIndex(where: { $0.key == key }), mayShare(entries[last].queries.count + 1) {
                entries[last].queries.append((id, priority, arrivals))
                return true
            }
            entries.append(Entry(key: key, queries: [(id, priority, arrivals)]))
            return false
        }

        mutating func remove(_ id: Int) -> WaitingPrefix.Key? {
            guard let index = entries.firstIndex(where: { $0.queries.contains { $0.id == id } }) else { return nil }
            entries[index].queries.removeAll { $0.id == id }
            defer { entries.removeAll { $0.queries.isEmpty } }
            return entries[index].key
        }

        var line: [[Int]] { entries.sorted { $0.best < $1.best }.map { $0.queries.map(\.id) } }
    }

    @Test(arguments: 0..<20) func theLineIsLikeItsTwin(seed: UInt64) {
        var random = SplitMix64(seed)
        var (line, slow) = (WaitingLine(), SlowLine())
        let priorities = Int.random(in: 1...5, using: &random)
        var sharedCount = 0
        for id in 0..<400 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                let count = Int.random(in: 0...min(3, line.prefixes.count), using: &random)
                let first = line.removeFirst(count).map { $0.queries.map(\.id) }
                #expect(first == Array(slow.line.prefix(count)))
                for id in first.joined() { _ = slow.remove(id) }
            case 1...3:
                let id = Int.random(in: 0...id, using: &random)
                #expect(line.remove(query: id) == slow.remove(id))
            default:
                let key = WaitingPrefix.Key(images: [], ids: [Int.random(in: 0..<6, using: &random)])
                let priority = Int.random(in: 0..<priorities, using: &random)
                let place = WaitingPrefix.Place(priority: priority)
                let prefix = WaitingPrefix(
                    key: key, count: 1,
                    query: WaitingPrefix.Query(id: id, settings: DecodeSettings(), place: place))
                let shares = line.add(prefix) { $0.queries.count <= 3 }
                #expect(shares == slow.add(key, id, priority) { $0 <= 3 })
                sharedCount += shares ? 1 : 0
            }
            #expect(line.prefixes.map { $0.queries.map(\.id) } == slow.line)
            #expect(line.isEmpty == slow.line.isEmpty)
        }
        #expect(sharedCount > 20)
    }

    /// While many wait and many are live, a better query waits for no pass but the one under way, its image included;
    /// the live go on.
    @Test(arguments: [false, true]) func aFloodDelaysABetterOneByNoPass(imageIsKnown: Bool) throws {
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(rows: 400))
        let last = images.count - 1
        if imageIsKnown {
            scheduler.submit(query(2000, image: last, maxTokens: 1, priority: 5))
            while !scheduler.isIdle { _ = scheduler.step() }
        }
        for id in 0..<300 {
            scheduler.submit(query(id, image: id % last, samples: 2, maxTokens: 60, priority: 1 + id % 3))
        }
        for _ in 0..<4 { _ = scheduler.step() }
        let live = scheduler.liveCount
        try #require(live > 0 && scheduler.waitingQueries.count > 200)

        scheduler.submit(query(1000, image: last, maxTokens: 60))
        #expect(scheduler.waitingQueries.first == 1000)
        var passes = 0
        while scheduler.waitingQueries.contains(1000) {
            let begins = scheduler.queriesToBegin
            #expect(begins == (passes == 0 ? [1000] : []), "none but it")
            let before = scheduler.statistics
            _ = scheduler.step()
            let after = scheduler.statistics
            #expect(after.imageCount - before.imageCount == (passes == 0 && !imageIsKnown ? 1 : 0))
            passes += 1
        }
        #expect(passes == (imageIsKnown ? 1 : 2), "its image, its prefix")
        #expect(scheduler.liveCount == live + 1, "nobody had to leave")
    }

    /// With no room beside the live ones it has the first that becomes free.
    @Test func theBetterOneHasTheFirstRoomThatIsFree() throws {
        for limits in [Scheduler.Limits(rows: 4), Scheduler.Limits(keyValueBytes: 4 * (try bytes(of: query(0))))] {
            var scheduler = Scheduler(model: model, limits: limits)
            for id in 0..<40 { scheduler.submit(query(id, priority: 1)) }
            while scheduler.liveCount < 4 { _ = scheduler.step() }
            for id in 100..<103 { scheduler.submit(query(id, priority: 0)) }
            var waiting = Set(scheduler.waitingQueries)
            var begun: [Int] = []
            while !waiting.isEmpty {
                _ = scheduler.step()
                let left = Set(scheduler.waitingQueries)
                begun += waiting.subtracting(left).sorted { ($0 < 100 ? 1 : 0, $0) < ($1 < 100 ? 1 : 0, $1) }
                waiting = left
            }
            #expect(Array(begun.prefix(3)) == [100, 101, 102])
            #expect(Array(begun.dropFirst(3)) == begun.dropFirst(3).sorted(), "order within a priority")
        }
    }

    private func bytes(of query: Scheduler.Query) throws -> Int {
        model.keyValues.byteCount(of: try model.waitingPrefix(of: query))
    }

    /// A prefix stands where the best of its queries would stand alone, and goes back when that is cancelled.
    @Test func aSharedPrefixTakesTheBestPriority() {
        var scheduler = Scheduler(model: model)
        scheduler.submit(query(0, image: 0, "ocr", priority: 7))
        scheduler.submit(query(1, priority: 3))
        scheduler.submit(query(2, priority: 2))
        scheduler.submit(query(3, image: 0, "ocr", priority: 2))
        #expect(scheduler.statistics.sharedPrefillCount == 1)
        #expect(scheduler.waitingQueries == [2, 0, 3, 1], "after the one of its priority that came before")
        scheduler.cancel(3)
        #expect(scheduler.waitingQueries == [2, 1, 0])
        scheduler.submit(query(4, image: 0, "ocr", priority: -100))
        #expect(scheduler.waitingQueries == [0, 4, 2, 1])
    }

    /// Each query is named once, before the first pass that computes for it.
    @Test(arguments: 0..<6) func whatBeginsIsSaidBefore(seed: UInt64) throws {
        var random = SplitMix64(seed)
        var scheduler = Scheduler(
            model: model,
            limits: Scheduler.Limits(
                imageBytes: [0, 1 << 26].randomElement(using: &random)!, rows: [2, 160].randomElement(using: &random)!))
        var left = (0..<60).map {
            query(
                $0, image: $0 / 2, "answer en \($0 % 7)", samples: 1 + $0 % 3, maxTokens: 1 + $0 % 5,
                priority: .random(in: -1...1, using: &random))
        }
        var (named, arrived) = (Set<Int>(), [Int: Int]())
        while !left.isEmpty || !scheduler.isIdle {
            while let next = left.last, scheduler.isIdle || Bool.random(using: &random) {
                scheduler.submit(next)
                arrived[next.id] = next.priority
                left.removeLast()
            }
            let begins = scheduler.queriesToBegin
            #expect(named.isDisjoint(with: begins), "named twice")
            named.formUnion(begins)
            var works = scheduler.pending.mapValues(\.work)
            for completion in scheduler.step() { works[completion.id] = completion.work }
            for (id, pending) in scheduler.pending { works[id] = pending.work }
            for (id, work) in works { #expect(work == Scheduler.Work() || named.contains(id)) }
            for id in begins { #expect(works[id] != Scheduler.Work(), "named, and nothing came of it") }
            let waiting = scheduler.waitingQueries
            #expect(Set(waiting) == Set(scheduler.pending.filter { $0.value.work.tokens == 0 }.keys))
        }
        #expect(named == Set(0..<60))
    }

    /// Sums over queries are what was computed in all, and tokens those of the answers.
    @Test func workIsSharedOut() throws {
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(rows: 9))
        for id in 0..<40 {
            scheduler.submit(query(id, image: id / 3, "answer en \(id % 2)", samples: 1 + id % 3, priority: id % 2))
        }
        var (sum, firstCount) = (Scheduler.Work(), 0)
        while !scheduler.isIdle {
            for completion in scheduler.step() {
                let answers = try completion.result.get()
                #expect(completion.work.tokens == answers.reduce(0) { $0 + $1.tokens.count })
                firstCount += answers.count
                sum.images += completion.work.images
                sum.prefills += completion.work.prefills
                sum.prefixTokens += completion.work.prefixTokens
                sum.tokens += completion.work.tokens
            }
        }
        let statistics = scheduler.statistics
        #expect(statistics.sharedPrefillCount > 0 && statistics.imageHitCount > 0)
        #expect(abs(sum.images - Double(statistics.imageCount)) < 1e-9)
        #expect(abs(sum.prefills - Double(statistics.prefillCount)) < 1e-9)
        #expect(abs(sum.prefixTokens - Double(statistics.prefillTokenCount)) < 1e-6)
        #expect(sum.tokens == statistics.extendRowCount + firstCount)
    }
}
