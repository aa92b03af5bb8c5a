import CKernels

/// Keys and values of a response, in blocks of 64 tokens that are allocated as they fill.
///
/// A copy shares the blocks and takes no memory. What writes into a block that is shared has a copy of it first, so a
/// response forks at the price of its last block at most.
struct KeyValueBlocks {
    /// Tokens of a block: those of a panel.
    static let tokens = Int(GLOSS_PANEL)

    let layout: KeyValueLayout
    /// The most tokens that will come: the last block is no larger than they need.
    let limit: Int
    /// All full, but for the last.
    private(set) var blocks: [KeyValueCache] = []

    /// Nothing is allocated yet.
    init(layout: KeyValueLayout, limit: Int) { (self.layout, self.limit) = (layout, limit) }

    /// Tokens held.
    var count: Int { blocks.reduce(0) { $0 + $1.count } }
    /// Bytes of the blocks that there are.
    var byteCount: Int { blocks.reduce(0) { $0 + $1.byteCount } }
    /// Bytes of the blocks that may come.
    var remainingByteCount: Int { layout.byteCount(blocksFor: limit) - byteCount }
    /// Bytes that `makeRoom` takes now; 0 where the last block has room. A shared one counts as its own.
    var nextByteCount: Int {
        guard blocks.last.map({ $0.count == $0.capacity }) ?? true else { return 0 }
        return layout.byteCount(capacity: nextCapacity)
    }

    /// Tokens that the last block has room for.
    var room: Int { blocks.last.map { $0.capacity - $0.count } ?? 0 }

    private var nextCapacity: Int { min(Self.tokens, limit - blocks.count * Self.tokens) }

    /// Makes room for the next token, in a block that nobody else has.
    mutating func makeRoom() throws(InferenceError) {
        precondition(count < limit)
        if nextByteCount > 0 {
            blocks.append(try KeyValueCache(layout: layout, capacity: nextCapacity))
        } else if !isKnownUniquelyReferenced(&blocks[blocks.count - 1]) {
            blocks[blocks.count - 1] = try blocks[blocks.count - 1].copy()
        }
    }
}

extension KeyValueLayout {
    /// Bytes of the blocks of `tokens` tokens.
    func byteCount(blocksFor tokens: Int) -> Int {
        let (whole, rest) = tokens.quotientAndRemainder(dividingBy: KeyValueBlocks.tokens)
        return whole * byteCount(capacity: KeyValueBlocks.tokens) + byteCount(capacity: rest)
    }
}
