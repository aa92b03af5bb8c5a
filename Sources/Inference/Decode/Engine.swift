import Annotation

/// An image for the vision tower.
struct ImageInput: Sendable {
    let pixels: PixelValues
    /// What the products of the vision tower and the projector add.
    var adapter: Adapter?
}

/// What computes, a step at a time. The scheduler decides what the next step is; nothing else of a model matters to it.
///
/// A cache that nobody holds any more is free.
protocol Engine: Sendable {
    /// Sizes.
    var configuration: ModelConfiguration { get }
    /// What keys and values take.
    var keyValues: KeyValueLayout { get }

    /// What a query asks of a prefill. Throws what this model can't serve.
    func waitingPrefix(of query: Scheduler.Query) throws(InferenceError) -> WaitingPrefix

    /// Some images through the vision tower, together.
    func embedImages(_ images: [ImageInput]) throws(InferenceError) -> [ImageTokens]

    /// Fills the empty caches of some prefixes, and finds the first token of each sequence. `rows`: the prefix of each
    /// sequence, in order.
    func prefill(
        _ prefixes: [Prefix], _ caches: [KeyValueCache], for sequences: inout [LiveSequence], rows: [Int]
    ) throws(InferenceError)

    /// Takes in `rowCount` tokens of each sequence, whose blocks have room, and finds those that follow.
    func extend(_ sequences: inout [LiveSequence]) throws(InferenceError)

    /// A response as text. Throws where its log-probabilities are no numbers.
    func generation(_ response: ScoredTokens, _ prefixCount: Int) throws(InferenceError) -> Generation
}

extension PaliGemma: Engine {
    var keyValues: KeyValueLayout { language.heads.cache }

    func prefill(
        _ prefixes: [Prefix], _ caches: [KeyValueCache], for sequences: inout [LiveSequence], rows: [Int]
    ) throws(InferenceError) {
        let hidden = try language.prefill(prefixes, caches, compute)
        try language.draw(hidden, rows: rows, for: &sequences, locations: locations, compute)
    }

    func extend(_ sequences: inout [LiveSequence]) throws(InferenceError) {
        let hidden = try language.extend(sequences, compute)
        try language.draw(hidden, rows: sequences.firstRows, for: &sequences, locations: locations, compute)
    }
}

extension KeyValueLayout {
    /// Bytes of the keys and values of a prefix and of all its responses at their full length.
    func byteCount(of prefix: WaitingPrefix) -> Int {
        prefix.queries.reduce(byteCount(capacity: prefix.count)) { bytes, query in
            query.options.isEmpty
                ? bytes + query.sequenceCount * byteCount(blocksFor: query.settings.maxTokens)
                : query.options.reduce(bytes) { $0 + byteCount(blocksFor: $1.count - 1) }
        }
    }
}
