import Images

/// Fetches the files that were annotated, and no others.
///
/// The URLs are the producers', so it fetches under the daemon's policy: what a producer writes into a job must not
/// make an operator's machine ask private networks or read local files. A file is taken only if it is the one that was
/// annotated, by its SHA-256.
struct AnnotatedImageFetcher: Sendable {
    /// What became of an image.
    enum Outcome: Sendable {
        /// The file, and the URL that gave it.
        case file([UInt8], from: String)
        /// There is another file.
        case changed
        /// It could not be fetched, or may not be: why.
        case missing(String)
    }

    private let fetcher: ImageFetcher

    init(_ policy: FetchPolicy) throws(CommandError) {
        do {
            fetcher = try ImageFetcher(policy: policy)
        } catch {
            throw CommandError(.failed, error.message)
        }
    }

    /// Fetches one file: from where it was found before, and else from the URLs that were enqueued. A redirect may have
    /// led to an address that has expired, and the digest tells whether it is the same file.
    func fetch(_ urls: [String], found finalURLs: [String], digests: Set<String>) async -> Outcome {
        var (isChanged, problem) = (false, "no URL is known")
        for (index, place) in (finalURLs.filter { !urls.contains($0) } + urls).enumerated() {
            do {
                let file = try await fetcher.fetch(place)
                if digests.contains(file.sha256) { return .file(file.bytes, from: place) }
                isChanged = true
            } catch {
                if index == 0 { problem = error.message }
            }
        }
        return isChanged ? .changed : .missing(problem)
    }
}
