import Testing

@testable import Inference

@Suite struct ScratchTests {
    private let scratch = Scratch(limit: 1 << 20)

    @Test("What is given back is taken again for about the same size, on a boundary of 64 bytes")
    func reuses() throws {
        let first = try scratch.taken(count: 50_000)
        #expect(Int(bitPattern: first) % 64 == 0)
        first[49_999] = 1
        scratch.give(first, count: 50_000)
        let again = try scratch.taken(count: 49_500)
        #expect(again == first)
        #expect(scratch.keptBytes == 0)
        let other = try scratch.taken(count: 50_000)
        #expect(other != first)
        scratch.give(again, count: 49_500)
        scratch.give(other, count: 50_000)
    }

    @Test("A block of another size is not taken")
    func tellsSizesApart() throws {
        let small = try scratch.taken(count: 30_000)
        scratch.give(small, count: 30_000)
        let large = try scratch.taken(count: 40_000)
        #expect(large != small)
        large[39_999] = 1
        scratch.give(large, count: 40_000)
    }

    @Test("No more than the limit is kept, the last ones; what is larger, small or empty is not")
    func isBounded() throws {
        let blocks = try (0..<8).map { _ in try scratch.taken(count: 60_000) }
        for block in blocks { scratch.give(block, count: 60_000) }
        #expect(scratch.keptBytes > 3 << 18 && scratch.keptBytes <= 1 << 20)
        #expect(scratch.take(count: 60_000) == blocks[7])
        scratch.give(blocks[7], count: 60_000)
        let kept = scratch.keptBytes
        for count in [0, 1, 1000, 1 << 20] { try scratch.give(scratch.taken(count: count), count: count) }
        #expect(scratch.keptBytes == kept)
    }
}

extension Scratch {
    fileprivate func taken(count: Int) throws -> UnsafeMutablePointer<Float> { try #require(take(count: count)) }
}
