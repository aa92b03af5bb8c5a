import Foundation
import Synchronization

/// Memory of matrices that live as long as a layer or a pass. What is given back is kept for the next of about its
/// size: fresh memory costs the kernel its zeroing, which was 4% of an extend.
final class Scratch: Sendable {
    /// Sendable unchecked: nobody reads or writes a block that is kept.
    private struct Block: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        let bytes: Int
    }

    static let shared = Scratch(limit: 128 << 20)
    /// Smaller ones are left to malloc.
    private static let worthwhile = 64 << 10

    /// Bytes that are kept at most.
    private let limit: Int
    /// Longest kept first.
    private let kept = Mutex<[Block]>([])

    init(limit: Int) { self.limit = limit }

    deinit { for block in kept.withLock({ $0 }) { free(block.base) } }

    /// Bytes that are kept now.
    var keptBytes: Int { kept.withLock { Self.bytes($0) } }

    /// At least `count` floats on a 64-byte boundary, of any value; nil where there is no memory.
    func take(count: Int) -> UnsafeMutablePointer<Float>? {
        let bytes = Self.size(count: count)
        // The last one that was given back may still be in a processor's cache.
        let found = kept.withLock { kept in
            kept.lastIndex { $0.bytes == bytes }.map { kept.remove(at: $0) }
        }
        guard let found else { return Memory.allocateIfPossible(count: bytes / 4, zeroed: false) }
        return found.base.assumingMemoryBound(to: Float.self)
    }

    /// Ends the use of what `take` gave for `count`.
    func give(_ base: UnsafeMutableRawPointer, count: Int) {
        let block = Block(base: base, bytes: Self.size(count: count))
        guard block.bytes >= Self.worthwhile, block.bytes <= limit else { return free(base) }
        let surplus = kept.withLock { kept in
            kept.append(block)
            var surplus: [Block] = []
            while Self.bytes(kept) > limit { surplus.append(kept.removeFirst()) }
            return surplus
        }
        for block in surplus { free(block.base) }
    }

    private static func bytes(_ blocks: [Block]) -> Int { blocks.reduce(0) { $0 + $1.bytes } }

    /// Bytes for `count` floats, up to an eighth more, so that few sizes are told apart.
    private static func size(count: Int) -> Int {
        let bytes = max(count * MemoryLayout<Float>.stride, 64)
        let step = max(64, (1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount)) / 8)
        return (bytes + step - 1) / step * step
    }
}
