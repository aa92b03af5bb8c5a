import Annotation

/// Decides what the model computes next, and computes it: queries in, responses out, a pass at a time.
///
/// It holds queries of any number of jobs at once. Each distinct image goes through the vision tower once; queries with
/// the same images and prompt that wait together share a prefill; and all responses are extended together, whatever
/// their lengths and settings: they leave when they end, and others join. What a query is answered does not depend on
/// the others, nor on the limits.
///
/// Prefixes are admitted by priority, then in the order of their arrival, as memory allows, and live responses get
/// their turn however many short ones keep coming: none waits for ever but for better ones. A pass of images or
/// prefills is of one priority, so what comes with a better one waits for no more than the pass under way, if there is
/// room beside the live responses; these go on. It belongs to one thread, which it blocks while it computes.
public struct Scheduler: ~Copyable {
    /// A query that has not ended.
    struct Pending {
        let pick: SamplePick
        let prefixCount: Int
        var responses: [ScoredTokens?]
        /// Of its beams, from their first choice on.
        var search: BeamSearch?
        var seconds = StageSeconds()
        var work = Work()
        /// A pass computed for it: an image, or its prefix.
        var hasBegun = false
    }

    /// Who keeps images between its queries.
    private struct Holder {
        let priority: Int
        /// Lower is older.
        let order: Int
        var images: Set<String> = []
    }

    /// What one step computes.
    private enum Pass {
        case images([String])
        case prefill(count: Int)
        case extend
        case nothing
    }

    /// Rows of one pass of the vision tower or of prefills: bounds activations (some 60 KB a row at 3B) and how long a
    /// pass lasts; no gain beyond.
    static let passRows = 1024

    let engine: any Engine
    let limits: Limits
    var images: ImageCache
    var waiting = WaitingLine()
    var live: [LiveSequence] = []
    /// Responses begun since live ones had their turn; those that ended with their first token too.
    var begunCount = 0
    var pending: [Int: Pending] = [:]
    private var holders: [Int64: Holder] = [:]
    private var holderCount = 0
    var ended: [Completion] = []
    /// What was done so far.
    public internal(set) var statistics = Statistics()

    /// A scheduler with nothing to do.
    public init(model: PaliGemma, limits: Limits = Limits()) {
        engine = model
        self.limits = limits
        images = ImageCache(byteLimit: limits.imageBytes)
    }

    /// Whether there is nothing to do and nothing to hand over.
    public var isIdle: Bool { waiting.isEmpty && live.isEmpty && ended.isEmpty }

    /// Whether there is nothing to do until a holder that asks on, or ends, makes room.
    public var isHeldUp: Bool {
        // Cheap, as it is asked before each pass: no holder waits but for another one, and what lives goes on.
        guard holders.count > 1, live.isEmpty, !isIdle, ended.isEmpty, case .nothing = nextPass() else { return false }
        return true
    }

    /// Responses being extended.
    public var liveCount: Int { live.count }

    /// Bytes of the live responses' keys and values.
    public var keyValueBytes: Int { memoryPlan.bytes }

    /// What the live responses hold, and what they may need.
    var memoryPlan: MemoryPlan {
        var holdings: [MemoryPlan.Holding] = []
        var prefix: KeyValueCache?
        for sequence in live {
            // Responses of one prefill stand side by side.
            if sequence.prefix !== prefix {
                holdings.append(MemoryPlan.Holding(bytes: sequence.prefix.byteCount, remaining: 0))
            }
            prefix = sequence.prefix
            holdings[holdings.count - 1].bytes += sequence.own.byteCount
            holdings[holdings.count - 1].remaining += sequence.own.remainingByteCount
        }
        return MemoryPlan(limit: limits.keyValueBytes, holdings: holdings)
    }

    /// Queries of which nothing but their images was computed, in the order in which they will be.
    public var waitingQueries: [Int] { waiting.prefixes.flatMap { $0.queries.map(\.id) } }

    /// Queries of which nothing was computed and something will be in the next step, an image or the prefix. Each is
    /// named once.
    public var queriesToBegin: [Int] {
        let users: [WaitingPrefix.Query]
        switch nextPass() {
        case .images(let keys): users = keys.flatMap { self.users(of: $0) }
        case .prefill(let count): users = waiting.prefixes.prefix(count).flatMap(\.queries)
        case .extend, .nothing: users = []
        }
        return Set(users.map(\.id)).filter { pending[$0]?.hasBegun == false }.sorted()
    }

    /// Who waits for an image.
    func users(of image: String) -> [WaitingPrefix.Query] {
        waiting.prefixes.filter { $0.key.images.contains(image) }.flatMap(\.queries)
    }

    /// Takes a query in. One that can't be served is handed back by the next step, and touches no other.
    public mutating func submit(_ query: Query) {
        precondition(pending[query.id] == nil, "two queries with the same number")
        let prefix: WaitingPrefix
        do { prefix = try engine.waitingPrefix(of: query) } catch {
            ended.append(Completion(id: query.id, result: .failure(error)))
            return
        }
        let responses = [ScoredTokens?](repeating: nil, count: prefix.queries[0].responseCount)
        pending[query.id] = Pending(
            pick: query.options.isEmpty ? query.settings.pick : .all, prefixCount: prefix.count, responses: responses)
        for image in query.images where images.retain(image) { statistics.imageHitCount += 1 }
        if let holder = query.holder { hold(query.images, for: holder, query.priority) }
        let (layout, limits) = (engine.keyValues, limits)
        let shares = waiting.add(prefix) {
            $0.sequenceCount <= limits.rows && layout.byteCount(of: $0) <= limits.keyValueBytes
        }
        if shares { statistics.sharedPrefillCount += 1 }
    }

    /// Drops a query, wherever it is. Nothing is handed over for it.
    public mutating func cancel(_ id: Int) {
        ended.removeAll { $0.id == id }
        drop(id)
    }

    private mutating func hold(_ kept: [Image], for number: Int64, _ priority: Int) {
        if holders[number] == nil {
            holders[number] = Holder(priority: priority, order: holderCount)
            holderCount += 1
        }
        for image in kept where holders[number]!.images.insert(image.key).inserted { _ = images.retain(image) }
    }

    /// A holder will not ask again: its images go when room is wanted, once its queries have begun.
    public mutating func letGo(_ holder: Int64) {
        holders.removeValue(forKey: holder)?.images.forEach { images.release($0) }
    }

    mutating func drop(_ id: Int) {
        guard pending.removeValue(forKey: id) != nil else { return }
        live.removeAll { $0.query == id }
        if let key = waiting.remove(query: id) { key.images.forEach { images.release($0) } }
    }

    /// Does one pass, if there is something to do: images, prefills, or the next token of every live response. What
    /// ended by it.
    ///
    /// Prefills come first, until enough responses are live: a step costs little more for many than for few.
    public mutating func step() -> [Completion] {
        switch nextPass() {
        case .images(let keys): embed(keys)
        case .prefill(let count): prefill(count: count)
        case .extend: extend()
        case .nothing: break
        }
        defer { ended = [] }
        return ended
    }

    private func nextPass() -> Pass {
        guard ended.isEmpty else { return .nothing }
        let admitted = admitted()
        if admitted.contains(where: { !isReady($0) }), case let missing = missingImages(), !missing.isEmpty {
            return .images(missing)
        }
        let ready = admitted.prefix { isReady($0) }
        if !ready.isEmpty { return .prefill(count: ready.count) }
        return live.isEmpty ? .nothing : .extend
    }

    /// The first prefixes in line, of one priority, that one pass may prefill now.
    private func admitted() -> ArraySlice<WaitingPrefix> {
        var (rows, plan) = (0, memoryPlan)
        let layout = engine.keyValues
        var responses = live.isEmpty ? 0 : max(live.count, begunCount)
        return waiting.prefixes.prefix { prefix in
            let (need, prefixBytes) = (layout.byteCount(of: prefix), layout.byteCount(capacity: prefix.count))
            guard prefix.priority == waiting.prefixes[0].priority, responses < limits.rows,
                rows == 0 || rows + prefix.count <= Self.passRows,
                plan.admit(MemoryPlan.Holding(bytes: prefixBytes, remaining: need - prefixBytes))
            else { return false }
            rows += prefix.count
            responses += prefix.sequenceCount
            return true
        }
    }

    private func isReady(_ prefix: WaitingPrefix) -> Bool { prefix.key.images.allSatisfy { images.tokens($0) != nil } }

    /// Images of one pass of the vision tower, first in line first and of one priority: no more than the cache has room
    /// for, but all of the first prefix whatever the limit, unless it waits for an older holder.
    private func missingImages() -> [String] {
        let count = engine.configuration.imageTokenCount
        let bytes = count * engine.configuration.text.width * MemoryLayout<Float>.stride
        var room = min(images.roomBytes / bytes, max(1, Self.passRows / count))
        var missing: [String] = []
        for (index, prefix) in waiting.prefixes.enumerated() {
            guard prefix.priority == waiting.prefixes[0].priority else { return missing }
            let isForced = index == 0 && !mayWait(prefix)
            for key in Set(prefix.key.images).sorted() where images.pixels(key) != nil && !missing.contains(key) {
                guard isForced || room > 0 else { return missing }
                missing.append(key)
                room -= 1
            }
        }
        return missing
    }

    /// Whether only holders want this prefix, each of which is younger than one that comes no later in line. The queries of
    /// the latter stand before it, or have begun: it will make room.
    private func mayWait(_ prefix: WaitingPrefix) -> Bool {
        prefix.queries.allSatisfy { query in
            guard let number = query.holder, let holder = holders[number] else { return false }
            return holders.values.contains { $0.order < holder.order && $0.priority <= holder.priority }
        }
    }
}
