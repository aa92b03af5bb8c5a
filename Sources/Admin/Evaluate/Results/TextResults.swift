import Annotation
import Storage

/// Texts of results, by label: what one model said.
struct TextResults {
    private var texts = TextArena()
    /// Indices into `texts`, by label; −1: there is no result.
    private var places: [Int32]
    private var probabilities: [Double]
    private var finishes: [UInt8]
    private var seeds: [Int: String] = [:]
    private var distributions: [Int: [AggregatedAnswer]] = [:]
    private var allSamples: [Int: [String]] = [:]
    /// Where each came from: a task and an engine, a number each pair.
    private var sources: [UInt16]
    private var sourceNames: [(task: String, engine: Int64, name: String)] = []
    /// How many labels have a result.
    private(set) var count = 0
    /// How many results came from each engine.
    private(set) var engines: [Int64: Int] = [:]
    /// Results that have no key, or none that a label has.
    private(set) var withoutKey = 0, withoutLabel = 0
    /// The key of one of those, for a person who wonders.
    private(set) var strayKey: String?

    private static let finishReasons = ["eos", "length", "repetition"]

    init(labelCount: Int) {
        places = Array(repeating: -1, count: labelCount)
        probabilities = Array(repeating: .nan, count: labelCount)
        finishes = Array(repeating: 0, count: labelCount)
        sources = Array(repeating: 0, count: labelCount)
    }

    /// Adds a result.
    /// - Throws: `CommandError` if its key has another one.
    mutating func add(_ result: TextResult, _ labels: LabelSet, model: String?) throws {
        guard let key = result.key else {
            withoutKey += 1
            return
        }
        guard let label = labels.keys.value(of: key) else {
            withoutLabel += 1
            strayKey = strayKey ?? key
            return
        }
        let source = source(result, model)
        guard places[label] < 0 else {
            let both = Set([Int(sources[label]), source].map { sourceNames[$0].name }).sorted().joined(
                separator: " and ")
            throw CommandError(
                .failed,
                "the key \"\(key)\" has two results\(both.isEmpty ? "" : ", of \(both)"): choose one with --task, --batch or --model"
            )
        }
        places[label] = Int32(texts.append(result.text))
        probabilities[label] = result.probability ?? .nan
        finishes[label] = UInt8(Self.finishReasons.firstIndex(of: result.finishReason) ?? 0)
        if let seed = result.seed { seeds[label] = seed }
        if !result.samples.isEmpty { allSamples[label] = result.samples }
        if !result.distribution.isEmpty { distributions[label] = result.distribution }
        sources[label] = UInt16(clamping: source)
        count += 1
        engines[result.engine, default: 0] += 1
    }

    /// The number of a task and an engine.
    private mutating func source(_ result: TextResult, _ model: String?) -> Int {
        if let place = sourceNames.firstIndex(where: { $0.engine == result.engine && $0.task == result.task }) {
            return place
        }
        let name = [result.task, model].compactMap(\.self).joined(separator: " by ")
        sourceNames.append((result.task, result.engine, name))
        return sourceNames.count - 1
    }

    func has(_ label: Int) -> Bool { places[label] >= 0 }

    /// The text; nil: there is no result.
    func text(_ label: Int) -> String? { places[label] < 0 ? nil : texts[Int(places[label])] }

    /// Its probability; nil: it is not known, or there is no result.
    func probability(_ label: Int) -> Double? { probabilities[label].isNaN ? nil : probabilities[label] }

    func finishReason(_ label: Int) -> String? { has(label) ? Self.finishReasons[Int(finishes[label])] : nil }

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

    mutating func add(_ result: TextResult, model: String?) throws { try results.add(result, labels, model: model) }
}
