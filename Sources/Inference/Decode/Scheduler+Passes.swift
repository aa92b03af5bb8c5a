import Annotation

extension Scheduler {
    /// Images through the vision tower; what they cost is shared by the queries that wait for them.
    mutating func embed(_ keys: [String]) {
        let start = ContinuousClock.now
        let embedded = Result { () throws(InferenceError) in
            try engine.embedImages(keys.map { images.pixels($0)! })
        }
        let seconds = start.secondsAgo
        statistics.seconds.vision += seconds
        let users = keys.map { self.users(of: $0).map(\.id) }
        for ids in users {
            for id in ids {
                pending[id]?.hasBegun = true
                pending[id]?.seconds.vision += seconds / Double(keys.count) / Double(ids.count)
            }
        }
        switch embedded {
        case .success(let tokens):
            for (key, tokens) in zip(keys, tokens) { images.fill(key, tokens) }
            statistics.imageCount += keys.count
            for ids in users { for id in ids { pending[id]?.work.images += 1 / Double(ids.count) } }
        case .failure(let error): end(Array(users.joined()), with: error)
        }
    }

    /// The first prefixes in line, each once for all of its queries; every sample begins with its first token.
    mutating func prefill(count: Int) {
        let start = ContinuousClock.now
        let first = waiting.removeFirst(count)
        let begun = Result { () throws(InferenceError) in try begin(first) }
        for prefix in first { for _ in prefix.queries { prefix.key.images.forEach { images.release($0) } } }
        let seconds = start.secondsAgo
        let tokenCount = first.reduce(0) { $0 + $1.count }
        statistics.seconds.prefill += seconds
        for prefix in first {
            for query in prefix.queries {
                let share = Double(prefix.count) / Double(tokenCount) / Double(prefix.queries.count)
                pending[query.id]?.hasBegun = true
                pending[query.id]?.seconds.prefill += seconds * share
            }
        }
        switch begun {
        case .success(let sequences):
            statistics.prefillCount += count
            statistics.prefillTokenCount += tokenCount
            for prefix in first { for query in prefix.queries { pending[query.id]?.work.add(prefill: prefix) } }
            begunCount = sequences.count + (live.isEmpty ? 0 : begunCount)
            live += sequences
            countTokens(of: sequences)
            handOver()
        case .failure(let error): end(first.flatMap { $0.queries.map(\.id) }, with: error)
        }
    }

    /// The samples of some prefixes, each with its first token.
    private func begin(_ waiting: [WaitingPrefix]) throws(InferenceError) -> [LiveSequence] {
        let prefixes = waiting.map { Prefix(key: $0.key, images: $0.key.images.map { images.tokens($0)! }) }
        var caches: [KeyValueCache] = []
        for prefix in waiting { caches.append(try KeyValueCache(layout: engine.keyValues, capacity: prefix.count)) }
        var (sequences, rows): ([LiveSequence], [Int]) = ([], [])
        for (row, prefix) in waiting.enumerated() {
            let new = prefix.queries.flatMap { self.sequences(of: $0, adapter: prefix.key.adapter, caches[row]) }
            sequences += new
            rows += new.map { _ in row }
        }
        try engine.prefill(prefixes, caches, for: &sequences, rows: rows)
        return sequences
    }

    /// The samples, options or beams of a query, without a token.
    private func sequences(
        of query: WaitingPrefix.Query, adapter: Adapter?, _ cache: KeyValueCache
    ) -> [LiveSequence] {
        (0..<query.sequenceCount).map { sample in
            let option = query.options.isEmpty ? nil : query.options[sample]
            // Keys and values of an end token are never wanted.
            let limit = option.map { $0.count - 1 } ?? query.settings.maxTokens
            return LiveSequence(
                query: query.id, sample: sample, adapter: adapter, prefix: cache,
                own: KeyValueBlocks(layout: engine.keyValues, limit: limit),
                sampler: Sampler(settings: query.settings), endTokens: engine.configuration.endTokens,
                given: option ?? query.beginning, isGivenWhole: option != nil)
        }
    }

    /// The next token of every live response that has memory for one more, or as many as are given.
    mutating func extend() {
        let start = ContinuousClock.now
        begunCount = 0
        let hasRoom = makeRoom()
        guard !live.isEmpty else { return }
        // Those that wait for memory keep their places.
        let paused = hasRoom.contains(false) ? live : []
        if !paused.isEmpty { live = live.indices.filter { hasRoom[$0] }.map { live[$0] } }
        let most = max(1, Self.passRows / live.count)
        for index in live.indices {
            live[index].rowCount = min(live[index].readyCount, live[index].own.room, most)
        }
        let extended = Result { () throws(InferenceError) in try engine.extend(&live) }
        let seconds = start.secondsAgo
        let rowCount = live.rowCount
        statistics.seconds.extend += seconds
        for sequence in live {
            pending[sequence.query]?.seconds.extend += seconds * Double(sequence.rowCount) / Double(rowCount)
        }
        let ids = live.map(\.query)
        if case .success = extended {
            statistics.extendCount += 1
            statistics.extendRowCount += rowCount
            countTokens(of: live)
        }
        if !paused.isEmpty {
            var next = live.makeIterator()
            live = paused.indices.map { hasRoom[$0] ? next.next()! : paused[$0] }
        }
        switch extended {
        case .success: handOver()
        case .failure(let error): end(ids, with: error)
        }
    }

    /// Gives live responses room for one more token, the oldest first; whether each has it. Queries whose memory is
    /// refused by the system end.
    private mutating func makeRoom() -> [Bool] {
        var plan = memoryPlan
        var hasRoom: [Bool] = []
        var failed: [Int: InferenceError] = [:]
        var group = -1
        while hasRoom.count < live.count {
            let unit = live.unit(at: hasRoom.count)
            let first = unit.lowerBound
            if first == 0 || live[first].prefix !== live[first - 1].prefix { group += 1 }
            let bytes = unit.reduce(0) { $0 + live[$1].own.nextByteCount }
            let isGranted = bytes == 0 || plan.grant(bytes, to: group)
            hasRoom += unit.map { _ in isGranted }
            for index in unit where isGranted {
                do { try live[index].own.makeRoom() } catch { failed[live[index].query] = error }
            }
        }
        guard !failed.isEmpty else { return hasRoom }
        hasRoom = live.indices.filter { failed[live[$0].query] == nil }.map { hasRoom[$0] }
        for (id, error) in failed.sorted(by: { $0.key < $1.key }) { end([id], with: error) }
        return hasRoom
    }

    private mutating func countTokens(of drawn: [LiveSequence]) {
        for sequence in drawn { pending[sequence.query]?.work.tokens += sequence.rowCount }
    }

    /// Ends queries whose pass failed: what they hold is given up, and no other is touched.
    private mutating func end(_ ids: [Int], with error: InferenceError) {
        for id in ids {
            guard let query = pending[id] else { continue }
            drop(id)
            ended.append(Completion(id: id, result: .failure(error), seconds: query.seconds, work: query.work))
        }
    }

    /// Has the beams go on that are to, and takes out the responses that have ended and the queries whose last response
    /// has.
    private mutating func handOver() {
        advanceBeams()
        var ended: [(query: Int, sample: Int, response: ScoredTokens)] = []
        live.removeAll { sequence in
            guard let reason = sequence.finished else { return false }
            let response = ScoredTokens(
                tokens: sequence.tokens, logProbabilities: sequence.logProbabilities, finishReason: reason,
                spreads: sequence.spreads)
            ended.append((sequence.query, sequence.sample, response))
            return true
        }
        for (query, sample, response) in ended { end(response, sample, of: query) }
    }

    /// A response of a query, which may be its last.
    mutating func end(_ response: ScoredTokens, _ sample: Int, of query: Int) {
        pending[query]?.responses[sample] = response
        complete(query)
    }

    private mutating func complete(_ id: Int) {
        guard let query = pending[id], case let responses = query.responses.compactMap(\.self),
            responses.count == query.responses.count
        else { return }
        pending[id] = nil
        let result = Result { () throws(InferenceError) in
            try responses.picked(query.pick).map { response throws(InferenceError) in
                try engine.generation(response, query.prefixCount)
            }
        }
        ended.append(Completion(id: id, result: result, seconds: query.seconds, work: query.work))
    }
}

extension Scheduler.Work {
    /// A query's share of a prefill.
    fileprivate mutating func add(prefill prefix: WaitingPrefix) {
        prefills += 1 / Double(prefix.queries.count)
        prefixTokens += Double(prefix.count) / Double(prefix.queries.count)
    }
}

extension ContinuousClock.Instant {
    fileprivate var secondsAgo: Double { (.now - self) / .seconds(1) }
}
