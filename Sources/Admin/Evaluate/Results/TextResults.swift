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
    /// Where each came from: a task and an engine, a number each pair.
    private var sources: [UInt16]
    private var sourceNames: [String] = []
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
        let source = [result.task, model].compactMap(\.self).joined(separator: " by ")
        guard places[label] < 0 else {
            let both = Set([sourceNames[Int(sources[label])], source]).sorted().joined(separator: " and ")
            throw CommandError(
                .failed,
                "the key \"\(key)\" has two results\(both.isEmpty ? "" : ", of \(both)"): choose one with --task, --batch or --model"
            )
        }
        places[label] = Int32(texts.append(result.text))
        probabilities[label] = result.probability ?? .nan
        finishes[label] = UInt8(Self.finishReasons.firstIndex(of: result.finishReason) ?? 0)
        if let seed = result.seed { seeds[label] = seed }
        if !result.distribution.isEmpty { distributions[label] = result.distribution }
        if let place = sourceNames.firstIndex(of: source) {
            sources[label] = UInt16(place)
        } else {
            sources[label] = UInt16(clamping: sourceNames.count)
            sourceNames.append(source)
        }
        count += 1
        engines[result.engine, default: 0] += 1
    }

    func has(_ label: Int) -> Bool { places[label] >= 0 }

    /// The text; nil: there is no result.
    func text(_ label: Int) -> String? { places[label] < 0 ? nil : texts[Int(places[label])] }

    /// Its probability; nil: it is not known, or there is no result.
    func probability(_ label: Int) -> Double? { probabilities[label].isNaN ? nil : probabilities[label] }

    func finishReason(_ label: Int) -> String? { has(label) ? Self.finishReasons[Int(finishes[label])] : nil }

    func seed(_ label: Int) -> String? { seeds[label] }

    func distribution(_ label: Int) -> [AggregatedAnswer] { distributions[label] ?? [] }
}
