import Annotation

/// One prefill to come, and the queries that it is for.
struct WaitingPrefix {
    /// Two queries with the same images, prompt and adapter have the same prefix. Not the prompt's text: strings are equal that
    /// differ in how their accents are composed, and the tokens of these differ.
    struct Key: Hashable {
        let images: [String]
        /// Tokens after those of the images.
        let ids: [Int]
        var adapter: Adapter?
    }

    /// Where in line: by priority, then by arrival. No two are equal.
    struct Place: Comparable {
        let priority: Int
        var arrival = 0

        static func < (a: Place, b: Place) -> Bool { (a.priority, a.arrival) < (b.priority, b.arrival) }
    }

    struct Query {
        let id: Int
        let settings: DecodeSettings
        var place: Place
        /// What each response begins with.
        var beginning: [Int] = []
        /// Responses to score, each with its end token, instead of drawing any.
        var options: [[Int]] = []
        /// Who keeps its images.
        var holder: Int64?

        /// Sequences that are extended for it.
        var sequenceCount: Int { options.isEmpty ? max(settings.samples, settings.beams) : options.count }
        /// Responses that come of it.
        var responseCount: Int { options.isEmpty ? settings.samples : options.count }
    }

    let key: Key
    /// Tokens in all.
    let count: Int
    /// At least one.
    var queries: [Query] { didSet { place = Self.best(queries) } }
    /// The best of its queries'.
    private(set) var place: Place

    init(key: Key, count: Int, query: Query) {
        (self.key, self.count, queries, place) = (key, count, [query], query.place)
    }

    var priority: Int { place.priority }
    var sequenceCount: Int { queries.reduce(0) { $0 + $1.sequenceCount } }

    private static func best(_ queries: [Query]) -> Place { queries.lazy.map(\.place).min()! }
}

/// Prefixes by priority, and within one in the order of their arrival. Equal ones stand in line once, as far as
/// `mayShare` allows, at the best place of their queries.
struct WaitingLine {
    private(set) var prefixes: [WaitingPrefix] = []
    /// The places of equal prefixes, the latest last.
    private var places: [WaitingPrefix.Key: [WaitingPrefix.Place]] = [:]
    private var arrivalCount = 0

    var isEmpty: Bool { prefixes.isEmpty }

    /// Puts a query's prefix in line, or the query to its like. True if it shares.
    mutating func add(_ prefix: WaitingPrefix, mayShare: (WaitingPrefix) -> Bool) -> Bool {
        var new = prefix
        arrivalCount += 1
        for index in new.queries.indices { new.queries[index].place.arrival = arrivalCount }
        if let place = places[new.key]?.last {
            var both = prefixes[index(of: place)]
            both.queries += new.queries
            if mayShare(both) {
                replace(at: place, with: both)
                return true
            }
        }
        prefixes.insert(new, at: index(of: new.place))
        places[new.key, default: []].append(new.place)
        return false
    }

    mutating func removeFirst(_ count: Int) -> [WaitingPrefix] {
        let first = Array(prefixes.prefix(count))
        prefixes.removeFirst(count)
        for prefix in first { forget(prefix.place, of: prefix.key) }
        return first
    }

    /// Takes a query out. The key of its prefix if it stood here.
    mutating func remove(query id: Int) -> WaitingPrefix.Key? {
        guard let index = prefixes.firstIndex(where: { $0.queries.contains { $0.id == id } }) else { return nil }
        let prefix = prefixes[index]
        if prefix.queries.count == 1 {
            prefixes.remove(at: index)
            forget(prefix.place, of: prefix.key)
        } else {
            var rest = prefix
            rest.queries.removeAll { $0.id == id }
            replace(at: prefix.place, with: rest)
        }
        return prefix.key
    }

    /// The index of the prefix at `place`, or that of one that would stand there.
    private func index(of place: WaitingPrefix.Place) -> Int {
        var (low, high) = (0, prefixes.count)
        while low < high {
            let middle = (low + high) / 2
            if prefixes[middle].place < place { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The same prefix with other queries, where they belong.
    private mutating func replace(at place: WaitingPrefix.Place, with prefix: WaitingPrefix) {
        prefixes.remove(at: index(of: place))
        prefixes.insert(prefix, at: index(of: prefix.place))
        let order = places[prefix.key]!.firstIndex(of: place)!
        places[prefix.key]![order] = prefix.place
    }

    private mutating func forget(_ place: WaitingPrefix.Place, of key: WaitingPrefix.Key) {
        places[key]?.removeAll { $0 == place }
        if places[key] == [] { places[key] = nil }
    }
}
