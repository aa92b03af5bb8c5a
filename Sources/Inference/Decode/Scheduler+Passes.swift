import Annotation

extension Scheduler {
    /// Images through the vision tower; what they cost is shared by the queries that wait for them.
    mutating func embed(_ keys: [String]) {
        let start = ContinuousClock.now
        let tokens = model.embedImages(keys.map { images.pixels($0)! })
        for (key, tokens) in zip(keys, tokens) { images.fill(key, tokens) }
        let seconds = start.secondsAgo
        statistics.seconds.vision += seconds
        statistics.imageCount += keys.count
        for key in keys {
            let users = waiting.prefixes.filter { $0.key.images.contains(key) }.flatMap(\.queries)
            for user in users {
                pending[user.id]?.seconds.vision += seconds / Double(keys.count) / Double(users.count)
            }
        }
    }

    /// The first prefixes in line, each once for all of its queries; every sample begins with its first token.
    mutating func prefill(count: Int) {
        let start = ContinuousClock.now
        let first = waiting.removeFirst(count)
        let prefixes = first.map { Prefix(images: $0.key.images.map { images.tokens($0)! }, ids: $0.key.ids) }
        let caches = first.map { model.language.makeCache(capacity: $0.count) }
        let hidden = model.language.prefill(prefixes, caches, model.compute)
        begunCount = first.reduce(live.isEmpty ? 0 : begunCount) { $0 + $1.answerCount }
        let (before, rows) = (live.count, first.indices.flatMap { begin(first[$0], caches[$0], row: $0) })
        model.language.draw(hidden, rows: rows, for: &live[before...], model.compute)
        for prefix in first { for _ in prefix.queries { prefix.key.images.forEach { images.release($0) } } }
        let seconds = start.secondsAgo
        let tokenCount = first.reduce(0) { $0 + $1.count }
        statistics.seconds.prefill += seconds
        statistics.prefillCount += count
        statistics.prefillTokenCount += tokenCount
        for prefix in first {
            let share = seconds * Double(prefix.count) / Double(tokenCount * prefix.queries.count)
            for query in prefix.queries { pending[query.id]?.seconds.prefill += share }
        }
        handOver()
    }

    /// Makes the samples of a prefix live; the row of its logits for each.
    private mutating func begin(_ prefix: WaitingPrefix, _ cache: KeyValueCache, row: Int) -> [Int] {
        for query in prefix.queries {
            for sample in 0..<query.settings.samples {
                live.append(
                    LiveSequence(
                        query: query.id, sample: sample, prefix: cache,
                        own: model.language.makeCache(capacity: query.settings.maxTokens),
                        sampler: Sampler(settings: query.settings)))
            }
        }
        return Array(repeating: row, count: prefix.answerCount)
    }

    /// The next token of every live answer.
    mutating func extend() {
        let start = ContinuousClock.now
        begunCount = 0
        let hidden = model.language.extend(live, model.compute)
        model.language.draw(hidden, rows: Array(live.indices), for: &live[...], model.compute)
        let seconds = start.secondsAgo
        statistics.seconds.extend += seconds
        statistics.extendCount += 1
        statistics.extendRowCount += live.count
        for sequence in live { pending[sequence.query]?.seconds.extend += seconds / Double(live.count) }
        handOver()
    }

    /// Takes out the answers that have ended, and the queries whose last answer has.
    private mutating func handOver() {
        let endToken = model.configuration.endToken
        for sequence in live {
            guard let reason = sequence.finished(endToken: endToken) else { continue }
            pending[sequence.query]?.answers[sequence.sample] = ScoredTokens(
                tokens: sequence.tokens, logProbabilities: sequence.logProbabilities, finishReason: reason)
            complete(sequence.query)
        }
        live.removeAll { $0.finished(endToken: endToken) != nil }
    }

    private mutating func complete(_ id: Int) {
        guard let query = pending[id], case let answers = query.answers.compactMap(\.self),
            answers.count == query.answers.count
        else { return }
        pending[id] = nil
        let result = Result { () throws(InferenceError) in
            try answers.map { answer throws(InferenceError) in try model.generation(answer, query.prefixCount) }
        }
        ended.append(Completion(id: id, result: result, seconds: query.seconds))
    }
}

extension ContinuousClock.Instant {
    fileprivate var secondsAgo: Double { (.now - self) / .seconds(1) }
}
