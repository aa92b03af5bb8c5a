/// Many short texts in one piece of memory: a million of them take little more than their bytes.
struct TextArena {
    private var bytes: [UInt8] = []
    /// Where each ends: 4 GB of texts at most.
    private var ends: [UInt32] = []

    var count: Int { ends.count }

    /// - Returns: the text's index.
    @discardableResult
    mutating func append(_ text: String) -> Int {
        bytes.append(contentsOf: text.utf8)
        ends.append(UInt32(bytes.count))
        return ends.count - 1
    }

    subscript(index: Int) -> String { String(decoding: slice(index), as: UTF8.self) }

    /// Whether a text is this one, byte by byte.
    func equals(_ index: Int, _ text: String.UTF8View) -> Bool {
        let range = range(index)
        return range.count == text.count && bytes[range].elementsEqual(text)
    }

    private func slice(_ index: Int) -> ArraySlice<UInt8> { bytes[range(index)] }

    private func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index]) }
}

/// Finds texts of an arena by their bytes, and others that stand for them.
struct TextIndex {
    private(set) var texts = TextArena()
    /// What each text stands for.
    private var values: [Int32] = []
    /// Indices into `texts`, −1 where there is none; at most two thirds of them are taken.
    private var slots = [Int32](repeating: -1, count: 1024)

    var count: Int { values.count }

    /// Adds a text.
    /// - Returns: false, and changes nothing, if it is there already.
    @discardableResult
    mutating func add(_ text: String, for value: Int) -> Bool {
        if 3 * (values.count + 1) > 2 * slots.count { grow() }
        let slot = slot(of: text)
        guard slots[slot] < 0 else { return false }
        slots[slot] = Int32(texts.append(text))
        values.append(Int32(value))
        return true
    }

    /// What a text stands for; nil: it was not added.
    func value(of text: String) -> Int? {
        let found = slots[slot(of: text)]
        return found < 0 ? nil : Int(values[Int(found)])
    }

    private func slot(of text: String) -> Int {
        var slot = Self.hash(text) & (slots.count - 1)
        while slots[slot] >= 0, !texts.equals(Int(slots[slot]), text.utf8) { slot = (slot + 1) & (slots.count - 1) }
        return slot
    }

    private mutating func grow() {
        let old = slots
        slots = [Int32](repeating: -1, count: 2 * old.count)
        for index in old where index >= 0 {
            var slot = Self.hash(texts[Int(index)]) & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = index
        }
    }

    /// Of the bytes: Swift's own hash is one of characters, for which é in one code point and é in two are the same.
    private static func hash(_ text: String) -> Int {
        var hasher = Hasher()
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        return hasher.finalize() & Int.max
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
