import Foundation
import Images

/// Fetches the images of an export, some at a time, and writes those that are the files that were annotated. The others
/// are listed.
struct ImageCollector {
    /// How many are fetched side by side, and held in memory.
    static let together = 16
    /// The list of those that are left out.
    static let listName = "refused.jsonl"

    private let fetcher: AnnotatedImageFetcher
    private let folder: ExportFolder
    private let place: String?
    private let files: ImageFiles
    private var list: OutputFile?
    /// Why the first of those that are left out is so.
    private(set) var firstReason: String?

    /// - Parameter place: the folder within the export; nil: the bytes are handed over.
    init(_ folder: ExportFolder, _ place: String?, _ files: ImageFiles, _ policy: FetchPolicy) throws(CommandError) {
        fetcher = try AnnotatedImageFetcher(policy)
        (self.folder, self.place, self.files) = (folder, place, files)
        if let place { try folder.makeFolder(place) }
    }

    /// Fetches the images of some items.
    /// - Returns: the items in their order, and what became of each. The bytes are empty where the file is written.
    mutating func collect(_ items: [ExportItem]) async throws -> [(ExportItem, AnnotatedImageFetcher.Outcome)] {
        let (fetcher, files) = (fetcher, files)
        let places = items.map { item in place.map { folder.place("\($0)/\(item.name)") } }
        let outcomes = try await withThrowingTaskGroup(of: (Int, AnnotatedImageFetcher.Outcome).self) { group in
            for (index, item) in items.enumerated() {
                let urls = Self.unique(item.image.jobs.compactMap(\.source))
                let found = Self.unique(item.image.jobs.map(\.finalURL))
                let (digest, place) = (item.image.sha256, places[index])
                group.addTask {
                    let outcome = await fetcher.fetch(urls, found: found, digests: [digest])
                    // Written at once: sixteen files of the largest size would be half a gigabyte.
                    guard let place, case .file(let bytes, let url, let finalURL) = outcome else {
                        return (index, outcome)
                    }
                    try Self.keep(bytes, from: url, at: place, files)
                    return (index, .file([], from: url, finalURL: finalURL))
                }
            }
            return try await group.reduce(into: [Int: AnnotatedImageFetcher.Outcome]()) { $0[$1.0] = $1.1 }
        }
        var results: [(ExportItem, AnnotatedImageFetcher.Outcome)] = []
        for (index, item) in items.enumerated() {
            let outcome = outcomes[index] ?? .missing("it was not fetched")
            switch outcome {
            case .file: break
            case .changed: try note(item, "changed", "another file is there now")
            case .missing(let why): try note(item, "missing", why)
            }
            results.append((item, outcome))
        }
        return results
    }

    private static func keep(
        _ bytes: [UInt8], from url: String, at place: String, _ files: ImageFiles
    ) throws(CommandError) {
        if files == .link, let target = path(url) {
            guard symlink(target, place) == 0 else {
                throw CommandError(.failed, "\(place) cannot be linked: \(String(cString: strerror(errno)))")
            }
            return
        }
        let file = try OutputFile(place)
        try file.write(bytes: bytes)
        try file.close()
    }

    /// The path of a file: URL.
    private static func path(_ url: String) -> String? {
        guard url.prefix(5).lowercased() == "file:", let path = URL(string: url)?.path(percentEncoded: false),
            path.hasPrefix("/")
        else { return nil }
        return path
    }

    private mutating func note(_ item: ExportItem, _ what: String, _ why: String) throws {
        let list = try self.list ?? folder.file(Self.listName)
        self.list = list
        firstReason = firstReason ?? why
        var line = JSONBytes()
        line.raw("{\"image_id\":")
        line.number(item.image.id)
        for (name, value) in [
            ("sha256", item.image.sha256), ("url", item.image.jobs.first?.url ?? ""), ("outcome", what),
            ("reason", why),
        ] {
            line.raw(",\"\(name)\":")
            line.string(value)
        }
        line.raw("}\n")
        try list.write(bytes: line.bytes)
    }

    /// Closes the list.
    func finish() throws(CommandError) { try list?.close() }

    private static func unique(_ texts: [String]) -> [String] {
        texts.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
