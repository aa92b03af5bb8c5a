/// Image tokens by content, and which images still have to go through the vision tower. No computing.
///
/// An image is pinned from its first `retain` until its last `release`. Others stay as long as there is room, the least
/// recently used go first. Pinned images alone may exceed the limit: by those of one query or of one holder of each
/// priority at the most, as the scheduler's `missingImages` sees to.
struct ImageCache {
    private struct Entry {
        var pixels: ImageInput?
        var tokens: ImageTokens?
        var pins = 0
        var lastUse = 0
    }

    private let byteLimit: Int
    private var entries: [String: Entry] = [:]
    private var clock = 0
    private(set) var byteCount = 0

    init(byteLimit: Int) { self.byteLimit = byteLimit }

    /// Pins an image. True if it needs no pass of its own: it is here, or on its way already.
    mutating func retain(_ image: Scheduler.Image) -> Bool {
        clock += 1
        var entry = entries[image.key] ?? Entry()
        let isKnown = entry.pixels != nil || entry.tokens != nil
        entry.pins += 1
        entry.lastUse = clock
        if !isKnown, case .pixels(let pixels) = image.content { entry.pixels = pixels }
        entries[image.key] = entry
        if !isKnown, case .tokens(let tokens) = image.content { fill(image.key, tokens) }
        return isKnown
    }

    /// Takes a pin away.
    mutating func release(_ key: String) {
        guard var entry = entries[key] else { return }
        entry.pins -= 1
        entries[key] = entry.pins == 0 && entry.tokens == nil ? nil : entry
        evict()
    }

    /// What the vision tower made of an image.
    mutating func fill(_ key: String, _ tokens: ImageTokens) {
        entries[key]?.tokens = tokens
        entries[key]?.pixels = nil
        byteCount += tokens.byteCount
        evict()
    }

    func tokens(_ key: String) -> ImageTokens? { entries[key]?.tokens }

    /// The pixels of an image that has no tokens yet.
    func pixels(_ key: String) -> ImageInput? { entries[key]?.pixels }

    /// Bytes that may be filled without taking more than the limit: what is not pinned makes room.
    var roomBytes: Int { byteLimit - entries.values.reduce(0) { $1.pins > 0 ? $0 + ($1.tokens?.byteCount ?? 0) : $0 } }

    private mutating func evict() {
        while byteCount > byteLimit {
            // No sorting: in the long run one goes for each that comes, and images of a small model are here by the
            // thousand.
            let idle = entries.lazy.filter { $0.value.pins == 0 }
            guard let (key, entry) = idle.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return }
            byteCount -= entry.tokens?.byteCount ?? 0
            entries[key] = nil
        }
    }
}

extension ImageTokens {
    var byteCount: Int { values.count * MemoryLayout<Float>.stride }
}
