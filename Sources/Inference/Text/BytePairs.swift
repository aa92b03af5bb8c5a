/// Byte-pair encoding with byte fallback, as Hugging Face's `tokenizers` computes it: the pieces of a vocabulary, and
/// the pairs that merge, the earlier of the list first.
struct BytePairs {
    /// Texts of the pieces, with their ids.
    let vocabulary: [ArraySlice<UInt8>: Int32]
    /// For each pair of ids: its rank << 32 | the id that it becomes.
    private var merges: [UInt64: UInt64] = [:]
    /// Ids of <0x00> … <0xFF>.
    private let byteIDs: [Int32]

    /// Fails where `vocabulary` has not each of the pieces <0x00> … <0xFF>.
    init?(vocabulary: [ArraySlice<UInt8>: Int32]) {
        self.vocabulary = vocabulary
        byteIDs = (0..<256).compactMap { vocabulary[BytePiece.text(UInt8($0))[...]] }
        guard byteIDs.count == 256 else { return nil }
    }

    /// Adds the pair of the next rank; false where the vocabulary lacks a part, or both together.
    mutating func add(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard let first = vocabulary[left[...]], let second = vocabulary[right[...]],
            let whole = vocabulary[(left + right)[...]]
        else { return false }
        merges[Self.key(first, second)] = UInt64(rankCount) << 32 | UInt64(whole)
        rankCount += 1
        return true
    }

    private var rankCount = 0

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Ids of `text`, which is UTF-8.
    func encode(_ text: ArraySlice<UInt8>) -> [Int] {
        var symbols = Symbols(firstIDs(text))
        var queue = Heap()
        for place in symbols.ids.indices.dropLast() { push(place, symbols, &queue) }
        while let best = queue.pop() {
            // The pair may have changed since it was queued.
            guard symbols.ids[best.place] >= 0, let right = symbols.next(best.place),
                let merge = merges[Self.key(symbols.ids[best.place], symbols.ids[right])],
                UInt32(truncatingIfNeeded: merge) == best.id
            else { continue }
            symbols.merge(best.place, right, into: Int32(best.id))
            if let left = symbols.previous(best.place) { push(left, symbols, &queue) }
            push(best.place, symbols, &queue)
        }
        return symbols.ids.filter { $0 >= 0 }.map(Int.init)
    }

    private func push(_ place: Int, _ symbols: Symbols, _ queue: inout Heap) {
        guard let right = symbols.next(place), let merge = merges[Self.key(symbols.ids[place], symbols.ids[right])]
        else { return }
        queue.push(Heap.Entry(rank: UInt32(merge >> 32), place: place, id: UInt32(truncatingIfNeeded: merge)))
    }

    /// One id a character, or one a byte of a character that the vocabulary lacks.
    private func firstIDs(_ text: ArraySlice<UInt8>) -> [Int32] {
        var ids: [Int32] = []
        var start = text.startIndex
        while start < text.endIndex {
            var end = start + 1
            while end < text.endIndex, text[end] & 0xC0 == 0x80 { end += 1 }
            if let id = vocabulary[text[start..<end]] {
                ids.append(id)
            } else {
                ids += text[start..<end].map { byteIDs[Int($0)] }
            }
            start = end
        }
        return ids
    }
}

/// A list of ids in which neighbours are merged; a merged place holds −1.
private struct Symbols {
    private(set) var ids: [Int32]
    private var before: [Int]
    private var after: [Int]

    init(_ ids: [Int32]) {
        self.ids = ids
        before = ids.indices.map { $0 - 1 }
        after = ids.indices.map { $0 + 1 }
    }

    func next(_ place: Int) -> Int? { after[place] < ids.count ? after[place] : nil }
    func previous(_ place: Int) -> Int? { before[place] >= 0 ? before[place] : nil }

    mutating func merge(_ left: Int, _ right: Int, into id: Int32) {
        ids[left] = id
        ids[right] = -1
        after[left] = after[right]
        if after[left] < ids.count { before[after[left]] = left }
    }
}

/// Pairs that may merge: the lowest rank first, of equal ranks the first in the text.
private struct Heap {
    struct Entry {
        let rank: UInt32
        let place: Int
        let id: UInt32

        static func < (a: Entry, b: Entry) -> Bool { (a.rank, a.place) < (b.rank, b.place) }
    }

    private var entries: [Entry] = []

    mutating func push(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0, entries[child] < entries[(child - 1) / 2] {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() -> Entry? {
        guard let best = entries.first else { return nil }
        let last = entries.removeLast()
        if entries.isEmpty { return best }
        entries[0] = last
        var parent = 0
        while true {
            let children = (2 * parent + 1..<2 * parent + 3).filter { $0 < entries.count }
            guard let child = children.min(by: { entries[$0] < entries[$1] }), entries[child] < entries[parent] else {
                return best
            }
            entries.swapAt(parent, child)
            parent = child
        }
    }
}

/// A piece that stands for one byte: <0x00> … <0xFF>.
enum BytePiece {
    static func text(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]] + Array(">".utf8)
    }

    /// The byte of such a piece; nil for another text.
    static func byte(_ text: ArraySlice<UInt8>) -> UInt8? {
        guard text.count == 6, text.starts(with: Array("<0x".utf8)) else { return nil }
        let byte = UInt8(String(decoding: text.dropFirst(3).prefix(2), as: UTF8.self), radix: 16)
        return byte.flatMap { self.text($0)[...] == text ? $0 : nil }
    }
}
