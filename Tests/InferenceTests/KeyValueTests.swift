import CKernels
import Testing

@testable import Inference

/// Memory of keys and values: blocks that fill and fork, and the plan by which they are granted.
@Suite struct KeyValueTests {
    private let layout = KeyValueLayout(layers: 2, heads: 1, headDimension: 16, type: GLOSS_F32)

    private func append(_ value: Float, to response: inout KeyValueBlocks) throws {
        try response.makeRoom()
        let (block, vector) = (response.blocks.last!, [Float](repeating: value, count: 16))
        for layer in 0..<2 { block.store(key: vector, value: vector, at: block.count, layer: layer, head: 0) }
        block.advance(by: 1)
    }

    /// The first number of each token's key.
    private func tokens(_ response: KeyValueBlocks) -> [Float] {
        response.blocks.flatMap { block in
            (0..<block.count).map { token in
                gloss_load(block.keys(layer: 1, head: 0, tokens: block.count).packed, GLOSS_F32, Int64(token))
            }
        }
    }

    @Test func blocksAreAllocatedAsTheyFill() throws {
        var response = KeyValueBlocks(layout: layout, limit: 150)
        #expect(response.byteCount == 0 && response.nextByteCount == layout.byteCount(capacity: 64))
        for token in 0..<150 {
            try append(Float(token), to: &response)
            #expect(response.blocks.count == token / 64 + 1 && response.count == token + 1)
            #expect(response.byteCount + response.remainingByteCount == layout.byteCount(blocksFor: 150))
        }
        #expect(response.remainingByteCount == 0 && response.blocks.last!.capacity == 22)
        #expect(tokens(response) == (0..<150).map(Float.init))
    }

    @Test func aForkSharesWhatIsFull() throws {
        var one = KeyValueBlocks(layout: layout, limit: 200)
        for token in 0..<70 { try append(Float(token), to: &one) }
        var other = one
        #expect(zip(one.blocks, other.blocks).allSatisfy { $0 === $1 })
        try append(-1, to: &other)
        try append(-2, to: &one)
        #expect(one.blocks[0] === other.blocks[0] && one.blocks[1] !== other.blocks[1])
        #expect(tokens(one) == (0..<70).map(Float.init) + [-2] && tokens(other) == (0..<70).map(Float.init) + [-1])
    }

    /// Whatever is asked in whatever order: the limit holds, the oldest gets what it needs, and all come to their end.
    @Test(arguments: 0..<50) func everyPlanEnds(seed: UInt64) {
        var random = SplitMix64(seed)
        let limit = 1000
        var waiting = (0..<40).map { _ in
            MemoryPlan.Holding(
                bytes: .random(in: 1...300, using: &random), remaining: .random(in: 0...700, using: &random))
        }
        var plan = MemoryPlan(limit: limit, holdings: [])
        var (steps, most) = (0, 0)
        while !waiting.isEmpty || !plan.holdings.isEmpty {
            if let next = waiting.last, plan.admit(next) { waiting.removeLast() }
            for index in plan.holdings.indices where plan.holdings[index].remaining > 0 {
                let bytes = min(plan.holdings[index].remaining, .random(in: 1...60, using: &random))
                let isGranted = plan.grant(bytes, to: index)
                #expect(index > 0 || isGranted)
            }
            #expect(plan.bytes <= limit)
            most = max(most, plan.holdings.count)
            plan = MemoryPlan(limit: limit, holdings: plan.holdings.filter { $0.remaining > 0 })
            steps += 1
            guard steps < 10_000 else { break }
        }
        #expect(waiting.isEmpty && plan.holdings.isEmpty && most > 1)
    }
}
