/// Whether live responses can all come to their end within a limit of memory, however long they become.
///
/// Keys and values are allocated as they are computed, so more responses begin than would fit at their full length. Each
/// further block is granted only if the prefills' responses could then still end one prefill after the other, the oldest
/// first, by what is free and what those before them give back (the banker's algorithm). So the limit holds, the oldest
/// never waits, and the others wait at worst until it has ended.
struct MemoryPlan {
    /// The responses of one prefill.
    struct Holding {
        /// Bytes of the prefix and of their blocks.
        var bytes: Int
        /// Bytes that they may still need at worst.
        var remaining: Int
    }

    let limit: Int
    /// The oldest first.
    private(set) var holdings: [Holding]

    init(limit: Int, holdings: [Holding]) { (self.limit, self.holdings) = (limit, holdings) }

    /// Bytes held.
    var bytes: Int { holdings.reduce(0) { $0 + $1.bytes } }

    /// Grants a further block to the responses at `index`, if it is safe. The oldest have what they need.
    mutating func grant(_ bytes: Int, to index: Int) -> Bool {
        var after = self
        after.holdings[index].bytes += bytes
        after.holdings[index].remaining -= bytes
        guard index == 0 || after.isSafe else { return false }
        self = after
        return true
    }

    /// Takes in the responses of one more prefill, if it is safe. The only ones have what they need.
    mutating func admit(_ new: Holding) -> Bool {
        var after = self
        after.holdings.append(new)
        guard holdings.isEmpty || after.isSafe else { return false }
        self = after
        return true
    }

    private var isSafe: Bool {
        var free = limit == .max ? limit / 2 : limit - bytes
        for holding in holdings {
            guard holding.remaining <= free else { return false }
            free += holding.bytes
        }
        return true
    }
}
