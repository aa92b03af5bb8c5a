import Annotation

/// One prefill to come, and the queries that it is for.
struct WaitingPrefix {
    /// Two queries with the same images and prompt have the same prefix. Not the prompt's text: strings are equal that differ in how
    /// their accents are composed, and the tokens of these differ.
    struct Key: Hashable {
        let images: [String]
        /// Tokens after those of the images.
        let ids: [Int]
    }

    let key: Key
    /// Tokens in all.
    let count: Int
    /// Queries, and the answers that each wants.
    var queries: [(id: Int, settings: DecodeSettings)]

    var answerCount: Int { queries.reduce(0) { $0 + $1.settings.samples } }
}

/// Prefixes in the order of their arrival. Equal ones stand in line once, as far as `mayShare` allows.
struct WaitingLine {
    private(set) var prefixes: [WaitingPrefix] = []
    private var indices: [WaitingPrefix.Key: Int] = [:]

    var isEmpty: Bool { prefixes.isEmpty }

    /// Puts a query's prefix at the end, or the query to its like. True if it shares.
    mutating func add(_ prefix: WaitingPrefix, mayShare: (WaitingPrefix) -> Bool) -> Bool {
        if let index = indices[prefix.key] {
            var both = prefixes[index]
            both.queries += prefix.queries
            if mayShare(both) {
                prefixes[index] = both
                return true
            }
        }
        indices[prefix.key] = prefixes.count
        prefixes.append(prefix)
        return false
    }

    mutating func removeFirst(_ count: Int) -> [WaitingPrefix] {
        let first = Array(prefixes.prefix(count))
        prefixes.removeFirst(count)
        reindex()
        return first
    }

    /// Takes a query out. The key of its prefix if it stood here, for each query that was taken out.
    mutating func remove(query id: Int) -> WaitingPrefix.Key? {
        guard let index = prefixes.firstIndex(where: { $0.queries.contains { $0.id == id } }) else { return nil }
        let key = prefixes[index].key
        prefixes[index].queries.removeAll { $0.id == id }
        if prefixes[index].queries.isEmpty {
            prefixes.remove(at: index)
            reindex()
        }
        return key
    }

    private mutating func reindex() {
        indices = Dictionary(prefixes.enumerated().map { ($1.key, $0) }) { $1 }
    }
}
