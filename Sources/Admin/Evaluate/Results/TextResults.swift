import Annotation
import Storage

/// Texts of results, by label: what one model said.
struct TextResults {
    private var texts = TextArena()
    /// Indices into `texts`, by label; −1: there is no result.
    private var places: [Int32]
    private var probabilities: [Double]
    private var finishes: [FinishReason]
    private var seeds: [Int: String] = [:]
    private var distributions: [Int: [AggregatedAnswer]] = [:]
    private var allSamples: [Int: [String]] = [:]
    /// Where each came from: a place in `sources`.
    private var sourceNumbers: [UInt16]
    private var sources: [Source] = []
    /// The source of the result before.
    private var lastSource = 0
    /// The index among the keys' texts of that before.
    private var lastKey = -1
    /// How many labels have a result.
    private(set) var count = 0
    /// How many of them were cut off.
    private(set) var truncatedCount = 0
    /// Results that have no key, or none that a label has.
    private(set) var withoutKey = 0, withoutLabel = 0
    /// The key of one of those, for a person who wonders.
    private(set) var strayKey: String?

    /// A task and an engine.
    private struct Source {
        let task: [UInt8]
        let engine: Int64
        /// For a person.
        let name: String
        /// How many results came from it.
        var count = 0

        func isOf(_ task: Span<UInt8>, _ engine: Int64) -> Bool {
            guard self.engine == engine, self.task.count == task.count else { return false }
            for index in task.indices where self.task[index] != task[index] { return false }
            return true
        }
    }

    init(labelCount: Int) {
        places = Array(repeating: -1, count: labelCount)
        probabilities = Array(repeating: .nan, count: labelCount)
        finishes = Array(repeating: .eos, count: labelCount)
        sourceNumbers = Array(repeating: 0, count: labelCount)
    }

    /// Adds a result of the database.
    /// - Parameter models: the names of the engines' models.
    /// - Throws: `CommandError` if its key has another one.
    mutating func add(_ row: TextRow, _ labels: LabelSet, models: [Int64: String]) throws {
        let bytes = row.bytes
        guard let key = row.key else {
            withoutKey += 1
            return
        }
        guard let label = label(bytes.span.extracting(key), labels) else { return }
        let source = source(bytes.span.extracting(row.task), row.engine, models)
        try add(
            bytes.span.extracting(row.text), for: label, labels, source: source, row.finishReason, row.probability)
        if let seed = row.seed { seeds[label] = seed }
        let samples = try row.samples()
        if !samples.isEmpty { allSamples[label] = samples }
        let distribution = try row.distribution()
        if !distribution.isEmpty { distributions[label] = distribution }
    }

    /// Adds a result of a file.
    /// - Throws: `CommandError` if its key has another one.
    mutating func add(_ found: ResultFile.FoundText, _ labels: LabelSet) throws {
        guard let key = found.key else {
            withoutKey += 1
            return
        }
        guard let label = label(key.utf8.span, labels) else { return }
        let source = source(Span(), 0, [:])
        try add(found.text.utf8.span, for: label, labels, source: source, found.finishReason, found.probability)
        if let seed = found.seed { seeds[label] = seed }
        if !found.distribution.isEmpty { distributions[label] = found.distribution }
    }

    /// The label with a key; nil: there is none.
    private mutating func label(_ key: Span<UInt8>, _ labels: LabelSet) -> Int? {
        guard let index = labels.keys.index(of: key, guess: lastKey + 1) else {
            withoutLabel += 1
            if strayKey == nil { strayKey = Self.text(key) }
            return nil
        }
        lastKey = index
        return labels.keys.value(at: index)
    }

    private mutating func add(
        _ text: Span<UInt8>, for label: Int, _ labels: LabelSet, source: Int, _ finishReason: FinishReason,
        _ probability: Double?
    ) throws {
        guard places[label] < 0 else {
            let names = Set([Int(sourceNumbers[label]), source].map { sources[$0].name })
            let both = names.sorted().joined(separator: " and ")
            throw CommandError(
                .failed,
                "the key \"\(labels.keys.texts[lastKey])\" has two results\(both.isEmpty ? "" : ", of \(both)"): choose one with --task, --batch or --model"
            )
        }
        places[label] = Int32(texts.append(text))
        probabilities[label] = probability ?? .nan
        finishes[label] = finishReason
        sourceNumbers[label] = UInt16(clamping: source)
        sources[source].count += 1
        if finishReason != .eos { truncatedCount += 1 }
        count += 1
    }

    /// The number of a task and an engine.
    private mutating func source(_ task: Span<UInt8>, _ engine: Int64, _ models: [Int64: String]) -> Int {
        if lastSource < sources.count, sources[lastSource].isOf(task, engine) { return lastSource }
        lastSource = 0
        while lastSource < sources.count, !sources[lastSource].isOf(task, engine) { lastSource += 1 }
        if lastSource == sources.count {
            let name = Self.text(task)
            let names = [name.isEmpty && models.isEmpty ? nil : name, models[engine]]
            sources.append(
                Source(
                    task: Array(name.utf8), engine: engine, name: names.compactMap(\.self).joined(separator: " by ")))
        }
        return lastSource
    }

    private static func text(_ bytes: Span<UInt8>) -> String {
        bytes.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// How many results came from each engine.
    var engines: [Int64: Int] {
        sources.reduce(into: [:]) { engines, source in
            if source.count > 0 { engines[source.engine, default: 0] += source.count }
        }
    }

    func has(_ label: Int) -> Bool { places[label] >= 0 }

    /// The text; nil: there is no result.
    func text(_ label: Int) -> String? { places[label] < 0 ? nil : texts[Int(places[label])] }

    /// Its probability; nil: it is not known, or there is no result.
    func probability(_ label: Int) -> Double? { probabilities[label].isNaN ? nil : probabilities[label] }

    func finishReason(_ label: Int) -> String? { has(label) ? finishes[label].rawValue : nil }

    func seed(_ label: Int) -> String? { seeds[label] }

    /// All samples, where there are several.
    func samples(_ label: Int) -> [String] { allSamples[label] ?? [] }

    /// Whether any result has several samples.
    var haveSamples: Bool { !allSamples.isEmpty }

    func distribution(_ label: Int) -> [AggregatedAnswer] { distributions[label] ?? [] }
}

/// Results that are matched with their labels, one after the other.
struct MatchedResults {
    private let labels: LabelSet
    private(set) var results: TextResults

    init(labels: LabelSet) {
        self.labels = labels
        results = TextResults(labelCount: labels.count)
    }

    mutating func add(_ row: TextRow, models: [Int64: String]) throws { try results.add(row, labels, models: models) }
}
