import CKernels
import Foundation

/// Keys and values of one run of tokens, for every layer: [layer][key or value][KV head][capacity][stride].
///
/// Heads are padded with zeros to `stride`, a multiple of 16. Written by the one forward pass that owns it; once
/// filled, a prefix is shared by the samples that extend it.
final class KeyValueCache {
    let layout: KeyValueLayout
    let capacity: Int
    /// Tokens held, the same in every layer once a forward pass is over.
    private(set) var count = 0
    private let storage: UnsafeMutablePointer<Float>

    init(layout: KeyValueLayout, capacity: Int) {
        self.layout = layout
        self.capacity = capacity
        storage = allocateAligned(
            count: max(1, 2 * layout.layers * layout.heads * capacity * layout.stride), zeroed: true)
    }

    deinit { free(storage) }

    func keys(layer: Int, head: Int) -> UnsafeMutablePointer<Float> {
        storage + (layer * 2 * layout.heads + head) * capacity * layout.stride
    }

    func values(layer: Int, head: Int) -> UnsafeMutablePointer<Float> {
        storage + ((layer * 2 + 1) * layout.heads + head) * capacity * layout.stride
    }

    /// Counts tokens whose keys and values every layer has written.
    func advance(by tokens: Int) {
        precondition(count + tokens <= capacity)
        count += tokens
    }
}

/// Shape of a cache.
struct KeyValueLayout: Sendable {
    let layers: Int
    let heads: Int
    let headDimension: Int

    /// Head size with its zero padding.
    var stride: Int { (headDimension + 15) / 16 * 16 }
}
