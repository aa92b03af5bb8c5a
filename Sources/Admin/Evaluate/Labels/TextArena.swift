import Glibc

/// Many short texts in one piece of memory: a million of them take little more than their bytes.
struct TextArena {
    private var bytes: [UInt8] = []
    /// Where each ends: 4 GB of texts at most.
    private var ends: [UInt32] = []

    var count: Int { ends.count }

    /// - Returns: the text's index.
    @discardableResult
    mutating func append(_ text: Span<UInt8>) -> Int {
        text.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        ends.append(UInt32(bytes.count))
        return ends.count - 1
    }

    @discardableResult
    mutating func append(_ text: String) -> Int { append(text.utf8.span) }

    subscript(index: Int) -> String {
        let range = range(index)
        return bytes.withUnsafeBufferPointer {
            String(decoding: UnsafeBufferPointer(rebasing: $0[range]), as: UTF8.self)
        }
    }

    /// Whether a text is this one, byte by byte.
    func equals(_ index: Int, _ text: Span<UInt8>) -> Bool {
        let range = range(index)
        guard range.count == text.count else { return false }
        return bytes.withUnsafeBytes { bytes in
            text.withUnsafeBytes { text in
                guard let start = bytes.baseAddress, let other = text.baseAddress else { return true }
                return memcmp(start + range.lowerBound, other, range.count) == 0
            }
        }
    }

    private func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index]) }
}

/// Finds texts of an arena by their bytes, and others that stand for them.
struct TextIndex {
    private(set) var texts = TextArena()
    /// What each text stands for.
    private var values: [Int32] = []
    /// An index into `texts`, and above it 32 bits of the text's hash; all bits set where there is none. At most two thirds are
    /// taken.
    private var slots = [UInt64](repeating: .max, count: 1024)

    var count: Int { values.count }

    /// Adds a text.
    /// - Returns: false, and changes nothing, if it is there already.
    @discardableResult
    mutating func add(_ text: Span<UInt8>, for value: Int) -> Bool {
        if 3 * (values.count + 1) > 2 * slots.count { grow() }
        let hash = Self.hash(text)
        let slot = slot(of: text, hash)
        guard slots[slot] == .max else { return false }
        slots[slot] = hash << 32 | UInt64(texts.append(text))
        values.append(Int32(value))
        return true
    }

    @discardableResult
    mutating func add(_ text: String, for value: Int) -> Bool { add(text.utf8.span, for: value) }

    /// What a text stands for; nil: it was not added.
    func value(of text: Span<UInt8>) -> Int? {
        let found = slots[slot(of: text, Self.hash(text))]
        return found == .max ? nil : Int(values[Int(found & 0xFFFF_FFFF)])
    }

    func value(of text: String) -> Int? { value(of: text.utf8.span) }

    /// The index of a text among `texts`; nil: it was not added.
    /// - Parameter guess: the index that it probably has. Texts are often looked up in the order in which they were added.
    func index(of text: Span<UInt8>, guess: Int) -> Int? {
        if guess < texts.count, texts.equals(guess, text) { return guess }
        let found = slots[slot(of: text, Self.hash(text))]
        return found == .max ? nil : Int(found & 0xFFFF_FFFF)
    }

    /// What the text with this index stands for.
    func value(at index: Int) -> Int { Int(values[index]) }

    private func slot(of text: Span<UInt8>, _ hash: UInt64) -> Int {
        var slot = Int(hash) & (slots.count - 1)
        while slots[slot] != .max,
            slots[slot] >> 32 != hash || !texts.equals(Int(slots[slot] & 0xFFFF_FFFF), text)
        { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: .max, count: 2 * old.count)
        for entry in old where entry != .max {
            var slot = Int(entry >> 32) & (slots.count - 1)
            while slots[slot] != .max { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = entry
        }
    }

    /// 32 bits of the bytes: Swift's own hash is one of characters, for which é in one code point and é in two are the same.
    /// Eight bytes at a time, as wyhash mixes them.
    private static func hash(_ text: Span<UInt8>) -> UInt64 {
        text.withUnsafeBytes { bytes in
            var (hash, at) = (UInt64(truncatingIfNeeded: bytes.count), 0)
            func mix(_ word: UInt64) {
                let product = (hash ^ word ^ 0xA076_1D64_78BD_642F).multipliedFullWidth(by: 0xE703_7ED1_A0B4_28DB)
                hash = product.high ^ product.low
            }
            while at + 8 <= bytes.count {
                mix(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                at += 8
            }
            var last: UInt64 = 0
            while at < bytes.count {
                last = last << 8 | UInt64(bytes[at])
                at += 1
            }
            mix(last)
            return (hash ^ hash >> 32) & 0xFFFF_FFFF
        }
    }
}

/// A column of few different texts: a number an item, from the first item on that has one.
struct NameColumn {
    private(set) var names: [String] = []
    private var numbers: [String: Int32] = [:]
    private var values: [Int32] = []
    private var count = 0

    /// Whether no item has a name.
    var isEmpty: Bool { names.isEmpty }

    mutating func append(_ name: String?) {
        count += 1
        guard let name else {
            if !isEmpty { values.append(-1) }
            return
        }
        if isEmpty { values = Array(repeating: -1, count: count - 1) }
        if let number = numbers[name] {
            values.append(number)
        } else {
            numbers[name] = Int32(names.count)
            values.append(Int32(names.count))
            names.append(name)
        }
    }

    subscript(item: Int) -> String? { isEmpty || values[item] < 0 ? nil : names[Int(values[item])] }
}
