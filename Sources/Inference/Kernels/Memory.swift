import CKernels
import Foundation

/// Memory for numbers.
///
/// Weights, keys and values and the matrices of a pass throw `outOfMemory` where there is none: their holder gives up
/// what they were for. What a kernel needs for itself while it computes, a few MB a thread at most, is `certain`: it
/// ends the process, as it does where an array of Swift finds no memory.
enum Memory {
    /// Tests have allocations fail by their size in bytes. Nothing that is `certain` asks.
    @TaskLocal static var isRefused: (@Sendable (Int) -> Bool)?

    /// `count` floats, to be freed with `free`: on a 64-byte boundary, or zeroed. Zeros come from calloc, so that pages
    /// of a large cache that are never touched cost nothing. Large memory is asked for in huge pages: streams of
    /// weights miss the TLB less.
    static func allocate(count: Int, zeroed: Bool) throws(InferenceError) -> UnsafeMutablePointer<Float> {
        try check(count: count, allocateIfPossible(count: count, zeroed: zeroed))
    }

    /// The same from `Scratch.shared`, to be given back there.
    static func takeScratch(count: Int) throws(InferenceError) -> UnsafeMutablePointer<Float> {
        try check(count: count, Scratch.shared.take(count: count))
    }

    private static func check(
        count: Int, _ memory: @autoclosure () -> UnsafeMutablePointer<Float>?
    ) throws(InferenceError) -> UnsafeMutablePointer<Float> {
        let bytes = count * MemoryLayout<Float>.stride
        if let isRefused, isRefused(bytes) { throw InferenceError(outOfMemory: bytes) }
        guard let memory = memory() else { throw InferenceError(outOfMemory: bytes) }
        return memory
    }

    /// Nil where there is no memory.
    static func allocateIfPossible(count: Int, zeroed: Bool) -> UnsafeMutablePointer<Float>? {
        let bytes = (max(count, 1) * MemoryLayout<Float>.stride + 63) / 64 * 64
        let isLarge = !zeroed && bytes >= 4 * hugePage
        var raw: UnsafeMutableRawPointer?
        if zeroed {
            raw = calloc(1, bytes)
        } else if posix_memalign(&raw, isLarge ? hugePage : 64, bytes) != 0 {
            // Not aligned_alloc: by C11 it takes whole huge pages only.
            return nil
        }
        guard let raw else { return nil }
        if isLarge { madvise(raw, bytes, MADV_HUGEPAGE) }  // refused: as without
        return raw.bindMemory(to: Float.self, capacity: max(count, 1))
    }

    /// What must be there.
    static func certain(
        _ memory: UnsafeMutablePointer<Float>?, count: Int
    ) -> UnsafeMutablePointer<Float> {
        guard let memory else { fatalError("out of memory: \(count * MemoryLayout<Float>.stride) bytes") }
        return memory
    }

    private static let hugePage = 2 << 20
}
