import CKernels
import Foundation

/// Keys and values of one run of tokens, for every layer: [layer][KV head][keys, values]. A prefix has one; a response has
/// one for each block of its tokens.
///
/// Both are laid out as the right side of a matrix product: keys as weights [tokens, head], values as weights [head,
/// tokens]. Written by the one forward pass that owns it; once filled, a prefix is shared by the samples that extend
/// it.
final class KeyValueCache {
    let layout: KeyValueLayout
    let capacity: Int
    /// Tokens held, the same in every layer once a forward pass is over.
    private(set) var count = 0
    private let storage: UnsafeMutableRawPointer

    convenience init(layout: KeyValueLayout, capacity: Int) throws(InferenceError) {
        try self.init(layout: layout, capacity: capacity, zeroed: true)
    }

    private init(layout: KeyValueLayout, capacity: Int, zeroed: Bool) throws(InferenceError) {
        self.layout = layout
        self.capacity = capacity
        storage = UnsafeMutableRawPointer(
            try Memory.allocate(count: layout.byteCount(capacity: capacity) / 4, zeroed: zeroed))
    }

    deinit { free(storage) }

    /// Another one with the same tokens.
    func copy() throws(InferenceError) -> KeyValueCache {
        let other = try KeyValueCache(layout: layout, capacity: capacity, zeroed: false)
        memcpy(other.storage, storage, byteCount)
        other.count = count
        return other
    }

    /// Bytes that it takes.
    var byteCount: Int { layout.byteCount(capacity: capacity) }

    private func base(layer: Int, head: Int) -> UnsafeMutableRawPointer {
        storage + (layer * layout.heads + head) * layout.headByteCount(capacity: capacity)
    }

    /// Weights [tokens, head] of the first `tokens` tokens.
    func keys(layer: Int, head: Int, tokens: Int) -> gloss_weights {
        layout.keys(at: base(layer: layer, head: head), tokens: tokens)
    }

    /// Weights [head, tokens] of the first `tokens` tokens.
    func values(layer: Int, head: Int, tokens: Int) -> gloss_weights {
        layout.values(at: base(layer: layer, head: head), tokens: tokens, capacity: capacity)
    }

    /// Writes the token at `index`: key and value of `head`.
    func store(key: UnsafePointer<Float>, value: UnsafePointer<Float>, at index: Int, layer: Int, head: Int) {
        precondition(index < capacity)
        layout.store(
            key: key, value: value, in: base(layer: layer, head: head), at: index, capacity: capacity)
    }

    /// Noise, for benchmarks.
    func fillRandomly() { gloss_fill_random(storage, byteCount, layout.type, UInt64(capacity)) }

    /// Counts tokens whose keys and values every layer has written.
    func advance(by tokens: Int) {
        precondition(count + tokens <= capacity)
        count += tokens
    }
}

/// Shape of a cache, and where things lie in the block of one head: keys, then values.
struct KeyValueLayout: Sendable {
    let layers: Int
    let heads: Int
    let headDimension: Int
    /// F32 or BF16.
    let type: gloss_dtype

    private static let panel = Int(GLOSS_PANEL)
    private var keyWords: Int { Int(gloss_words(type, Int64(headDimension))) }
    private func valueWords(_ capacity: Int) -> Int { Int(gloss_words(type, Int64(capacity))) }
    private func keyByteCount(_ capacity: Int) -> Int {
        (capacity + Self.panel - 1) / Self.panel * keyWords * Self.panel * 4
    }

    /// Bytes of one head's keys and values of one layer.
    func headByteCount(capacity: Int) -> Int {
        keyByteCount(capacity)
            + (headDimension + Self.panel - 1) / Self.panel * valueWords(capacity) * Self.panel * 4
    }

    /// Bytes of a cache for `capacity` tokens.
    func byteCount(capacity: Int) -> Int { layers * heads * headByteCount(capacity: capacity) }

    func keys(at base: UnsafeMutableRawPointer, tokens: Int) -> gloss_weights {
        gloss_weights(
            packed: base, scales: nil, bias: nil, outputs: Int64(tokens), inputs: Int64(headDimension),
            panel_words: Int64(keyWords), type: type)
    }

    func values(at base: UnsafeMutableRawPointer, tokens: Int, capacity: Int) -> gloss_weights {
        gloss_weights(
            packed: base + keyByteCount(capacity), scales: nil, bias: nil, outputs: Int64(headDimension),
            inputs: Int64(tokens), panel_words: Int64(valueWords(capacity)), type: type)
    }

    func store(
        key: UnsafePointer<Float>, value: UnsafePointer<Float>, in base: UnsafeMutableRawPointer, at index: Int,
        capacity: Int
    ) {
        gloss_store_key(key, Int64(headDimension), base, type, Int64(index))
        gloss_store_value(
            value, Int64(headDimension), base + keyByteCount(capacity), type, Int64(index), Int64(capacity))
    }
}
