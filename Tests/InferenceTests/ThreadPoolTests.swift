import Foundation
import Synchronization
import Testing

@testable import Inference

/// How often each chunk was computed.
private final class Tally: Sendable {
    private let counts: Mutex<[Int]>
    init(_ chunks: Int) { counts = Mutex([Int](repeating: 0, count: chunks)) }
    func add(_ chunk: Int) { counts.withLock { $0[chunk] += 1 } }
    var isOneEach: Bool { counts.withLock { $0.allSatisfy { $0 == 1 } } }
}

private final class Callers: Sendable {
    let left: Atomic<Int>
    let wrong = Atomic(0)
    init(_ count: Int) { left = Atomic(count) }
}

@Suite(.timeLimit(.minutes(5))) struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 7]) func computesEachChunkOnce(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        for chunks in [0, 1, 2, 3, 5, 8, 63, 1000] {
            let tally = Tally(chunks)
            pool.run(chunks: chunks) { tally.add($0) }
            #expect(tally.isOneEach)
        }
    }

    /// Side by side, each part once, the longest runs first, and single parts at the end.
    @Test(arguments: [1, 2, 3, 16]) func sharesOfSequentialParts(threads: Int) {
        for parts in [0, 1, 2, 3, 7, 16 * threads] {
            let shares = Shares(parts: parts, threadCount: threads)
            let bounds = (0...shares.count).map { shares.start($0) }
            #expect(bounds.first == 0 && bounds.last == parts)
            let sizes = zip(bounds.dropFirst(), bounds).map(-)
            #expect(sizes.allSatisfy { $0 > 0 } && sizes == sizes.sorted(by: >))
            #expect(sizes.suffix(threads).allSatisfy { $0 == 1 })
            if parts == 16 * threads {
                #expect(sizes.prefix(threads).allSatisfy { $0 == 8 } && shares.count == 5 * threads)
            }
        }
    }

    /// Each run sees what the one before wrote, and none is left behind when the caller goes on.
    @Test func manyShortRuns() {
        let pool = ThreadPool(threadCount: 3)
        nonisolated(unsafe) let values = UnsafeMutableBufferPointer<Int>.allocate(capacity: 5)
        values.initialize(repeating: 0)
        defer { values.deallocate() }
        for _ in 0..<50_000 { pool.run(chunks: 5) { values[$0] += 1 } }
        #expect(values.allSatisfy { $0 == 50_000 })
    }

    @Test func aRunInsideARun() {
        let pool = ThreadPool(threadCount: 3)
        let tally = Tally(40)
        pool.run(chunks: 8) { outer in pool.run(chunks: 5) { tally.add(outer * 5 + $0) } }
        #expect(tally.isOneEach)
    }

    @Test func severalThreadsCall() async {
        let (pool, callers) = (ThreadPool(threadCount: 2), Callers(4))
        await withCheckedContinuation { continuation in
            for _ in 0..<4 {
                Thread.detachNewThread {
                    for _ in 0..<2000 {
                        let tally = Tally(6)
                        pool.run(chunks: 6) { tally.add($0) }
                        if !tally.isOneEach { callers.wrong.add(1, ordering: .relaxed) }
                    }
                    if callers.left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                        continuation.resume()
                    }
                }
            }
        }
        #expect(callers.wrong.load(ordering: .relaxed) == 0)
    }

    /// Many more threads than processors: who waits must let the others work.
    @Test func progressesWithTooManyThreads() {
        let pool = ThreadPool(threadCount: 16 * max(1, Processors.allowed().count))
        let sum = Atomic(0)
        for _ in 0..<500 { pool.run(chunks: 200) { sum.add($0, ordering: .relaxed) } }
        #expect(sum.load(ordering: .relaxed) == 500 * 199 * 100)
    }

    @Test func poolsComeAndGo() {
        for threads in 1...200 {
            let tally = Tally(3)
            ThreadPool(threadCount: threads % 4 + 1).run(chunks: 3) { tally.add($0) }
            #expect(tally.isOneEach)
        }
    }

    /// Where one thread is enough, there is nothing to hand over, but still a place to be.
    @Test func oneThreadAloneStaysOnItsProcessorToo() async throws {
        let cpu = try #require(Processors.allowed().last)
        let found = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var found: [Int] = []
                Compute(threadCount: 1, cpus: [cpu]).split(1, cost: 1) { _ in found = Processors.allowed() }
                continuation.resume(returning: found)
            }
        }
        #expect(found == [cpu])
    }

    @Test func staysOnItsProcessors() async throws {
        let cpu = try #require(Processors.allowed().last)
        let found = await withCheckedContinuation { continuation in
            // A thread of its own, because it is kept there.
            Thread.detachNewThread {
                let found = Mutex<[[Int]]>([])
                ThreadPool(threadCount: 2, cpus: [cpu]).run(chunks: 20) { _ in
                    found.withLock { $0.append(Processors.allowed()) }
                }
                continuation.resume(returning: found.withLock { $0 })
            }
        }
        #expect(found == [[Int]](repeating: [cpu], count: 20))
    }
}
