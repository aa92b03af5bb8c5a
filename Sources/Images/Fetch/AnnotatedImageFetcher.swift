/// Fetches the files that were annotated, and no others.
///
/// The URLs are the producers', so it fetches under the daemon's policy: what a producer writes into a job must not make an
/// operator's machine ask private networks or read local files. A file is taken only if it is the one that was annotated,
/// by its SHA-256.
public struct AnnotatedImageFetcher: Sendable {
    /// What became of an image.
    public enum Outcome: Sendable {
        /// The file that was annotated, the URL that gave it, and where its redirects led.
        case file([UInt8], from: String, finalURL: String)
        /// There is another file, of this SHA-256.
        case changed(String)
        /// It cannot be fetched, or may not be: why.
        case missing(String)
    }

    private let fetcher: ImageFetcher

    /// Throws ``ImageError`` (`localFailure`) where no fetcher can be started.
    public init(policy: FetchPolicy) throws(ImageError) { fetcher = try ImageFetcher(policy: policy) }

    /// Fetches one file: from where it was found before, and else from the URLs that were enqueued. A redirect may have
    /// led to an address that has expired, and the digest tells whether it is the same file.
    public func fetch(_ urls: [String], found finalURLs: [String], digests: Set<String>) async -> Outcome {
        var (changed, problem) = (String?.none, String?.none)
        // A result has but a digest of a `data:` URL.
        let found = finalURLs.filter { !urls.contains($0) && !$0.lowercased().hasPrefix("data:") }
        for place in found + urls {
            do throws(ImageError) {
                let file = try await fetcher.fetch(place)
                if digests.contains(file.sha256) { return .file(file.bytes, from: place, finalURL: file.finalURL) }
                changed = file.sha256
            } catch {
                problem = problem ?? error.message
            }
        }
        return changed.map(Outcome.changed) ?? .missing(problem ?? "no URL is known")
    }
}
